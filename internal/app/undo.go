package app

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"pen/internal/config"
	"pen/internal/engine"
)

const (
	// maxUndo is how many changes can be taken back, fewer where tables of
	// servers are long: maxUndoSlots is how many slots all that is kept has.
	maxUndo      = 20
	maxUndoSlots = 100_000
)

// A past is what a change replaced: the configuration, and what the file meant
// that it came from. Both are taken back together, so that the next reload finds
// what is different in the file.
type past struct {
	cfg, file config.Config
	actions   []config.Command
}

// present is the past of the change that is about to be made. Called within
// change.
func (a *App) present() past { return past{a.Config(), a.file, a.actions} }

// rolledBack reports whether a file means what it meant when it was last read,
// and that was taken back. A reload must not bring it back by itself: it may be one
// for the rotation of logs.
func (a *App) rolledBack(file config.Config) bool {
	return reflect.DeepEqual(file, a.read) && !reflect.DeepEqual(a.file, a.read)
}

// remember keeps what was replaced, for rollback, unless it is as before: a
// reload of a file that is the same must not push out what was changed. Called
// within change.
func (a *App) remember(old past) {
	if reflect.DeepEqual(old.cfg, a.Config()) {
		return
	}
	a.undo = append(a.undo, old)
	a.undo = recent(a.undo)
}

// recent are the last ones that may be kept. Configurations that share a table
// of servers have it once.
func recent(all []past) []past {
	slots, counted := 0, map[*config.Server]bool{}
	for i := range all {
		past := &all[len(all)-1-i]
		for _, s := range past.cfg.Services {
			if len(s.Servers) > 0 && !counted[&s.Servers[0]] {
				slots += len(s.Servers)
				counted[&s.Servers[0]] = true
			}
		}
		if i == maxUndo || i > 0 && slots > maxUndoSlots {
			return slices.Clone(all[len(all)-i:]) // the others are let go
		}
	}
	return all
}

// Rollback implements [engine.Engine].
func (a *App) Rollback() (string, error) {
	var text string
	err := a.change(func(ctx context.Context) (err error) {
		text, err = a.takeBack(ctx)
		return err
	})
	return text, err
}

func (a *App) takeBack(ctx context.Context) (string, error) {
	if len(a.undo) == 0 {
		return "", engine.NotFound.Of(errors.New("rollback: no change to take back"))
	}
	before := a.undo[len(a.undo)-1]
	old, next := a.Config(), before.cfg.Clone()
	rest := a.undo[:len(a.undo)-1]
	keepStartOnly(&next, old)
	renamed := renames(a.heirs(next))
	if err := a.apply(ctx, next, false); err != nil {
		return "", fmt.Errorf("rollback: nothing was changed: %w", err)
	}
	a.undo, a.file, a.actions = rest, before.file, before.actions
	return config.Diff(old, next, renamed), nil
}
