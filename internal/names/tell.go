package names

import (
	"context"
	"errors"
	"slices"
)

// tell calls OnChange for all news, without the lock.
func (w *Watcher) tell(ctx context.Context) {
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

// warn logs a trouble with a name, each kind once until there is an answer
// again.
func (w *Watcher) warn(e *entry, err error) {
	kind := trouble(err)
	if slices.Contains(e.told, kind) {
		w.opt.Log.Debug(kind, "name", e.query.Name, "err", err, "failures", e.failures+1)
		return
	}
	e.told = append(e.told, kind)
	w.opt.Log.Warn(kind, "name", e.query.Name, "err", err, "kept", e.places != nil)
}

func trouble(err error) string {
	switch {
	case errors.Is(err, errNoName):
		return "DNS knows no such name"
	case errors.Is(err, errEmpty):
		return "DNS has no answer that is of use"
	}
	return "DNS does not answer"
}
