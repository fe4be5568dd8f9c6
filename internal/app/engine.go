package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"pen/internal/build"
	"pen/internal/config"
	"pen/internal/engine"
	"pen/internal/geoip"
	"pen/internal/process"
	"pen/internal/stats"
	"pen/internal/store"
)

var _ engine.Engine = (*App)(nil)

// Config implements [engine.Engine].
func (a *App) Config() config.Config { return a.cfg.Load().Config }

// Permits implements [engine.Engine].
func (a *App) Permits(addr netip.Addr) bool {
	cfg := a.cfg.Load()
	return cfg.acls.Permits(cfg.ControlACL, addr)
}

// Service implements [engine.Engine].
func (a *App) Service(name string) (engine.Service, error) {
	services := a.cfg.Load().services
	if s := services[name]; s != nil {
		return s, nil
	}
	var names []string
	for _, other := range slices.Sorted(maps.Keys(services)) {
		if other != config.DefaultService {
			names = append(names, other)
		}
	}
	if names == nil {
		return nil, engine.NotFound.Of(fmt.Errorf("there is no service %s, nor any other with a name", name))
	}
	return nil, engine.NotFound.Of(fmt.Errorf("there is no service %s; there are: %s", name, strings.Join(names, " ")))
}

// Apply implements [engine.Engine].
func (a *App) Apply(settings ...config.Command) error {
	return a.change(func(ctx context.Context) error {
		d, err := a.store.Set(settings...)
		if err != nil {
			return err
		}
		return a.apply(ctx, d, slices.ContainsFunc(d.Effects, func(e config.Effect) bool { return e.ReadCountries }))
	})
}

// apply makes a change; again has the GeoIP database read again. Everything that can
// fail is done before anything is changed. Called within change.
func (a *App) apply(ctx context.Context, d *store.Draft, again bool) error {
	countries, err := a.openCountries(d.Config, again)
	if err != nil {
		return err
	}
	b, err := a.build(ctx, d.Config, countries)
	if err == nil {
		err = b.Itself
	}
	if err == nil {
		err = a.commit(ctx, d.Config, countries, b)
	}
	if err != nil {
		return err
	}
	a.store.Commit(d)
	for _, e := range d.Effects {
		if s := a.services[e.Service]; s != nil {
			for _, slot := range e.Blacklist {
				s.d.Blacklist(slot, e.BlacklistTime)
			}
			for _, slot := range e.Drain {
				s.d.Drain(slot, e.DrainTime)
			}
		}
		if e.Resolve {
			a.builder.Refresh(e.Service)
		}
	}
	return nil
}

// applyAgain applies the configuration in use once more, to what names, files
// and this machine's addresses are now. A server that has become Pen itself is
// down then, and no error. Called within change.
func (a *App) applyAgain(ctx context.Context) error {
	cfg := a.Config()
	countries, err := a.openCountries(cfg, false)
	if err != nil {
		return err
	}
	b, err := a.build(ctx, cfg, countries)
	if err != nil {
		return err
	}
	return a.commit(ctx, cfg, countries, b)
}

// build builds a configuration that has no conflicts. Called within change.
func (a *App) build(ctx context.Context, cfg config.Config, countries *geoip.DB) (*build.Built, error) {
	if err := build.Conflicts(cfg); err != nil {
		return nil, err
	}
	return a.builder.Build(ctx, cfg, countries, func(service, addr string) net.Addr {
		var l listener
		if s := a.services[service]; s != nil {
			l = s.listeners[addr]
		} else if a.first != nil {
			l = a.first.bound[listenerKey{service, addr}]
		}
		if l.ln == nil {
			return nil
		}
		return l.ln.Addr()
	})
}

// commit makes effective what was built.
func (a *App) commit(ctx context.Context, next config.Config, countries *geoip.DB, b *build.Built) error {
	old := a.Config()
	if err := build.Permitted(next); err != nil {
		return fmt.Errorf("%w; start Pen again with transparent set", err)
	}
	log := a.requests.Load()
	var err error
	if next.Log != old.Log {
		if log, err = a.openLog(ctx, next.Log); err != nil {
			return err
		}
	}
	d := a.draft(next, b, a.kept(next))
	if err := a.bind(d); err != nil {
		if next.Log != old.Log {
			closeLog(log)
		}
		return err
	}
	if ctx.Err() != nil {
		d.discard()
		if next.Log != old.Log {
			closeLog(log)
		}
		return errStopping
	}
	a.use(d)
	a.names.Set(b.Queries)
	a.restoreNew(old, d)
	if next.Log != old.Log {
		if err := closeLog(a.requests.Swap(log)); err != nil {
			a.opt.Log.Warn("the old log of requests", "error", err)
		}
	}
	a.useCountries(countries)
	a.opt.SetDebug(next.Debug)
	return nil
}

// Exit implements [engine.Engine].
func (a *App) Exit() error {
	if !a.Config().ExitEnabled {
		return engine.Forbidden.Of(errors.New("exit: the configuration does not enable it"))
	}
	a.exitOnce.Do(func() { close(a.done) })
	return nil
}

// WriteStats writes the status page where web_stats says, or else a report to
// the log, as the USR1 signal asks for.
func (a *App) WriteStats() {
	name, all := a.Config().WebStats, a.snapshots()
	var err error
	if name != "" {
		err = process.WriteFileAtomic(name, 0o640, func(w io.Writer) error { return stats.HTML(w, all...) })
	} else {
		var b strings.Builder
		err = stats.Text(&b, all...)
		if a.opt.Report != nil {
			a.opt.Report(b.String())
		}
	}
	if err != nil {
		a.opt.Log.Error("can't write statistics", "error", err)
	}
}
