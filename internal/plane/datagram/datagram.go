// Package datagram is the data plane for UDP, and for Unix sockets that take
// datagrams.
//
// A flow is what one client sends from one port to one address of ours, and
// what its server answers. It has a socket of its own, connected to the server:
// so the kernel sorts the answers, and tells when a server's machine says that
// nobody listens there. Clients are answered through the listener's socket,
// from the address that they asked.
//
// One goroutine reads what clients send and never waits for a flow. Each flow
// has a goroutine that waits for answers, and holds a buffer only while it has
// one in hand.
package datagram

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/plane"
	"pen/internal/sock"
)

const (
	// maxDatagram is more than any datagram has.
	maxDatagram = 1 << 16
	// readPause is how long the reader leaves a socket alone that gave an error.
	readPause = 5 * time.Millisecond
)

// A Plane serves one listener.
type Plane struct {
	ln      *sock.Listener
	socket  socket
	log     *slog.Logger
	running sync.WaitGroup
	woken   woken // flows to go on with

	refused plane.Sometimes // datagrams that went nowhere
	unread  plane.Sometimes // errors of the listener
	lost    plane.Sometimes // servers that could not be reached

	ends atomic.Pointer[edge.Ends] // with Datagrams

	mu       sync.Mutex // guards all below, and the flows; never held while waiting
	d        *dispatch.Dispatcher
	flows    table
	suspects map[serverKey]*suspect
	retired  time.Time     // when it was; zero: it is not
	empty    chan struct{} // closed when retired and without flows
	dressed  []byte        // a datagram with its header, on its way out
}

var _ plane.Plane = (*Plane)(nil)

// Unable returns why Ends are refused by Configure, or nil.
func Unable(e *edge.Ends) error {
	switch {
	case e.Datagrams == nil:
		return plane.Unable("datagram", "connections")
	case e.TLS != nil || e.HTTP != nil || e.Routes != nil:
		return plane.Unable("datagram", "TLS, HTTP or routes")
	}
	return nil
}

// Configure implements [plane.Plane].
func (p *Plane) Configure(e *edge.Ends) error {
	if err := Unable(e); err != nil {
		return err
	}
	p.ends.Store(e)
	return nil
}

func (p *Plane) rules() *edge.Datagrams { return p.ends.Load().Datagrams }

// New returns a plane for a listener of datagrams.
func New(ln *sock.Listener, log *slog.Logger) (*Plane, error) {
	c, err := ln.Datagrams()
	if err != nil {
		return nil, err
	}
	s, err := newSocket(c)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	p := &Plane{
		ln: ln, socket: s, log: log, woken: woken{kick: make(chan struct{}, 1)},
		flows: newTable(), suspects: map[serverKey]*suspect{}, empty: make(chan struct{}),
	}
	p.ends.Store(&edge.Ends{Datagrams: &edge.Datagrams{Responses: -1}})
	listeners.count(ln.Addr(), 1)
	return p, nil
}

// Close implements [plane.Plane].
func (p *Plane) Close() error {
	listeners.count(p.ln.Addr(), -1)
	return errors.Join(p.socket.close(), p.ln.Release())
}

// Serve implements [plane.Plane]. Flows end when they are idle, or killed.
func (p *Plane) Serve(ctx context.Context, d *dispatch.Dispatcher) error {
	p.mu.Lock()
	p.d = d
	p.mu.Unlock()
	p.running.Go(p.read)
	p.running.Go(p.resumeAll)
	<-ctx.Done()
	p.retire()
	<-p.empty
	err := p.Close()
	p.running.Wait()
	return err
}

// retire takes no new flows.
func (p *Plane) retire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retired = time.Now()
	p.checkEmpty()
}

func (p *Plane) checkEmpty() {
	if !p.retired.IsZero() && p.flows.len() == 0 {
		select {
		case <-p.empty:
		default:
			close(p.empty)
		}
	}
}

// read forwards what clients send until the socket is closed.
func (p *Plane) read() {
	buf := make([]byte, maxDatagram)
	for {
		n, from, lost, err := p.socket.read(buf)
		if lost > 0 {
			p.d.Drop(dispatch.Unread, lost)
		}
		switch {
		case err == nil:
			p.forward(from, buf[:n])
		case errors.Is(err, net.ErrClosed):
			return
		default:
			if n := p.unread.Due(); n > 0 {
				p.log.Error("can't read datagrams", "listener", p.ln.Addr(), "error", err, "times", n)
			}
			time.Sleep(readPause)
		}
	}
}

// forward sends a client's datagram to its server.
func (p *Plane) forward(from peer, b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h, b, err := p.identify(&from, b)
	if err != nil {
		p.d.Refuse(from.addr, dispatch.BadHeader)
		p.drop(from)
		return
	}
	f := p.flowOf(from, h)
	if f == nil {
		return
	}
	p.touch(f)
	f.send(b)
	p.settle(f)
}

// drop says, now and then, that something is dropped.
func (p *Plane) drop(from peer) {
	if n := p.refused.Due(); n > 0 {
		p.log.Warn("datagrams dropped; status tells why", "client", from, "datagrams", n)
	}
}

// A peer is who sent a datagram, and to which address: the key of a flow.
type peer struct {
	addr  netip.AddrPort // of a UDP client
	path  string         // of the socket of a Unix client; "" where it has none
	asked netip.Addr     // the address of ours that was asked, if we listen on all
	// client is who sent it, as the PROXY header of each datagram says.
	client netip.AddrPort
}

// String returns the client's address.
func (p peer) String() string {
	if p.client.IsValid() {
		return p.client.String()
	}
	if p.addr.IsValid() {
		return p.addr.String()
	}
	return "unix:" + p.path
}
