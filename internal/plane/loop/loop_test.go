package loop

import (
	"log/slog"
	"testing"

	"pen/internal/plane"
	"pen/internal/plane/planetest"
)

func TestPlane(t *testing.T) {
	planetest.Run(t, func(t *testing.T, addr string) plane.Plane {
		p, err := Listen(addr, 0, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return p
	})
}
