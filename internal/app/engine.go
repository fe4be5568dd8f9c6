package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"pen/internal/config"
	"pen/internal/dispatch"
	"pen/internal/engine"
	"pen/internal/geoip"
	"pen/internal/process"
	"pen/internal/stats"
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
	return a.change(func(ctx context.Context) error { return a.set(ctx, settings) })
}

// set is Apply, within change.
func (a *App) set(ctx context.Context, settings []config.Command) error {
	old := a.present()
	next := old.cfg
	var effects []effect
	again := false // the GeoIP database is read again
	for _, cmd := range settings {
		var err error
		if next, err = next.With(cmd); err != nil {
			return engine.Invalid.Of(err)
		}
		if keepStartOnly(&next, old.cfg) {
			return engine.StartOnly.Of(fmt.Errorf("%s: can only be set at the start", cmd.Verb.Name))
		}
		e, err := effectOf(cmd, next)
		if err != nil {
			return engine.Invalid.Of(err)
		}
		effects = append(effects, e)
		again = again || cmd.Verb.Name == "geoip_db"
	}
	if err := a.mayRun(next); err != nil {
		return engine.Forbidden.Of(err)
	}
	if err := a.apply(ctx, next, again); err != nil {
		return err
	}
	a.remember(old)
	for _, e := range effects {
		if s := a.services[e.service]; s != nil {
			e.on(s.d)
		}
		if e.resolve {
			a.refresh(e.service)
		}
	}
	return nil
}

// An effect is what a setting does to the servers of a service that runs, besides
// what the configuration says.
type effect struct {
	service          string
	blacklist, drain []int // slots
	blacklisted      time.Duration
	within           time.Duration // connections are closed
	resolve          bool          // names of servers are looked up again
}

// effectOf returns the effect of a setting in the configuration that it makes.
func effectOf(cmd config.Command, next config.Config) (e effect, err error) {
	e.service = cmd.Service
	if e.blacklist, e.blacklisted, _, err = cmd.Blacklisting(next); err != nil {
		return e, inService(cmd.Service, err)
	}
	e.drain, e.within, _ = cmd.Draining(next)
	e.resolve = cmd.Verb.Name == "server" && slices.Contains(cmd.Args, "address")
	return e, nil
}

func (e effect) on(d *dispatch.Dispatcher) {
	for _, slot := range e.blacklist {
		d.Blacklist(slot, e.blacklisted)
	}
	for _, slot := range e.drain {
		d.Drain(slot, e.within)
	}
}

// A startOnly is what can only be set at the start. Who reaches the control
// socket must not allow himself the exit command.
type startOnly struct {
	control, agents, pidFile, user, chroot string
	tokens                                 config.ControlTokens
	level                                  config.Level
	foreground, exitEnabled                bool
}

func startOnlyOf(c config.Config) startOnly {
	return startOnly{c.Control, c.AgentListen, c.PidFile, c.User, c.Chroot, c.ControlTokens, c.ControlLevel, c.Foreground, c.ExitEnabled}
}

// A birthOnly is what can only be set before a service listens.
type birthOnly struct {
	plane   string
	udp     bool
	backlog int
}

func birthOnlyOf(s config.Service) birthOnly { return birthOnly{s.Plane, s.UDP, s.Backlog} }

// keepStartOnly takes back changes to what can only be set at the start, and
// reports whether there were any. next owns its services.
func keepStartOnly(next *config.Config, old config.Config) bool {
	k := startOnlyOf(old)
	changed := startOnlyOf(*next) != k
	next.Control, next.AgentListen, next.PidFile, next.User, next.Chroot = k.control, k.agents, k.pidFile, k.user, k.chroot
	next.ControlTokens, next.ControlLevel = k.tokens, k.level
	next.Foreground, next.ExitEnabled = k.foreground, k.exitEnabled
	for i := range next.Services {
		s := &next.Services[i]
		was := old.Service(s.Name)
		if was == nil || was.Listen == "" {
			continue
		}
		if k := birthOnlyOf(*was); birthOnlyOf(*s) != k {
			s.Plane, s.UDP, s.Backlog = k.plane, k.udp, k.backlog
			changed = true
		}
	}
	return changed
}

// apply replaces the configuration in force; again reads the data base of
// countries anew. Everything that can fail is done before anything is changed.
// Called within change.
func (a *App) apply(ctx context.Context, next config.Config, again bool) error {
	next = next.Sharing(a.Config()) // what is kept for rollback costs no second table
	countries, err := a.openCountries(next, again)
	if err != nil {
		return err
	}
	b, err := a.build(ctx, next, countries)
	if err == nil {
		err = b.itself
	}
	if err != nil {
		return err
	}
	return a.commit(ctx, next, countries, b)
}

// applyAgain applies the configuration in force once more, to what names, files
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

// commit makes effective what was built.
func (a *App) commit(ctx context.Context, next config.Config, countries *geoip.DB, b built) error {
	old := a.Config()
	if err := mayServe(next); err != nil {
		return fmt.Errorf("%w; start Pen again with transparent set", err)
	}
	log := a.requests.Load()
	var err error
	if next.Log != old.Log {
		if log, err = a.openLog(ctx, next.Log); err != nil {
			return err
		}
	}
	heirs := a.heirs(next)
	bound, err := a.bind(next, heirs)
	if err != nil {
		if next.Log != old.Log {
			closeLog(log)
		}
		return err
	}
	if ctx.Err() != nil {
		discard(bound)
		if next.Log != old.Log {
			closeLog(log)
		}
		return errStopping
	}
	a.use(draft{next, b, heirs, bound})
	a.names.Set(b.queries)
	if a.started {
		a.restoreNew(old, next)
	}
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
