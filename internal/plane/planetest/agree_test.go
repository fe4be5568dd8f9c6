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
)

// playSeeds is how many random scripts TestPlanesAgree plays.
var playSeeds = flag.Int("plays", 60, "random scripts of traffic that are played through both planes")

// Whatever clients and servers do, both planes make the same of it.
func TestPlanesAgree(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4)) // for two loops and the rest
	log := slog.New(slog.DiscardHandler)
	planes := map[string]planetest.Listen{
		"loop": func(t *testing.T, addr string) plane.Plane {
			p, err := loop.Listen(addr, 0, 2, nil, log)
			if err != nil {
				t.Fatal(err)
			}
			return p
		},
		"stream": func(t *testing.T, addr string) plane.Plane {
			p, err := stream.Listen(addr, 0, log)
			if err != nil {
				t.Fatal(err)
			}
			return p
		},
	}
	for seed := range uint64(*playSeeds) {
		outcomes := map[string]string{}
		for name, listen := range planes {
			t.Run(name, func(t *testing.T) { outcomes[name] = planetest.Play(t, listen, seed) })
		}
		if outcomes["loop"] != outcomes["stream"] {
			t.Errorf("seed %d\nloop:\n%s\nstream:\n%s", seed, outcomes["loop"], outcomes["stream"])
		}
	}
}
