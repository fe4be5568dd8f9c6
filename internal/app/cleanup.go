package app

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// cleanups undo what was set up, the last first.
type cleanups struct {
	mu    sync.Mutex // guards steps
	steps []cleanup
}

type cleanup struct {
	name string
	f    func() error
}

// add registers the end of something that exists from now on.
func (c *cleanups) add(name string, f func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.steps = append(c.steps, cleanup{name, f})
}

// run undoes everything once; an error does not keep the rest from being done.
func (c *cleanups) run(log *slog.Logger) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for i := len(c.steps) - 1; i >= 0; i-- {
		log.Debug("stopping", "part", c.steps[i].name)
		if err := c.steps[i].f(); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", c.steps[i].name, err))
		}
	}
	c.steps = nil
	return errors.Join(errs...)
}
