package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"syscall"

	"pen/internal/build"
	"pen/internal/client"
	"pen/internal/config"
	"pen/internal/dispatch"
	"pen/internal/plane"
	"pen/internal/plane/datagram"
	"pen/internal/plane/loop"
	"pen/internal/plane/stream"
	"pen/internal/sock"
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
	endTick   context.CancelFunc // nil before Start
}

// A listener is a socket and the plane that has it on loan. retire ends the plane:
// it takes no more clients.
type listener struct {
	ln     *sock.Listener
	plane  plane.Plane
	retire context.CancelFunc
}

// A planeKey tells listeners apart.
type planeKey struct{ service, address string }

// A draft is a configuration that is ready to be used: all that can fail is
// done.
type draft struct {
	cfg config.Config
	*build.Built
	heirs map[string]*service
	bound map[planeKey]listener
}

// heirs returns what runs already of the services of a configuration, by their
// names there. A new service with an address of one that is gone is the old one
// by another name: it goes on with its connections, clients and counts. Called
// by a change.
func (a *App) heirs(cfg config.Config) map[string]*service {
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

// bind makes the listeners of a configuration that are not there, and planes for
// those whose plane can't do what is wanted. After an error none of them is left.
// Called by a change.
func (a *App) bind(cfg config.Config, heirs map[string]*service) (map[planeKey]listener, error) {
	loops, err := a.loopsEach(cfg)
	if err == nil {
		err = a.wantsNoOthers(cfg, heirs)
	}
	if err != nil {
		return nil, err
	}
	bound := map[planeKey]listener{}
	for _, s := range cfg.Services {
		for _, addr := range s.Listeners() {
			var old listener
			if running := heirs[s.Name]; running != nil {
				old = running.listeners[addr]
			}
			if old.plane != nil && !outgrown(old.plane, s) {
				continue
			}
			l, err := a.listen(s, addr, loops, old)
			if err != nil {
				discard(bound)
				return nil, config.InService(s.Name, err)
			}
			bound[planeKey{s.Name, addr}] = l
		}
	}
	return bound, nil
}

// wantsNoOthers reports an address that a service wants while another one has it.
// Called within change.
func (a *App) wantsNoOthers(cfg config.Config, heirs map[string]*service) error {
	for _, s := range cfg.Services {
		for _, addr := range s.Listeners() {
			running := heirs[s.Name]
			if running != nil && running.listeners[addr].plane != nil || addr == "0" || strings.HasSuffix(addr, ":0") {
				continue
			}
			for name, other := range a.services {
				if l, ok := other.listeners[addr]; ok && l.ln.IsDatagram() == s.UDP {
					return config.InService(s.Name, fmt.Errorf("can't bind local address %s: %w: %s listens there, and must give it up before", addr, syscall.EADDRINUSE, config.Describe(name)))
				}
			}
		}
	}
	return nil
}

// discard closes listeners that are not served.
func discard(listeners map[planeKey]listener) {
	for _, l := range listeners {
		l.retire()
	}
}

// outgrown reports whether a plane can't do what a service needs now.
func outgrown(p plane.Plane, s config.Service) bool {
	_, loops := p.(*loop.Plane)
	return loops && s.HasEdges()
}

// log is where a service logs.
func (a *App) log(service string) *slog.Logger {
	return a.opt.Log.With("service", service)
}

// listen makes a plane, behind the socket of the one that it takes the place of, if
// there is one: so no client is refused.
func (a *App) listen(s config.Service, addr string, loops int, old listener) (listener, error) {
	listen := a.sockets.Listen
	switch {
	case old.plane != nil:
		listen = func(string) (*sock.Listener, error) { return old.ln.Lend(), nil }
	case s.UDP:
		listen = a.sockets.ListenDatagram
	}
	ln, err := listen(addr)
	if err != nil {
		return listener{}, err
	}
	p, err := a.newPlane(s, ln, loops)
	if err != nil {
		return listener{}, errors.Join(err, ln.Release())
	}
	return listener{ln, p, func() { p.Close() }}, nil
}

func (a *App) newPlane(s config.Service, ln *sock.Listener, loops int) (plane.Plane, error) {
	log := a.log(s.Name)
	if s.UDP {
		return datagram.New(ln, log)
	}
	if usesLoops(s) {
		return loop.New(ln, loops, a.processors, log)
	}
	return stream.New(ln, log)
}

// use makes a draft effective: services that are new begin, those that are gone
// take nothing new and end with their last connection. Called by a change.
func (a *App) use(next draft) {
	services, shared := map[string]*service{}, build.IsShared(next.cfg)
	for i, s := range next.cfg.Services {
		policy := next.Policies[i]
		policy.Clients, policy.Budget = a.table(s), a.budgetOf(s, shared)
		running := next.heirs[s.Name]
		if running == nil {
			running = &service{app: a, name: s.Name, d: dispatch.New(policy, a.now)}
			running.endTick = a.tick(running.d)
		} else {
			if next.Fresh[s.Name] {
				running.d.Configure(policy)
			}
		}
		if next.Fresh[s.Name] {
			a.sayMissing(s, policy.Pool)
		}
		services[s.Name] = &service{a, s.Name, running.d, running.listeners, running.endTick}
	}
	a.useTLS(next.TLS)
	ends := edgesOf(next.cfg, next.TLS, services)
	for _, s := range next.cfg.Services {
		a.useListeners(services[s.Name], s, ends[s.Name], next.bound)
	}
	stay := map[*service]bool{}
	for _, s := range next.heirs {
		stay[s] = true
	}
	for _, s := range a.services {
		if !stay[s] {
			s.retire(nil)
			a.ending.add(s)
		}
	}
	a.services = services
	a.fitTables(next.cfg)
	a.cfg.Store(&inForce{next.cfg, next.Lists, services, next.TLS})
	a.builder.Use(next.Built)
	a.built += len(next.Fresh)
	a.warnObsolete(next.cfg)
	if a.started {
		a.checks.set(rosterOf(next.cfg, next.Policies, services))
	}
}

// useListeners has a service listen where its configuration says.
func (a *App) useListeners(running *service, s config.Service, e *stream.Edge, bound map[planeKey]listener) {
	listeners := map[string]listener{}
	for _, addr := range s.Listeners() {
		old := running.listeners[addr]
		l, ok := bound[planeKey{s.Name, addr}]
		if !ok {
			l = old
		}
		setEdges(l.plane, s, e)
		a.setBacklog(l.ln, s, e.TLS != nil)
		if ok && old.plane != nil {
			old.retire()
			<-old.ln.Released() // from now on no client gets what was configured before
		}
		if ok {
			l = a.serve(l, running.d)
		}
		listeners[addr] = l
	}
	running.retire(listeners)
	running.listeners = listeners
}

// setBacklog sets how many connections may wait to be accepted.
func (a *App) setBacklog(ln *sock.Listener, s config.Service, tls bool) {
	if ln.IsDatagram() {
		return
	}
	n := s.Backlog
	if tls && n == 0 && ln.Addr().Network() == "tcp" {
		n = tlsBacklog
	}
	if err := ln.SetBacklog(n); err != nil {
		a.log(s.Name).Warn("can't change how many connections may wait", "listener", ln.Addr(), "error", err)
	}
}

// tick has a Dispatcher end the waits of its flows, from Start to the end of all
// flows or of its service's last one.
func (a *App) tick(d *dispatch.Dispatcher) context.CancelFunc {
	if !a.started {
		return nil
	}
	ctx, end := context.WithCancel(a.ticking)
	a.ticks.Go(func() { plane.Tick(ctx, d) })
	return end
}

// serve has a listener's plane carry traffic until it is retired or the App is
// stopped; before Start it only keeps it.
func (a *App) serve(l listener, d *dispatch.Dispatcher) listener {
	if !a.started {
		return l
	}
	ctx, retire := context.WithCancel(a.stopping)
	a.serving.Go(func() {
		defer retire()
		if err := l.plane.Serve(ctx, d); err != nil {
			a.opt.Log.Error("listener ended", "error", err)
		}
	})
	return listener{l.ln, l.plane, retire}
}

// serveAll begins to serve the listeners that were made before Start. Called
// by a change.
func (a *App) serveAll() {
	services := map[string]*service{}
	for name, s := range a.services {
		listeners := map[string]listener{}
		for addr, l := range s.listeners {
			listeners[addr] = a.serve(l, s.d)
		}
		services[name] = &service{a, name, s.d, listeners, a.tick(s.d)}
	}
	a.services = services
	cfg := *a.cfg.Load()
	cfg.services = services
	a.cfg.Store(&cfg)
	a.checks.set(rosterOf(cfg.Config, a.builder.Used().Policies, services))
}

// retire ends the listeners at addresses that are not among those that stay.
func (s *service) retire(stay map[string]listener) {
	for addr, l := range s.listeners {
		if _, ok := stay[addr]; !ok {
			l.retire()
		}
	}
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

// label says in a log which service it is.
func (s *service) label() []any { return []any{"service", s.name} }

// config is what is said of the service; the zero Service once it has ended.
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
