package app

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"sync"

	"pen/internal/check"
	"pen/internal/config"
	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/health"
	"pen/internal/pool"
	"pen/internal/stats"
)

// A place is the slot of a server in a service.
type place struct {
	d    *dispatch.Dispatcher
	slot int
}

// An agentState is what the agent of the server at an address says of it.
type agentState struct {
	pool.Agent
	of string
}

// checks tell the services what is found of their servers.
type checks struct {
	monitor  *health.Monitor
	receiver *health.Receiver

	mu     sync.Mutex // guards all below; the Dispatchers' are taken under it
	places map[health.Key][]place
	keys   map[place][]health.Key
	agents map[place]agentState   // what agents have said
	asked  map[place]string       // the addresses of servers that have one
	hosts  map[netip.Addr][]place // of servers that report by themselves
}

func (a *App) newChecks(agents int) *checks {
	c := &checks{agents: map[place]agentState{}}
	c.monitor = health.New(health.Options{Log: a.opt.Log, OnChange: c.changed, OnPass: c.passed, OnReport: c.reported})
	c.receiver = health.NewReceiver(health.ReceiverOptions{
		Log:      a.opt.Log,
		MaxConns: agents,
		OnChange: func(addr netip.Addr, s check.State) { c.hostReported(addr, check.Report{State: s, Weight: -1}) },
		OnReport: c.hostReported,
	})
	return c
}

// healths are the words of checks in those of the pool.
var healths = map[check.State]pool.Health{check.Unknown: pool.HealthUnknown, check.Up: pool.HealthUp, check.Down: pool.HealthDown}

