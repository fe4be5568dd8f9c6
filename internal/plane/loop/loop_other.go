//go:build !linux

package loop

import (
	"log/slog"

	"pen/internal/edge"
	"pen/internal/plane"
	"pen/internal/sock"
)

// Unable is an error: there are no event loops on this system.
func Unable(*edge.Ends) error { return plane.Unable("loop", "anything on this system") }

// New fails as Unable does.
func New(*sock.Listener, int, *Processors, *slog.Logger) (plane.Plane, error) {
	return nil, Unable(nil)
}
