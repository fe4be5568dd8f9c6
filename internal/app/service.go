package app

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"pen/internal/build"
	"pen/internal/client"
	"pen/internal/config"
	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/plane"
	"pen/internal/store"
)

// A service is what runs of one config.Service: its policy, and the planes that
// carry its traffic.
type service struct {
	app  *App
	name string
	d    *dispatch.Dispatcher
	// listeners by the addresses that the configuration gives. The map is
	// replaced, never changed.
	listeners map[string]listener
	endTick   context.CancelFunc
}

// A draft is a configuration that is ready to be used, once its listeners are bound:
// then all that can fail is done.
type draft struct {
	cfg config.Config
	*build.Built
	policies []dispatch.Config        // of services, in their order, with what these share
	kept     map[string]*service      // those that run, by their names in cfg
	services map[string]*service      // all of cfg
	ends     map[string]*edge.Ends    // of services
	bound    map[listenerKey]listener // that are new, or have a new plane
}

// draft makes a draft of a configuration. Nothing runs of new services yet. Called by
// a change.
func (a *App) draft(cfg config.Config, b *build.Built, kept map[string]*service) *draft {
	next := &draft{cfg: cfg, Built: b, policies: slices.Clone(b.Policies), kept: kept, services: map[string]*service{}}
	shared := build.IsShared(cfg)
	for i, s := range cfg.Services {
		policy := &next.policies[i]
		policy.Clients, policy.Budget = a.table(s), a.budgetOf(s, shared)
		running := kept[s.Name]
		if running == nil {
			running = &service{d: dispatch.New(*policy, a.now)}
		}
		next.services[s.Name] = &service{a, s.Name, running.d, running.listeners, running.endTick}
	}
	next.ends = endsOf(cfg, b, next.services)
	return next
}

// kept returns what runs already of the services of a configuration, by their
// names there. A new service with an address of one that is gone is the old one
// by another name: it goes on with its connections, clients and counts. Called
// by a change.
func (a *App) kept(cfg config.Config) map[string]*service {
	out := map[string]*service{}
	left, old := maps.Clone(a.services), a.Config()
	for _, s := range cfg.Services {
		if running := left[s.Name]; running != nil {
			out[s.Name] = running
			delete(left, s.Name)
		}
	}
	for _, s := range cfg.Services {
		for name, running := range left {
			if was := old.Service(name); out[s.Name] == nil && was != nil && store.IsRename(was, s) {
				out[s.Name] = running
				delete(left, name)
			}
		}
	}
	return out
}

// log is where a service logs.
func (a *App) log(service string) *slog.Logger {
	return a.opt.Log.With("service", service)
}

// use puts a draft into use: new services start, and removed ones accept no more
// clients and are gone with their last connection. Called within change.
func (a *App) use(next *draft) {
	next.retireReplaced()
	for i, s := range next.cfg.Services {
		running := next.services[s.Name]
		switch {
		case next.kept[s.Name] == nil:
			running.endTick = a.tick(running.d)
		case next.Fresh[s.Name]:
			running.d.Configure(next.policies[i])
		}
		if next.kept[s.Name] == nil || next.Fresh[s.Name] {
			a.sayMissing(s, next.policies[i].Pool)
		}
	}
	a.useTLS(next.TLS)
	for _, s := range next.cfg.Services {
		a.useListeners(next.services[s.Name], s, next)
	}
	stay := map[*service]bool{}
	for _, s := range next.kept {
		stay[s] = true
	}
	for _, s := range a.services {
		if !stay[s] {
			s.retire(nil)
			a.ending.add(s)
		}
	}
	a.services = next.services
	a.fitTables(next.cfg)
	a.cfg.Store(&inUse{next.cfg, next.Lists, next.services, next.TLS, sweepTurnOf(next.cfg)})
	a.builder.Use(next.Built)
	a.built += len(next.Fresh)
	a.warnObsolete(next.cfg)
	a.checks.set(watchListOf(next.cfg, next.Policies, next.services))
}

// tick has a Dispatcher end the waits of its flows, from Start to the end of all
// flows or of its service's last one.
func (a *App) tick(d *dispatch.Dispatcher) context.CancelFunc {
	ctx, end := context.WithCancel(a.ticking)
	a.ticks.Go(func() { plane.Tick(ctx, d) })
	return end
}

// table is the client table of a service, or nil if it has one of its own.
// Called by a change.
func (a *App) table(s config.Service) *client.Table {
	if s.Table == "" {
		return nil
	}
	t := a.tables[s.Table]
	if t == nil {
		t = client.New(s.ClientsMax)
		a.tables[s.Table] = t
	}
	return t
}

// fitTables has each shared table as large, and remember as long, as the
// service that wants the most of it. Called by a change.
func (a *App) fitTables(cfg config.Config) {
	wanted := map[string]config.Service{}
	for _, s := range cfg.Services {
		if s.Table == "" {
			continue
		}
		w, ok := wanted[s.Table]
		if !ok {
			wanted[s.Table] = s
			continue
		}
		w.ClientsMax = max(w.ClientsMax, s.ClientsMax)
		if s.Tracking == 0 || w.Tracking == 0 {
			w.Tracking = 0
		} else {
			w.Tracking = max(w.Tracking, s.Tracking)
		}
		wanted[s.Table] = w
	}
	for name, t := range a.tables {
		w, ok := wanted[name]
		if !ok {
			delete(a.tables, name)
			continue
		}
		t.Resize(w.ClientsMax)
		t.SetTracking(w.Tracking)
	}
}

// label is the service as an attribute of a log line.
func (s *service) label() []any { return []any{"service", s.name} }

// config is the service's configuration; the zero Service once the service is gone.
func (s *service) config() config.Service {
	if of := s.app.Config().Service(s.name); of != nil {
		return *of
	}
	return config.Service{}
}

// addresses are those that are bound, in the order of the configuration.
func (s *service) addresses() []string {
	var out []string
	for _, addr := range s.config().Listeners() {
		if l, ok := s.listeners[addr]; ok {
			out = append(out, l.ln.Addr().String())
		}
	}
	return out
}