// changed is called by the monitor.
func (c *checks) changed(k health.Key, s check.State) {
	if k.Spec.Kind == check.Agent {
		return // what it says counts, not whether it is there
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.places[k] {
		p.d.SetHealth(p.slot, healths[s])
		if s == check.Down {
			p.d.Lost(p.slot)
		}
	}
}

// passed is called by the monitor.
func (c *checks) passed(k health.Key) {
	if k.Spec.Kind == check.Agent {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.places[k] {
		p.d.CheckPassed(p.slot)
	}
}

// modes are the words of agents in those of the pool.
var modes = map[check.Mode]pool.Admin{check.Ready: pool.Enabled, check.Drain: pool.Draining, check.Maint: pool.Disabled}

// reported is called by the monitor.
func (c *checks) reported(k health.Key, r check.Report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.places[k] {
		c.apply(p, r)
	}
}

// hostReported is called by the receiver.
func (c *checks) hostReported(addr netip.Addr, r check.Report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.hosts[addr] {
		c.apply(p, r)
	}
}

// apply takes over what a report says of a server; the rest stays as it is.
func (c *checks) apply(p place, r check.Report) {
	now, ok := c.agents[p]
	if !ok {
		now.Weight, now.of = -1, c.asked[p]
	}
	if r.Weight >= 0 {
		now.Weight = r.Weight
	}
	if r.State != check.Unknown {
		now.Down = r.State == check.Down
	}
	if mode, ok := modes[r.Mode]; ok {
		now.Admin = mode
	}
	c.agents[p] = now
	p.d.SetAgent(p.slot, now.Agent)
}

// A watchList has the servers to check, and the services that want to know.
type watchList struct {
	places  map[health.Key][]place
	keys    map[place][]health.Key
	targets []health.Target

	hosts     map[netip.Addr][]place
	reporters []health.Reporter
	asked     map[place]string // the addresses of servers that have an agent of either sort
}

// watchListOf lists the servers of a configuration.
func watchListOf(cfg config.Config, policies []dispatch.Config, services map[string]*service) watchList {
	r := watchList{places: map[health.Key][]place{}, keys: map[place][]health.Key{}, hosts: map[netip.Addr][]place{}, asked: map[place]string{}}
	for i, s := range cfg.Services {
		if s.Check == (check.Spec{}) && s.Agent == (check.Spec{}) && s.AgentPush == 0 {
			continue
		}
		for slot, server := range policies[i].Pool.Servers {
			if !server.Used() {
				continue
			}
			p := place{services[s.Name].d, slot}
			who := []health.Subscriber{{Service: s.Name, Server: cmp.Or(server.Name, strconv.Itoa(slot))}}
			for _, spec := range []check.Spec{s.Check, s.Agent} {
				if spec != (check.Spec{}) {
					r.check(p, keyOf(server, spec), server.Others, who)
				}
			}
			host := server.Addr.Addr()
			if s.Agent != (check.Spec{}) || s.AgentPush > 0 {
				r.asked[p] = cmp.Or(server.Path, host.String())
			}
			if s.AgentPush > 0 && host.IsValid() {
				r.hosts[host] = append(r.hosts[host], p)
				r.reporters = append(r.reporters, health.Reporter{Addr: host, Every: s.AgentPush, Subscribers: who})
			}
		}
	}
	return r
}

// keyOf is a check of a server. What the service puts on connections is there in
// a check as well, but not where that asks another port, or an agent.
func keyOf(server pool.Config, spec check.Spec) health.Key {
	k := health.Key{Addr: server.Addr, Path: server.Path, Host: server.Host, Spec: spec}
	if spec.Port == 0 && spec.Kind != check.Agent && spec.Kind != check.Exec {
		k.Preamble = edge.PreambleOf(server.Preamble).Bare()
	}
	return k
}

func (r *watchList) check(p place, k health.Key, others []netip.AddrPort, who []health.Subscriber) {
	r.places[k] = append(r.places[k], p)
	r.keys[p] = append(r.keys[p], k)
	t := health.Target{Key: k, Subscribers: who}
	for _, addr := range others {
		t.Others = append(t.Others, addr.Addr())
	}
	r.targets = append(r.targets, t)
}

// set makes the checks of a configuration the ones that are made, and tells the
// services what is known already.
func (c *checks) set(r watchList) {
	c.mu.Lock()
	c.forget(r)
	c.places, c.keys, c.hosts, c.asked = r.places, r.keys, r.hosts, r.asked
	c.mu.Unlock()
	c.monitor.Set(r.targets)
	c.receiver.Set(r.reporters)
	for _, st := range c.monitor.States() {
		if st.Spec.DryRun {
			continue
		}
		c.changed(st.Key, st.State)
		if st.Report != nil {
			c.reported(st.Key, *st.Report)
		}
	}
	for _, st := range c.receiver.States() {
		if st.Report != nil {
			c.hostReported(st.Addr, *st.Report)
		}
		// It may have been silent since.
		c.hostReported(st.Addr, check.Report{State: st.State, Weight: -1})
	}
}

// forget takes back what was found of servers that are checked otherwise from
// now on. Called with mu held.
func (c *checks) forget(r watchList) {
	for p, was := range c.agents {
		if r.asked[p] != was.of {
			delete(c.agents, p)
			p.d.SetAgent(p.slot, pool.Agent{Weight: -1})
		}
	}
	for p, old := range c.keys {
		for _, k := range old {
			if k.Spec.Kind != check.Agent && !slices.Contains(r.keys[p], k) {
				p.d.SetHealth(p.slot, pool.HealthUnknown)
			}
		}
	}
}

// found returns what is known of the first n slots of a service. Its cost does not
// grow with the other services.
func (c *checks) found(d *dispatch.Dispatcher, n int) map[int][]stats.Check {
	keys := map[int][]health.Key{}
	c.mu.Lock()
	for slot := range n {
		if ks := c.keys[place{d, slot}]; ks != nil {
			keys[slot] = ks
		}
	}
	c.mu.Unlock()
	out := make(map[int][]stats.Check, len(keys))
	for slot, ks := range keys {
		for _, k := range ks {
			st, _ := c.monitor.Status(k)
			o := stats.Check{Kind: string(k.Spec.Kind), State: st.State.String(), DryRun: k.Spec.DryRun, Reason: st.Reason, Duration: st.Duration}
			if st.Report != nil {
				o.State = st.Report.String()
			}
			out[slot] = append(out[slot], o)
		}
	}
	return out
}
