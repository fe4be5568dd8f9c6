package app

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"pen/internal/config"
	"pen/internal/control"
	"pen/internal/geoip"
	"pen/internal/process"
	"pen/internal/stats"
)

var _ control.Engine = (*App)(nil)

// Config implements [control.Engine].
func (a *App) Config() config.Config { return a.cfg.Load().Config }

// Change implements [control.Engine].
func (a *App) Change(cmd config.Command) error {
	return a.change(func(ctx context.Context) error { return a.set(ctx, cmd) })
}

// set is Change, within it.
func (a *App) set(ctx context.Context, cmd config.Command) error {
	old := a.present()
	next, err := old.cfg.With(cmd)
	if err != nil {
		return err
	}
	if keepStartOnly(&next, a.Config()) {
		return fmt.Errorf("%s: can only be set at the start", cmd.Verb.Name)
	}
	if err := a.mayRun(next); err != nil {
		return err
	}
	blacklisted, d, blacklists, err := cmd.Blacklisting(next)
	if err != nil {
		return inService(cmd.Service, err)
	}
	again := cmd.Verb.Name == "geoip_db" // and a data base read again
	if err := a.apply(ctx, next, again); err != nil {
		return err
	}
	a.remember(old)
	if blacklists {
		for _, slot := range blacklisted {
			a.services[cmd.Service].d.Blacklist(slot, d)
		}
	}
	if cmd.Verb.Name == "server" && slices.Contains(cmd.Args, "address") {
		a.refresh(cmd.Service)
	}
	if slots, within, ok := cmd.Draining(next); ok {
		for _, slot := range slots {
			a.services[cmd.Service].d.Drain(slot, within)
		}
	}
	return nil
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
	bound, err := a.bind(ctx, next, heirs)
	if err != nil {
		if next.Log != old.Log {
			closeLog(log)
		}
		return err
	}
	if ctx.Err() != nil {
		closeAll(bound)
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

// Act implements [control.Engine].
func (a *App) Act(cmd config.Command) (string, error) {
	switch cmd.Verb.Name {
	case "close":
		s, err := a.service(cmd.Service)
		if err != nil {
			return "", err
		}
		return s.closeFlow(cmd.Args)
	case "exit":
		if !a.Config().ExitEnabled {
			return "Exit is not enabled; restart with -X flag\n", nil
		}
		a.exitOnce.Do(func() { close(a.done) })
		return "", nil
	case "rollback":
		return a.rollback()
	case "write":
		return "", a.write(cmd.Args)
	case "include":
		return "", a.include(cmd.Service, cmd.Args[0])
	}
	return "", fmt.Errorf("%s: can't be run here", cmd.Verb.Name)
}

// closeFlow ends a connection, number 0 if none is given.
func (s *service) closeFlow(args []string) (string, error) {
	n := 0
	if len(args) > 0 {
		var err error
		if n, err = strconv.Atoi(args[0]); err != nil {
			return "", fmt.Errorf("close: %q is not the number of a connection", args[0])
		}
	}
	if n < 0 || n >= s.app.connMax(s.config(), isShared(s.app.Config())) {
		return fmt.Sprintf("Connection %d out of range\n", n), nil
	}
	s.d.Kill(n)
	return fmt.Sprintf("Forcibly closing connection %d\n", n), nil
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
