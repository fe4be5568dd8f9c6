package planetest_test

import (
	"flag"
	"log/slog"
	"runtime"
	"testing"

	"pen/internal/plane"
	"pen/internal/plane/loop"
	"pen/internal/plane/planetest"
	"pen/internal/plane/stream"
	"pen/internal/sock"
)

// playSeeds is the number of random scripts that TestPlanesAgree plays.
var playSeeds = flag.Int("plays", 60, "random scripts of traffic that are played through both planes")

var planes = map[string]planetest.New{
	"loop": func(t *testing.T, ln *sock.Listener) plane.Plane {
		p, err := loop.New(ln, 2, nil, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return p
	},
	"stream": func(t *testing.T, ln *sock.Listener) plane.Plane {
		p, err := stream.New(ln, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return p
	},
}

// Planes of different kinds take turns behind one socket.
func TestPlanesAreExchanged(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	planetest.Exchange(t, planes["loop"], planes["stream"])
}

// Whatever clients and servers do, both planes give the same results.
func TestPlanesAgree(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4)) // for two loops and the rest
	for seed := range uint64(*playSeeds) {
		outcomes := map[string]string{}
		for name, build := range planes {
			t.Run(name, func(t *testing.T) { outcomes[name] = planetest.Play(t, build, seed) })
		}
		if outcomes["loop"] != outcomes["stream"] {
			t.Errorf("seed %d\nloop:\n%s\nstream:\n%s", seed, outcomes["loop"], outcomes["stream"])
		}
	}
}
