package app

import (
	"context"
	"errors"
	"slices"
	"sync"

	"pen/internal/dispatch"
	"pen/internal/engine"
)

const errStopping = engine.Stopping

// changes lets one change of what runs be made at a time.
type changes struct {
	turn chan struct{} // holds one while a change is made

	mu      sync.Mutex // guards stopped, and that nothing begins to run after it
	stopped bool
}

// change runs f, which alone may read and write what belongs to changes, and
// returns its error. f may block on DNS, on files and on sockets: that holds up
// further changes and nothing else. When Pen is stopped f sees its context end,
// and Stop waits for it as it does for connections.
func (a *App) change(f func(ctx context.Context) error) error {
	select {
	case a.changes.turn <- struct{}{}:
	case <-a.stopping.Done():
		return errStopping
	}
	defer func() { <-a.changes.turn }()
	return a.inTurn(f)
}

// inTurn is change for a caller that has the turn.
func (a *App) inTurn(f func(ctx context.Context) error) error {
	a.changes.mu.Lock()
	if a.changes.stopped {
		a.changes.mu.Unlock()
		return errStopping
	}
	a.serving.Add(1)
	a.changes.mu.Unlock()
	defer a.serving.Done()
	err := f(a.stopping)
	if a.stopping.Err() != nil && errors.Is(err, context.Canceled) {
		return errStopping
	}
	return err
}

// spawn runs f in a goroutine that Stop waits for. It reports false once Pen is
// stopped. What f starts by serving.Go is waited for as well.
func (a *App) spawn(f func()) bool {
	a.changes.mu.Lock()
	defer a.changes.mu.Unlock()
	if a.changes.stopped {
		return false
	}
	a.serving.Go(f)
	return true
}

// end cancels what runs; nothing begins any more.
func (a *App) end() {
	a.changes.mu.Lock()
	defer a.changes.mu.Unlock()
	a.changes.stopped = true
	a.stop()
}

// ending has the removed services that still have connections.
type ending struct {
	mu  sync.Mutex // guards all
	all []*service
}

func (e *ending) add(s *service) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, s)
}

// dispatchers are those that still have connections; the others are forgotten.
func (e *ending) dispatchers() []*dispatch.Dispatcher {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = slices.DeleteFunc(e.all, func(s *service) bool {
		over := s.d.Flows() == 0
		if over {
			s.endTick()
		}
		return over
	})
	var out []*dispatch.Dispatcher
	for _, s := range e.all {
		out = append(out, s.d)
	}
	return out
}

// dispatchers are those of all services, and those of services that are gone
// but for their last connections. It waits for no change.
func (a *App) dispatchers() []*dispatch.Dispatcher {
	services := a.cfg.Load().services // before those that end: none is missed on its way there
	ending := a.ending.dispatchers()
	all := ending
	for _, s := range services {
		if !slices.Contains(ending, s.d) {
			all = append(all, s.d)
		}
	}
	return all
}
