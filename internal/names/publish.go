package names

import (
	"context"
	"errors"
	"slices"
)

// publish calls OnChange for all changed answers, without the lock.
func (w *Watcher) publish(ctx context.Context) {
	var list []*entry
	var news [][]Answer
	w.mu.Lock()
	for _, e := range w.entries {
		if e.news && e.wanted {
			e.news = false
			list, news = append(list, e), append(news, answers(e.places))
		}
	}
	w.mu.Unlock()
	for i, e := range list {
		if ctx.Err() == nil {
			w.opt.OnChange(e.query, news[i])
		}
	}
}

// warn logs a problem with a name, each kind once until there is an answer again.
func (w *Watcher) warn(e *entry, err error) {
	kind := problem(err)
	if slices.Contains(e.logged, kind) {
		w.opt.Log.Debug(kind, "name", e.query.Name, "err", err, "failures", e.failures+1)
		return
	}
	e.logged = append(e.logged, kind)
	w.opt.Log.Warn(kind, "name", e.query.Name, "err", err, "kept", e.places != nil)
}

func problem(err error) string {
	switch {
	case errors.Is(err, errNoName):
		return "DNS knows no such name"
	case errors.Is(err, errEmpty):
		return "DNS has no answer that is of use"
	}
	return "DNS does not answer"
}
