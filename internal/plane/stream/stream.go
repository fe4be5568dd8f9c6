// Package stream is the data plane that works everywhere: two goroutines for
// each TCP or Unix connection.
//
// On Linux bulk data goes from socket to socket through a pipe, without being
// copied into the program; see pump_linux.go. An idle connection costs two
// descriptors, two goroutines and no buffer.
package stream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/plane"
	"pen/internal/plane/idlers"
	"pen/internal/plane/relay"
	"pen/internal/plane/splice"
	"pen/internal/sock"
	"pen/internal/tlsterm"
)

// Pauses of the accept loop after an error, such as a lack of descriptors.
const (
	minPause = 5 * time.Millisecond
	maxPause = 50 * time.Millisecond
)

// A Plane serves one listener.
type Plane struct {
	ln    net.Listener // its Close releases the one on loan
	log   *slog.Logger
	pipes *splice.Pipes // set by Serve
	conns sync.WaitGroup

	ends     atomic.Pointer[edge.Ends]
	timeouts timeouts

	givenUp plane.Sometimes // clients for whom there was no server
	drain   relay.Patience  // with a side that takes its last bytes
	doubts  plane.Doubts
	serving context.Context // until the plane takes nothing new; set by Serve
}

var _ plane.Plane = (*Plane)(nil)

// New returns a plane for a listener of connections.
func New(ln *sock.Listener, log *slog.Logger) (*Plane, error) {
	p := &Plane{log: log, timeouts: timeouts{edge.HeaderTime, edge.HandshakeTime, edge.HeadTime, lingerTime}, drain: relay.DrainTime}
	p.ends.Store(&edge.Ends{})
	var err error
	p.ln, err = ln.Connections()
	return p, err
}

// Close implements [plane.Plane].
func (p *Plane) Close() error { return p.ln.Close() }

// Serve implements [plane.Plane].
func (p *Plane) Serve(ctx context.Context, d *dispatch.Dispatcher) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.conns.Go(func() {
		<-ctx.Done()
		p.ln.Close()
	})
	p.serving = ctx
	own := idlers.Join(d, p.log)
	p.conns.Go(func() { own.Run(ctx) })
	p.pipes = splice.Join(d)
	defer p.pipes.Leave()
	err := p.accept(ctx, d)
	cancel()
	p.conns.Wait()
	return errors.Join(err, p.Close())
}

