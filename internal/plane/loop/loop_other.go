//go:build !linux

package loop

import (
	"errors"
	"log/slog"

	"pen/internal/plane"
	"pen/internal/sock"
)

// New fails: there are no event loops on this system.
func New(*sock.Listener, int, *Processors, *slog.Logger) (plane.Plane, error) {
	return nil, errors.New("plane loop: not possible on this system, want plane stream")
}
