package app

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"pen/internal/config"
)

// maxUndo is how many changes can be taken back.
const maxUndo = 20

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

// remember keeps what was replaced, for rollback, unless it is as before: a
// reload of a file that is the same must not push out what was changed. Called
// within change.
func (a *App) remember(old past) {
	if reflect.DeepEqual(old.cfg, a.Config()) {
		return
	}
	a.undo = append(a.undo, old)
	if len(a.undo) > maxUndo {
		a.undo = a.undo[1:]
	}
}

// rollback takes the last change back, and reports what that has changed.
func (a *App) rollback() (string, error) {
	var text string
	err := a.change(func(ctx context.Context) (err error) {
		text, err = a.takeBack(ctx)
		return err
	})
	return text, err
}

func (a *App) takeBack(ctx context.Context) (string, error) {
	if len(a.undo) == 0 {
		return "", errors.New("rollback: no change to take back")
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
