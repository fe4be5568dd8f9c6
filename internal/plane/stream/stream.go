// Package stream is the data plane that works everywhere: two goroutines for
// each TCP or Unix connection.
//
// On Linux bulk data goes from socket to socket through a pipe, without being
// copied into the program; see pump_linux.go. An idle connection costs two
// descriptors, two goroutines and no buffer.
package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"pen/internal/dispatch"
	"pen/internal/plane"
	"pen/internal/plane/idlers"
	"pen/internal/sock"
)

// Pauses of the accept loop after an error, such as a lack of descriptors.
const (
	minPause = 5 * time.Millisecond
	maxPause = 50 * time.Millisecond
)

// A Plane serves one listener.
type Plane struct {
	ln    net.Listener
	log   *slog.Logger
	pipes pipes
	conns sync.WaitGroup

	idlers *idlers.Idlers

	givenUp plane.Sometimes // clients for whom there was no server
}

var _ plane.Plane = (*Plane)(nil)

// Listen binds an address as [sock.Listen] does. backlog 0 is what the kernel
// allows.
func Listen(addr string, backlog int, log *slog.Logger) (*Plane, error) {
	ln, err := sock.Listen(addr, backlog)
	if err != nil {
		return nil, err
	}
	return &Plane{ln: ln, log: log, idlers: idlers.New(log)}, nil
}

// Addr is the bound address.
func (p *Plane) Addr() net.Addr { return p.ln.Addr() }

// Close releases a plane that will not be served.
func (p *Plane) Close() error { return p.ln.Close() }

// Serve implements [plane.Plane].
func (p *Plane) Serve(ctx context.Context, d *dispatch.Dispatcher) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.conns.Go(func() {
		<-ctx.Done()
		p.ln.Close()
	})
	p.conns.Go(func() { p.idlers.Run(ctx, d) })
	err := p.accept(ctx, d)
	cancel()
	p.conns.Wait()
	p.pipes.close()
	return err
}

// accept takes connections until ctx is done. While there is no room for
// another one, clients wait in the kernel's queue.
func (p *Plane) accept(ctx context.Context, d *dispatch.Dispatcher) error {
	pause := time.Duration(0)
	for ctx.Err() == nil {
		if room := d.Room(); room != nil {
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
			p.admit(d, c.(conn))
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

// admit begins a client's flow, or refuses the client. It is part of the accept
// loop, which must know of this flow when it asks for room for the next.
func (p *Plane) admit(d *dispatch.Dispatcher, client conn) {
	l := newLink(client)
	from := addrPort(client.RemoteAddr())
	f, err := d.Admit(from, l)
	if err != nil {
		p.log.Debug("client refused", "client", from, "reason", err)
		if errors.Is(err, dispatch.ErrLimited) {
			l.reset()
		} else {
			client.Close()
		}
		return
	}
	p.conns.Go(func() { p.serve(d, f, l, from) })
}

// serve is one connection from its admission to close.
func (p *Plane) serve(d *dispatch.Dispatcher, f *dispatch.Flow, l *link, from netip.AddrPort) {
	defer l.close()
	defer f.Done()
	if f.Dummy() {
		l.answer()
		return
	}
	t, ok := p.connect(d, f, l, from)
	if !ok {
		return
	}
	f.Up()
	l.relay(t, &p.pipes)
}

// connect goes through the servers that the flow offers until one accepts,
// which it returns, or until there is an idler.
func (p *Plane) connect(d *dispatch.Dispatcher, f *dispatch.Flow, l *link, from netip.AddrPort) (dispatch.Target, bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if !l.connecting(cancel) {
		return dispatch.Target{}, false
	}
	for {
		t, ok := f.Next()
		if !ok && f.Wait(l.wake) {
			if !l.await() {
				return t, false
			}
			continue
		}
		if !ok {
			if n := p.givenUp.Due(); n > 0 {
				p.log.Warn("no server for client", "client", from, "clients", n)
			}
			return t, false
		}
		if idler := p.idlers.Take(t, d); idler != nil {
			return t, l.connected(idler.(conn))
		}
		server, err := plane.Dial(ctx, plane.Target(t))
		if err == nil {
			return t, l.connected(server.(conn))
		}
		level := slog.LevelDebug
		if f.Failed(plane.Blame(err)) {
			level = slog.LevelWarn
		}
		p.log.Log(ctx, level, "can't connect to server", "server", t.Slot, "address", t, "error", err)
		if ctx.Err() != nil {
			return t, false
		}
	}
}

// addrPort returns an address without allocating; Unix clients have none.
func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort()
	}
	return netip.AddrPort{}
}

// A conn is what both sides of a link are: a TCP or a Unix connection.
type conn interface {
	net.Conn
	syscall.Conn
	CloseWrite() error
}
