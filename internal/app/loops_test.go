package app

import (
	"fmt"
	"strings"
	"testing"

	"pen/internal/build"
	"pen/internal/config"
	"pen/internal/dispatch"
)

func TestLoopsOf(t *testing.T) {
	for _, c := range []struct{ listeners, most, want int }{
		{0, 4, 4},
		{1, 4, 4},
		{64, 4, 4},
		{65, 4, 3},
		{100, 2, 2},
		{129, 2, 1},
		{1, 1000, 256},
		{100_000, 4, 1},
	} {
		if got := loopsOf(c.listeners, c.most); got != c.want {
			t.Errorf("%d listeners, at most %d loops: %d each, want %d", c.listeners, c.most, got, c.want)
		}
	}
}

// However the number of listeners has grown, the threads are far fewer than
// Go's limit.
func TestLoopsStayBelowTheLimitOfThreads(t *testing.T) {
	for _, processors := range []int{1, 2, 16, 1000} {
		threads := 0
		for n := 1; n <= maxOnLoops; n++ {
			threads += loopsOf(n, processors)
		}
		if threads > 8000 {
			t.Errorf("%d threads with %d processors, want at most 8000", threads, processors)
		}
	}
}

func TestTooManyListenersOnLoops(t *testing.T) {
	listen := strings.TrimSpace(strings.Repeat("127.0.0.1:1 ", 10))
	cfg := config.Default()
	for i := range maxOnLoops/10 + 1 {
		cfg.Services = append(cfg.Services, config.Service{Name: fmt.Sprint(i), Listen: listen, Plane: "loop"})
	}
	a := &App{}
	loopsEach := func() (int, error) {
		return a.loopsEach(cfg, endsOf(cfg, &build.Built{Policies: make([]dispatch.Config, len(cfg.Services))}, nil))
	}
	if _, err := loopsEach(); err == nil || !strings.Contains(err.Error(), "4100 listeners on event loops") {
		t.Errorf("error %v", err)
	}
	cfg.Services[1].Plane = "stream"
	if _, err := loopsEach(); err != nil {
		t.Error(err)
	}
}
