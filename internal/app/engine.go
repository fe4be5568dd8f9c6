package app

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"time"

	"pen/internal/config"
	"pen/internal/control"
	"pen/internal/dispatch"
	"pen/internal/pool"
	"pen/internal/process"
	"pen/internal/stats"
)

var _ control.Engine = (*App)(nil)

// Config implements [control.Engine].
func (a *App) Config() config.Config { return a.cfg.Load().Config }

// Permits implements [control.Engine].
func (a *App) Permits(addr netip.Addr) bool {
	cfg := a.cfg.Load()
	return cfg.acls.Permits(cfg.ControlACL, addr)
}

// Change implements [control.Engine].
func (a *App) Change(cmd config.Command) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	next, err := a.Config().With(cmd)
	if err != nil {
		return err
	}
	if keepStartOnly(&next, a.Config()) {
		return fmt.Errorf("%s: can only be set at the start", cmd.Verb.Name)
	}
	slot, d, blacklists := cmd.Blacklisting()
	if blacklists && (slot >= len(next.Servers) || !next.Servers[slot].Used()) {
		return fmt.Errorf("server %d: no such server, nothing to blacklist", slot)
	}
	for _, word := range cmd.Args {
		delete(a.names, word) // a server named again is looked up again
	}
	again := cmd.Verb.Name == "geoip_db" // and a data base read again
	if err := a.apply(next, again); err != nil {
		return err
	}
	if blacklists {
		a.d.Blacklist(slot, d)
	}
	return nil
}

// A startOnly is what can only be set at the start. Who reaches the control
// socket must not allow himself the exit command.
type startOnly struct {
	control, pidFile, user, chroot string
	plane                          string
	foreground, exitEnabled, udp   bool
	backlog                        int
}

func startOnlyOf(c config.Config) startOnly {
	return startOnly{c.Control, c.PidFile, c.User, c.Chroot, c.Plane, c.Foreground, c.ExitEnabled, c.UDP, c.Backlog}
}

// keepStartOnly takes back changes to what can only be set at the start, and
// reports whether there were any.
func keepStartOnly(next *config.Config, old config.Config) bool {
	k := startOnlyOf(old)
	changed := startOnlyOf(*next) != k
	next.Control, next.PidFile, next.User, next.Chroot = k.control, k.pidFile, k.user, k.chroot
	next.Plane = k.plane
	next.Foreground, next.ExitEnabled, next.UDP, next.Backlog = k.foreground, k.exitEnabled, k.udp, k.backlog
	return changed
}

// apply replaces the configuration in force; again reads the data base of
// countries anew. Everything that can fail is done before anything is changed.
// Called with mu held.
func (a *App) apply(next config.Config, again bool) error {
	if a.stopping.Err() != nil {
		return errors.New("pen is stopping")
	}
	old := a.Config()
	countries, err := a.openCountries(next, again)
	if err != nil {
		return err
	}
	dcfg, err := a.build(next, countries)
	if err != nil {
		return err
	}
	if err := mayServe(next); err != nil {
		return fmt.Errorf("%w; start Pen again with transparent set", err)
	}
	log := a.requests.Load()
	if next.Log != old.Log {
		if log, err = a.openLog(next.Log); err != nil {
			return err
		}
	}
	if next.Listen != old.Listen {
		p, err := a.listen(next)
		if err != nil {
			if next.Log != old.Log {
				closeLog(log)
			}
			return err
		}
		a.current.retire()
		a.current = a.serve(p)
	}
	a.d.Configure(dcfg)
	if next.Log != old.Log {
		if err := closeLog(a.requests.Swap(log)); err != nil {
			a.opt.Log.Warn("the old log of requests", "error", err)
		}
	}
	a.useCountries(countries)
	a.opt.SetDebug(next.Debug)
	a.cfg.Store(&inForce{next, dcfg.ACLs})
	return nil
}

// Act implements [control.Engine].
func (a *App) Act(cmd config.Command) (string, error) {
	switch cmd.Verb.Name {
	case "close":
		return a.closeFlow(cmd.Args)
	case "exit":
		if !a.Config().ExitEnabled {
			return "Exit is not enabled; restart with -X flag\n", nil
		}
		a.exitOnce.Do(func() { close(a.done) })
		return "", nil
	case "write":
		return "", a.write(cmd.Args)
	case "include":
		return "", a.include(cmd.Args[0])
	}
	return "", fmt.Errorf("%s: can't be run here", cmd.Verb.Name)
}

