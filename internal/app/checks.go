package app

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"pen/internal/check"
	"pen/internal/config"
	"pen/internal/dispatch"
	"pen/internal/health"
	"pen/internal/pool"
)

// A place is the slot of a server in a service.
type place struct {
	d    *dispatch.Dispatcher
	slot int
}

// checks tell the services what is found of their servers.
type checks struct {
	monitor *health.Monitor

	mu     sync.Mutex // guards all below; the Dispatchers' are taken under it
	places map[health.Key][]place
	keys   map[place][]health.Key
	agents map[place]pool.Agent // what agents have said
}

func (a *App) newChecks() *checks {
	c := &checks{agents: map[place]pool.Agent{}}
	c.monitor = health.New(health.Options{Log: a.opt.Log, OnChange: c.changed, OnReport: c.reported})
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
	}
}

// modes are the words of agents in those of the pool.
var modes = map[check.Mode]pool.Admin{check.Ready: pool.Enabled, check.Drain: pool.Draining, check.Maint: pool.Disabled}

// reported is called by the monitor.
func (c *checks) reported(k health.Key, r check.Report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.places[k] {
		c.hear(p, r)
	}
}

// hear takes a report; what it does not speak of stays as it is.
func (c *checks) hear(p place, r check.Report) {
	now, ok := c.agents[p]
	if !ok {
		now.Weight = -1
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
	p.d.SetAgent(p.slot, now)
}

// set makes the checks of a configuration the ones that are made, and tells the
// services what is known already.
func (c *checks) set(cfg config.Config, policies []dispatch.Config, services map[string]*service) {
	places, keys := map[health.Key][]place{}, map[place][]health.Key{}
	var targets []health.Target
	for i, s := range cfg.All() {
		for slot, server := range policies[i].Pool.Servers {
			if !server.Used() {
				continue
			}
			p := place{services[s.Name].d, slot}
			for _, spec := range []check.Spec{s.Check, s.Agent} {
				if spec == (check.Spec{}) {
					continue
				}
				k := health.Key{Addr: server.Addr, Path: server.Path, Spec: spec}
				places[k] = append(places[k], p)
				keys[p] = append(keys[p], k)
				name := server.Name
				if name == "" {
					name = strconv.Itoa(slot)
				}
				targets = append(targets, health.Target{Key: k, Subscribers: []health.Subscriber{{Service: s.Name, Server: name}}})
			}
		}
	}
	c.mu.Lock()
	c.forget(keys)
	c.places, c.keys = places, keys
	c.mu.Unlock()
	c.monitor.Set(targets)
	for _, st := range c.monitor.States() {
		if st.Spec.DryRun {
			continue
		}
		c.changed(st.Key, st.State)
		if st.Report != nil {
			c.reported(st.Key, *st.Report)
		}
	}
}

// forget takes back what was found of servers that are checked otherwise from
// now on. Called with mu held.
func (c *checks) forget(keys map[place][]health.Key) {
	for p, old := range c.keys {
		still := map[health.Key]bool{}
		for _, k := range keys[p] {
			still[k] = true
		}
		for _, k := range old {
			switch {
			case still[k]:
			case k.Spec.Kind == check.Agent:
				delete(c.agents, p)
				p.d.SetAgent(p.slot, pool.Agent{Weight: -1})
			default:
				p.d.SetHealth(p.slot, pool.HealthUnknown)
			}
		}
	}
}

// found is what is known of each slot of a service, in words.
func (c *checks) found(d *dispatch.Dispatcher) map[int]string {
	c.mu.Lock()
	keys := maps.Clone(c.keys)
	c.mu.Unlock()
	if len(keys) == 0 {
		return nil
	}
	known := map[health.Key]health.Status{}
	for _, st := range c.monitor.States() {
		known[st.Key] = st
	}
	out := map[int]string{}
	for p, ks := range keys {
		if p.d != d {
			continue
		}
		var words []string
		for _, k := range ks {
			words = append(words, inWords(known[k]))
		}
		out[p.slot] = strings.Join(words, ", ")
	}
	return out
}

// inWords is what one check has found.
func inWords(st health.Status) string {
	state := st.State.String()
	if st.Report != nil {
		state = st.Report.String()
	}
	text := fmt.Sprintf("%s %s", st.Spec.Kind, state)
	if st.Spec.DryRun {
		text += " (dry_run)"
	}
	if st.Reason != "" {
		text += fmt.Sprintf(", %s in %v", st.Reason, st.Duration.Round(10*time.Microsecond))
	}
	return text
}
