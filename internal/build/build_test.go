package build

import (
	"context"
	"errors"
	"net"
	"testing"

	"pen/internal/config"
)

// Nobody waits for a configuration that is not wanted any more.
func TestBuildIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cfg := config.Default()
	cfg.Services[0].Listen = "127.0.0.1:0"
	b, asked := New(Options{}), 0
	bound := func(string, string) net.Addr { asked++; cancel(); return nil }
	if _, err := b.Build(ctx, cfg, nil, bound); !errors.Is(err, context.Canceled) || asked != 1 {
		t.Errorf("%v, asked %d times", err, asked)
	}
}