// accept takes connections until ctx is done. While there is no room for
// another one, clients wait in the kernel's queue; but for one that is accepted
// already when another listener takes the last place.
func (p *Plane) accept(ctx context.Context, d *dispatch.Dispatcher) error {
	pause := time.Duration(0)
	for ctx.Err() == nil {
		if room := p.room(d); room != nil {
			select {
			case <-room:
			case <-ctx.Done():
			}
			continue
		}
		c, err := p.ln.Accept()
		if err == nil {
			if pause > 0 {
				p.log.Warn("accepting connections again", "listener", p.ln.Addr())
				pause = 0
			}
			p.admit(ctx, d, c.(conn))
			continue
		}
		if ctx.Err() != nil {
			break
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("listener %v: %w", p.ln.Addr(), err)
		}
		if pause == 0 {
			p.log.Error("can't accept connections", "listener", p.ln.Addr(), "error", err)
		}
		pause = min(max(2*pause, minPause), maxPause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	return nil
}

// room returns nil, or what is closed when it is time to look again whether there
// is room for another connection and, where it wants one, for a handshake.
func (p *Plane) room(d *dispatch.Dispatcher) <-chan struct{} {
	if room := d.Room(); room != nil || p.ends.Load().TLS == nil {
		return room
	}
	runtime.Gosched() // the client that was accepted last may have a hello to count
	return tlsterm.Room()
}

// admit begins a client's flow, or refuses the client. It is part of the accept
// loop, which must know of this flow when it asks for room for the next.
func (p *Plane) admit(ctx context.Context, d *dispatch.Dispatcher, client conn) {
	l, s := newLink(p, client), edge.Service{Dispatcher: d, Ends: p.ends.Load()}
	place, ok := reserve(ctx, d)
	if !ok {
		l.broken.Store(true)
		l.close()
		return
	}
	start, err := admitTo(place, l, s.Ends)
	f := start.Flow
	l.flow = f
	if err != nil {
		p.refused(l, err)
		l.close()
		if f != nil {
			f.Done(l.machine.Ending())
		}
		return
	}
	p.conns.Go(func() {
		defer func() {
			l.close() // before: the flow's descriptors are lent to the next one
			f.Done(l.machine.Ending())
		}()
		asked := asks(s.Ends, l)
		if asked {
			if f, s, err = p.open(f, l, s); err != nil {
				p.refused(l, err)
				return
			}
		}
		l.service = s
		if tls := s.Ends.TLS; tls != nil && !p.secure(l, tls) {
			return
		}
		if asked {
			start = f.Begin()
		}
		p.serve(start, l)
	})
}

// admitTo judges a client before anything is waited for. A proxy that is trusted to
// say who the client is has a place only. A flow that comes with an error is to be
// ended.
func admitTo(place dispatch.Place, l *link, e *edge.Ends) (dispatch.Start, error) {
	if !asks(e, l) {
		return place.Begin(l.from, l)
	}
	f := place.Open(l)
	if e.Proxies.Include(l.from.Addr()) {
		return dispatch.Start{Flow: f}, nil
	}
	return dispatch.Start{Flow: f}, f.Admit(l.from)
}

// reserve waits for a place. It reports false where ctx is done before.
func reserve(ctx context.Context, d *dispatch.Dispatcher) (dispatch.Place, bool) {
	for {
		place, full := d.Reserve()
		if full == nil {
			return place, true
		}
		select {
		case <-full:
		case <-ctx.Done():
			return place, false
		}
	}
}

// secure does the client's handshake. It reports whether that succeeded.
func (p *Plane) secure(l *link, tls *tlsterm.Server) bool {
	err := l.secure(tls)
	if err == nil {
		return true
	}
	switch {
	case errors.Is(err, tlsterm.ErrChallenge):
		l.machine.Note(dispatch.ByCompletion)
	case errors.Is(err, tlsterm.ErrBusy):
		l.refuse(l.service, dispatch.Busy)
		l.broken.Store(true) // at once, so that it may try again
	default:
		l.refuse(l.service, dispatch.BadHello)
	}
	p.log.Debug("no TLS with client", "client", l.from, "reason", err)
	return false
}

// serve handles one connection after its client has been admitted.
func (p *Plane) serve(start dispatch.Start, l *link) {
	if start.Dummy {
		l.answer()
		return
	}
	t, ok := p.connect(start, l)
	if !ok {
		return
	}
	start.Flow.Up()
	l.relay(t)
	l.linger()
}

// connect goes through the servers that the flow offers until one accepts,
// which it returns, or until there is an idler.
func (p *Plane) connect(start dispatch.Start, l *link) (dispatch.Target, bool) {
	ctx, cancel := l.cancelled()
	defer cancel()
	f := start.Flow
	for t, ok := start.Target, start.Found; ; t, ok = f.Next() {
		if !ok && f.Wait(l.wake) {
			if !l.await() {
				return t, false
			}
			continue
		}
		if !ok {
			l.machine.Note(dispatch.Refused)
			if n := p.givenUp.Due(); n > 0 {
				p.log.Warn("no server for client", "client", l.from, "clients", n)
			}
			return t, false
		}
		server, err := p.dial(ctx, t, l)
		if err == nil {
			return t, l.connected(server)
		}
		if d := l.service.Dispatcher; p.doubts.Failed(f, t, err, p.log) {
			p.conns.Go(func() { p.doubts.Verify(p.serving, d, t, p.log) })
		}
		if ctx.Err() != nil {
			return t, false
		}
	}
}

// dial returns a connection to a server on which the client's bytes may follow.
func (p *Plane) dial(ctx context.Context, t dispatch.Target, l *link) (side, error) {
	var c net.Conn
	if d := l.service.Dispatcher; d.ReadySpares() > 0 {
		c = idlers.Of(d).Take(t)
	}
	if c == nil {
		var err error
		if c, err = plane.Dial(ctx, plane.Target(t)); err != nil {
			return side{}, err
		}
	}
	preamble := edge.PreambleOf(t.Preamble)
	if preamble == (edge.Preamble{}) {
		return side{conn: c.(conn)}, nil
	}
	if preamble.TLVs.UniqueID && l.header.UniqueID == "" {
		l.header.UniqueID = rand.Text()
	}
	secure, err := preamble.Open(ctx, c, l.header, t.Timeout)
	if err != nil {
		c.Close()
		if preamble.Header != 0 { // with what the client said
			err = plane.Attempt(err)
		}
		return side{}, err
	}
	return side{c.(conn), secure}, nil
}

// A conn is what both sides of a link are: a TCP or a Unix connection.
type conn interface {
	net.Conn
	syscall.Conn
	CloseWrite() error
}
