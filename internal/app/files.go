package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"pen/internal/config"
	"pen/internal/control"
	"pen/internal/process"
	"pen/internal/store"
)

// Reopen opens the log of requests anew, after a rotation.
func (a *App) Reopen() error {
	if l := a.requests.Load(); l != nil {
		return l.Reopen()
	}
	return nil
}

// Reload reads the configuration file again and applies what has changed in it
// since it was last read; see [store.Store.Reload]. It also reads certificates and a
// changed GeoIP database, even where there is no configuration file. A file with an
// error changes nothing.
func (a *App) Reload() error {
	var d *store.Draft
	err := a.change(func(ctx context.Context) (err error) {
		d, err = a.reload(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	return control.RunAll(a, d.Actions)
}

// reload is Reload without the actions in the file. Called within change.
func (a *App) reload(ctx context.Context) (*store.Draft, error) {
	a.builder.Used().TLS.Reload(a.opt.Log)
	d := a.store.Same()
	if file := a.store.File(); file != "" {
		var err error
		if d, err = a.store.Reload(Open); err != nil {
			return nil, err
		}
		if d.RolledBack {
			a.opt.Log.Info("the file has what was rolled back, which a reload applies once the file is changed", "file", file)
		}
		if d.StartOnly {
			a.opt.Log.Warn("some of what changed takes effect at the next start only", "file", file)
		}
	}
	if err := a.apply(ctx, d, a.countries != nil && a.countries.Changed()); err != nil {
		return nil, err
	}
	if !d.RolledBack {
		for _, s := range d.Config.Services {
			a.builder.Refresh(s.Name)
		}
	}
	return d, nil
}

// Include implements [engine.Engine].
func (a *App) Include(service, file string) ([]config.Command, error) {
	var d *store.Draft
	err := a.change(func(ctx context.Context) (err error) {
		if d, err = a.store.Include(service, file, Open); err != nil {
			return err
		}
		return a.apply(ctx, d, false)
	})
	if err != nil {
		return nil, err
	}
	return d.Actions, nil
}

// Rollback implements [engine.Engine].
func (a *App) Rollback() (changes config.Changes, err error) {
	err = a.change(func(ctx context.Context) error {
		d, err := a.store.Rollback()
		if err != nil {
			return err
		}
		old, renamed := a.Config(), renames(a.kept(d.Config))
		if err := a.apply(ctx, d, false); err != nil {
			return fmt.Errorf("rollback: nothing was changed: %w", err)
		}
		changes = config.Diff(old, d.Config, renamed)
		return nil
	})
	return changes, err
}

// Open opens a file that a configuration includes.
func Open(name string) (io.ReadCloser, error) { return process.OpenRegular(name) }

// Write implements [engine.Engine].
func (a *App) Write(name string) error {
	cfg := a.Config()
	name = cmp.Or(name, cfg.ConfigFile)
	if name == "" {
		return errors.New("write: no configuration file was read, so say which one to write: write FILE")
	}
	return process.WriteFileAtomic(name, 0o600, func(w io.Writer) error {
		_, err := io.WriteString(w, store.Text(cfg, time.Now()))
		return err
	})
}
