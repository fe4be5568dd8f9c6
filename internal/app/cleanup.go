package app

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// cleanups undo what was set up, the last first.
type cleanups struct {
	mu    sync.Mutex // guards steps
	steps []cleanup
}

type cleanup struct {
	name  string
	f     func() error
	limit time.Duration // of its own; 0: it shares that of run
}

// add registers the end of something that exists from now on.
func (c *cleanups) add(name string, f func() error) { c.addSlow(name, 0, f) }

// addSlow is add for what may take a time of its own.
func (c *cleanups) addSlow(name string, limit time.Duration, f func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.steps = append(c.steps, cleanup{name, f, limit})
}

// run undoes everything once. An error does not keep the rest from being undone, and
// neither does a step that takes too long: it is left behind, for the end of the
// process to do its work, and named in late. Steps without a limit of their own share
// limit; 0 is none.
func (c *cleanups) run(log *slog.Logger, limit time.Duration) (late, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs, lates []error
	for i := len(c.steps) - 1; i >= 0; i-- {
		log.Debug("stopping", "part", c.steps[i].name)
		begin := time.Now()
		err := c.steps[i].within(limit)
		if limit > 0 && c.steps[i].limit == 0 {
			limit = max(limit-time.Since(begin), time.Millisecond)
		}
		if err != nil {
			err = fmt.Errorf("stop %s: %w", c.steps[i].name, err)
		}
		if errors.Is(err, errLate) {
			lates = append(lates, err)
		} else {
			errs = append(errs, err)
		}
	}
	c.steps = nil
	return errors.Join(lates...), errors.Join(errs...)
}

// errLate is the error of a step that is left behind.
var errLate = errors.New("it takes too long")

// within does a step in the time that it has; limit 0 is none.
func (c cleanup) within(limit time.Duration) error {
	if limit == 0 {
		return c.f()
	}
	limit = max(limit, c.limit)
	done := make(chan error, 1)
	go func() { done <- c.f() }() // outlives limit where something hangs
	select {
	case err := <-done:
		return err
	case <-time.After(limit):
		return errLate
	}
}
