package app

import (
	"cmp"
	"fmt"
	"runtime"

	"pen/internal/config"
	"pen/internal/edge"
)

const (
	// sharedLoops is how many event loops all listeners share: with many
	// listeners each has fewer, one at least. An idle loop costs a thread of the
	// kernel's and about 90 KiB.
	sharedLoops = 256
	// maxOnLoops is how many listeners event loops may have. Go ends a process
	// of 10,000 threads; this many listeners, and the loops that the first ones
	// got while there were few, stay well below.
	maxOnLoops = 4096
)

// defaultLoops is how many event loops a listener has that is alone.
func defaultLoops() int { return max(1, runtime.GOMAXPROCS(0)-1) }

// loopsEach is how many event loops a new listener of a configuration gets.
// Those that listen already keep theirs.
func (a *App) loopsEach(cfg config.Config, ends map[string]*edge.Ends) (int, error) {
	n := 0
	for _, s := range cfg.Services {
		if k, _ := choose(s, ends[s.Name]); k.name == loopKind {
			n += len(s.Listeners())
		}
	}
	if n > maxOnLoops {
		return 0, fmt.Errorf("%d listeners on event loops, want at most %d; plane stream is for more", n, maxOnLoops)
	}
	return loopsOf(n, cmp.Or(a.opt.Loops, defaultLoops())), nil
}

// loopsOf is how many loops each of so many listeners has, where one that is
// alone has most.
func loopsOf(listeners, most int) int {
	return min(most, max(1, sharedLoops/max(1, listeners)))
}
