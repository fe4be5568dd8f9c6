package app

import (
	"slices"
	"time"

	"pen/internal/build"
	"pen/internal/config"
	"pen/internal/dispatch"
)

const (
	// sweepTurn is how often all services are swept, at least, and evenTurn how often
	// those are whose connections must be closed evenly.
	sweepTurn = time.Second
	evenTurn  = 100 * time.Millisecond
)

// sweep closes what is over, until the App is stopped. Idle connections are noticed
// late by a quarter of the time-out, or by sweepTurn.
func (a *App) sweep() {
	next := time.Now().Add(a.cfg.Load().sweepTurn)
	for {
		all := a.dispatchers()
		due := slices.DeleteFunc(slices.Clone(all), func(d *dispatch.Dispatcher) bool { return !d.Sweeps() })
		turn := time.Until(next)
		if len(due) > 0 {
			turn = min(turn, evenTurn)
		}
		select {
		case <-a.stopping.Done():
			return
		case <-time.After(turn):
		}
		if now := time.Now(); !now.Before(next) {
			due, next = all, now.Add(a.cfg.Load().sweepTurn)
		}
		for _, d := range due {
			d.Sweep()
		}
	}
}

// sweepTurnOf is how often all services of a configuration are swept.
func sweepTurnOf(cfg config.Config) time.Duration {
	turn := sweepTurn
	for i := range cfg.Services {
		if idle := build.IdleTimeout(&cfg.Services[i]); idle > 0 {
			turn = min(turn, max(idle/4, 10*time.Millisecond))
		}
	}
	return turn
}
