//go:build !linux

package loop

import (
	"errors"
	"log/slog"

	"pen/internal/plane"
)

// Listen fails: there are no event loops on this system.
func Listen(string, int, int, *Share, *slog.Logger) (plane.Plane, error) {
	return nil, errors.New("plane loop: not possible on this system, want plane stream")
}
