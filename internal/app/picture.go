package app

import (
	"net/netip"
	"time"

	"pen/internal/config"
	"pen/internal/dispatch"
	"pen/internal/engine"
	"pen/internal/pool"
	"pen/internal/stats"
)

// Services implements [engine.Engine].
func (a *App) Services() []stats.Service {
	now := a.cfg.Load()
	var out []stats.Service
	for _, c := range now.Services {
		s := now.services[c.Name]
		n := s.d.Numbers()
		o := stats.Service{
			Name: nameShown(c.Name), Protocol: "tcp", Listen: s.addresses(), Conns: n.Flows, ConnMax: n.ConnMax,
			Servers: n.Servers, Available: n.Available, Table: c.Table, Clients: n.Clients,
		}
		if c.UDP {
			o.Protocol = "udp"
		}
		if c.Name == config.DefaultService && len(o.Listen) == 0 && !c.HasServer() {
			continue // only those with names are used
		}
		out = append(out, o)
	}
	return out
}

// nameShown is what a service is called in the status: the first one has no name
// there, as in C Pen.
func nameShown(service string) string {
	if service == config.DefaultService {
		return ""
	}
	return service
}

var _ engine.Service = (*service)(nil)

// Numbers implements [engine.Service].
func (s *service) Numbers() dispatch.Numbers { return s.d.Numbers() }

// Explain implements [engine.Service].
func (s *service) Explain(client netip.AddrPort) dispatch.Explanation { return s.d.Explain(client) }

// Kill implements [engine.Service].
func (s *service) Kill(connection int) bool { return s.d.Kill(connection) }

// Idlers implements [engine.Service].
func (s *service) Idlers() int { return s.d.ReadySpares() }

// Servers implements [engine.Service].
func (s *service) Servers() []stats.Server {
	out := serversOf(s.d.Servers(), s.config())
	for slot, checks := range s.app.checks.found(s.d, len(out)) {
		out[slot].Checks = checks // of those that have an address
	}
	return out
}

func serversOf(states []pool.Status, cfg config.Service) []stats.Server {
	out := make([]stats.Server, len(states))
	for i, s := range states {
		o := stats.Server{
			Slot: s.Slot, Used: s.Used(), Conns: s.Conns, Max: s.Max, Hard: s.Hard,
			Prio: s.Prio, Sent: s.Sent, Received: s.Received,
			Name: s.Name, State: string(s.State), Share: s.Share,
		}
		if s.Until > 0 {
			o.Until = wall(s.Until)
		}
		if i < len(cfg.Servers) {
			o.Weight = cfg.Servers[i].Weight // as it was given: 0 where it was not
		}
		switch {
		case s.Path != "":
			o.Addr, o.Port = s.Path, 1
		case o.Used:
			o.Addr, o.Port = s.Addr.Addr().String(), int(s.Addr.Port())
		case s.Missing != "" && i < len(cfg.Servers):
			o.Used, o.Addr, o.Port, o.State, o.Missing = true, s.Host, cfg.Servers[i].Port, string(pool.StateDown), s.Missing
		}
		if s.Failed {
			o.FailedAt = wall(s.FailedAt)
		}
		out[i] = o
	}
	return out
}

// wall turns a time of the Dispatcher's clock into one of the calendar.
func wall(d time.Duration) time.Time { return time.Unix(0, int64(d)) }

// snapshots are those of all services.
func (a *App) snapshots() []stats.Snapshot {
	now := a.cfg.Load()
	var out []stats.Snapshot
	for _, c := range now.Services {
		out = append(out, now.services[c.Name].Snapshot())
	}
	return out
}

// Snapshot implements [engine.Service].
func (s *service) Snapshot() stats.Snapshot {
	a, st := s.app, s.d.Status()
	out := stats.Snapshot{
		Name: nameShown(s.name), Time: wall(st.Now), Current: st.Last, Servers: serversOf(st.Servers, s.config()),
		ClientsMax: st.ClientsMax, Evicted: st.Evicted, ConnMax: st.ConnMax, ConnUsed: len(st.Flows),
	}
	for _, c := range st.Clients {
		addr := "unix"
		if c.Addr.IsValid() {
			addr = c.Addr.String()
		}
		out.Clients = append(out.Clients, stats.Client{
			Slot: c.Slot, Addr: addr, Last: wall(c.Last), Server: c.Server,
			Connects: c.Connects, Sent: c.Sent, Received: c.Received,
		})
	}
	for what, n := range st.Shown() {
		if n > 0 {
			out.Refused = append(out.Refused, stats.Refused{Reason: what, Count: n})
		}
	}
	for _, c := range a.cfg.Load().certificates(s.name) {
		out.Certificates = append(out.Certificates, stats.Certificate{
			Names: c.Names, Source: c.Source, NotAfter: c.NotAfter, Issuer: c.Issuer, Stapled: c.Stapled, Problem: c.Error,
		})
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
