package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"syscall"

	"pen/internal/config"
	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/plane"
	"pen/internal/plane/datagram"
	"pen/internal/plane/loop"
	"pen/internal/plane/stream"
	"pen/internal/sock"
)

// A listener is a socket and the plane that has it on loan.
type listener struct {
	ln     *sock.Listener
	kind   string // of the plane
	plane  plane.Plane
	retire context.CancelFunc // ends the plane: it accepts no more clients
}

// A listenerKey tells listeners apart. The address is as the configuration has it.
type listenerKey struct{ service, address string }

// A kind of data plane.
type kind struct {
	name string // as the operator calls it
	// unable returns why a plane of this kind would refuse some Ends, or nil.
	unable func(*edge.Ends) error
	build  func(a *App, ln *sock.Listener, loops int, log *slog.Logger) (plane.Plane, error)
}

const loopKind = "loop"

// kinds are all kinds of planes, the preferred ones first. The first that does not
// refuse carries a listener's traffic; the operator may name where to begin.
var kinds = []kind{
	{loopKind, loop.Unable, func(a *App, ln *sock.Listener, loops int, log *slog.Logger) (plane.Plane, error) {
		return loop.New(ln, loops, a.processors, log)
	}},
	{"stream", stream.Unable, func(_ *App, ln *sock.Listener, _ int, log *slog.Logger) (plane.Plane, error) {
		return stream.New(ln, log)
	}},
	{"datagram", datagram.Unable, func(_ *App, ln *sock.Listener, _ int, log *slog.Logger) (plane.Plane, error) {
		return datagram.New(ln, log)
	}},
}

// choose returns the kind of plane for a service's listeners, and why the preferred
// one, or the one that the operator has named, was refused. There may be none.
func choose(s config.Service, e *edge.Ends) (chosen kind, refused error) {
	from := max(0, slices.IndexFunc(kinds, func(k kind) bool { return k.name == s.Plane }))
	for _, k := range kinds[from:] {
		err := k.unable(e)
		if err == nil {
			return k, refused
		}
		refused = cmp.Or(refused, err)
	}
	return kind{}, refused
}

// bind makes the listeners of a draft that are not there, and planes for those whose
// traffic another kind of plane is to carry. After an error none of them is left.
// Called by a change.
func (a *App) bind(next *draft) error {
	loops, err := a.loopsEach(next.cfg, next.ends)
	if err == nil {
		err = a.wantsNoOthers(next.cfg, next.kept)
	}
	if err != nil {
		return err
	}
	next.bound = map[listenerKey]listener{}
	for _, s := range next.cfg.Services {
		chosen, refused := choose(s, next.ends[s.Name])
		if chosen.build == nil {
			next.discard()
			return config.InService(s.Name, refused)
		}
		for _, addr := range s.Listeners() {
			old := next.services[s.Name].listeners[addr]
			if old.kind == chosen.name {
				continue
			}
			l, err := a.listen(s, addr, chosen, loops, old.ln)
			if err != nil {
				next.discard()
				return config.InService(s.Name, err)
			}
			next.bound[listenerKey{s.Name, addr}] = l
			if refused != nil && s.Plane != "" {
				a.log(s.Name).Info("another plane than the configured one", "listener", l.ln.Addr(), "plane", chosen.name, "reason", refused)
			}
		}
	}
	return nil
}

// discard closes the listeners that bind has made.
func (next *draft) discard() {
	for _, l := range next.bound {
		l.retire()
	}
}

// wantsNoOthers reports an address that a service wants while another one has it.
// Called within change.
func (a *App) wantsNoOthers(cfg config.Config, kept map[string]*service) error {
	for _, s := range cfg.Services {
		for _, addr := range s.Listeners() {
			running := kept[s.Name]
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

// listen makes a listener: on the socket of an old one, so that no client is refused
// while planes are exchanged, or on a new socket.
func (a *App) listen(s config.Service, addr string, k kind, loops int, old *sock.Listener) (l listener, err error) {
	switch {
	case old != nil:
		l.ln = old.Lend()
	case s.UDP:
		l.ln, err = a.sockets.ListenDatagram(addr)
	default:
		l.ln, err = a.sockets.Listen(addr)
	}
	if err != nil {
		return l, err
	}
	l.kind = k.name
	if l.plane, err = k.build(a, l.ln, loops, a.log(s.Name)); err != nil {
		return l, errors.Join(err, l.ln.Release())
	}
	l.retire = func() { l.plane.Close() }
	return l, nil
}

// retireReplaced has the planes that others take the place of accept no more clients,
// and waits until they have: clients that come from now on get what the draft says.
func (next *draft) retireReplaced() {
	var replaced []listener
	for at := range next.bound {
		if old, ok := next.services[at.service].listeners[at.address]; ok {
			old.retire()
			replaced = append(replaced, old)
		}
	}
	for _, l := range replaced {
		<-l.ln.Released()
	}
}

// useListeners has a service listen where a draft says, and as it says.
func (a *App) useListeners(s *service, cfg config.Service, next *draft) {
	e, listeners := next.ends[s.name], map[string]listener{}
	for _, addr := range cfg.Listeners() {
		l, isNew := next.bound[listenerKey{s.name, addr}]
		if !isNew {
			l = s.listeners[addr]
		}
		if err := l.plane.Configure(e); err != nil { // choose has asked
			a.log(s.name).Error("listener not configured", "listener", l.ln.Addr(), "error", err)
		}
		a.setBacklog(l.ln, cfg, e.TLS != nil)
		if isNew {
			l = a.serve(l, s.d)
		}
		listeners[addr] = l
	}
	s.retire(listeners)
	s.listeners = listeners
}

// tlsBacklog is how many connections may wait to be accepted where each needs a
// handshake, unless the configuration says otherwise: as many as can be done within a
// second. In a longer queue clients would give up, and be served when they have.
const tlsBacklog = 128

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

// serve has a listener's plane carry traffic until it is retired or the App is stopped.
func (a *App) serve(l listener, d *dispatch.Dispatcher) listener {
	ctx, retire := context.WithCancel(a.stopping)
	p := l.plane
	a.serving.Go(func() {
		defer retire()
		if err := p.Serve(ctx, d); err != nil {
			a.opt.Log.Error("listener ended", "error", err)
		}
	})
	l.retire = retire
	return l
}

// retire ends the listeners at addresses that are not among those that stay.
func (s *service) retire(stay map[string]listener) {
	for addr, l := range s.listeners {
		if _, ok := stay[addr]; !ok {
			l.retire()
		}
	}
}