// closeFlow ends a connection, number 0 if none is given.
func (a *App) closeFlow(args []string) (string, error) {
	n := 0
	if len(args) > 0 {
		var err error
		if n, err = strconv.Atoi(args[0]); err != nil {
			return "", fmt.Errorf("close: %q is not the number of a connection", args[0])
		}
	}
	if n < 0 || n >= a.connMax(a.Config()) {
		return fmt.Sprintf("Connection %d out of range\n", n), nil
	}
	a.d.Kill(n)
	return fmt.Sprintf("Forcibly closing connection %d\n", n), nil
}

// Idlers implements [control.Engine].
func (a *App) Idlers() int { return a.d.ReadySpares() }

// Servers implements [control.Engine].
func (a *App) Servers() []stats.Server {
	return a.servers(a.d.Servers(), a.Config())
}

func (a *App) servers(states []pool.Status, cfg config.Config) []stats.Server {
	out := make([]stats.Server, len(states))
	for i, s := range states {
		o := stats.Server{
			Slot: s.Slot, Used: s.Used(), Conns: s.Conns, Max: s.Max, Hard: s.Hard,
			Prio: s.Prio, Sent: s.Sent, Received: s.Received,
		}
		if i < len(cfg.Servers) {
			o.Weight = cfg.Servers[i].Weight // as it was given: 0 where it was not
		}
		switch {
		case s.Path != "":
			o.Addr, o.Port = s.Path, 1
		case o.Used:
			o.Addr, o.Port = s.Addr.Addr().String(), int(s.Addr.Port())
		}
		if s.Failed {
			o.FailedAt = a.wall(s.FailedAt)
		}
		out[i] = o
	}
	return out
}

// wall turns a time of the Dispatcher's clock into one of the calendar.
func (a *App) wall(d time.Duration) time.Time { return a.start.Add(d) }

// Snapshot implements [control.Engine].
func (a *App) Snapshot() stats.Snapshot {
	st := a.d.Status()
	out := stats.Snapshot{
		Time: a.wall(st.Now), Current: st.Last, Servers: a.servers(st.Servers, a.Config()),
		ClientsMax: st.ClientsMax, ConnMax: st.ConnMax, ConnUsed: len(st.Flows),
	}
	for _, c := range st.Clients {
		addr := "unix"
		if c.Addr.IsValid() {
			addr = c.Addr.String()
		}
		out.Clients = append(out.Clients, stats.Client{
			Slot: c.Slot, Addr: addr, Last: a.wall(c.Last), Server: c.Server,
			Connects: c.Connects, Sent: c.Sent, Received: c.Received,
		})
	}
	for r, n := range st.Refused {
		if n > 0 {
			out.Refused = append(out.Refused, stats.Refused{Reason: dispatch.Reason(r).String(), Count: n})
		}
	}
	for _, f := range st.Flows {
		out.ConnLast = f.ID
		out.Conns = append(out.Conns, stats.Conn{
			ID: f.ID, State: state(f), DownFD: f.ClientFD, UpFD: f.ServerFD,
			Client: f.Client, Server: f.Server,
			PendingDown: int(f.FromServer - f.ToClient), PendingUp: int(f.FromClient - f.ToServer),
		})
	}
	return out
}

// state is a connection's state in the bits of section 19.
func state(f dispatch.FlowStatus) int {
	if !f.Up {
		return 1
	}
	s := 2
	if f.ServerEOF {
		s |= 4
	}
	if f.ClientEOF {
		s |= 8
	}
	return s
}

// WriteStats writes the status page where web_stats says, or else a report to
// the log, as the USR1 signal asks for.
func (a *App) WriteStats() {
	name, s := a.Config().WebStats, a.Snapshot()
	var err error
	if name != "" {
		err = process.WriteFileAtomic(name, 0o644, func(w io.Writer) error { return stats.HTML(w, s) })
	} else {
		err = stats.Text(logWriter{a.opt.Log}, s)
	}
	if err != nil {
		a.opt.Log.Error("can't write statistics", "error", err)
	}
}
