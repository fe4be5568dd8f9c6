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
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"pen/internal/dispatch"
	"pen/internal/plane"
	"pen/internal/sock"
	"pen/internal/wire"
)

const (
	// maxDatagram is more than any datagram has.
	maxDatagram = 1 << 16
	// readPause is how long the reader leaves a socket alone that gave an error.
	readPause = 5 * time.Millisecond
	// spared is how long a client must have been silent that has a conversation
	// with its server, for its flow to be ended in favour of a new one.
	spared = 2 * time.Second
)

// A Plane serves one listener.
type Plane struct {
	socket  socket
	log     *slog.Logger
	running sync.WaitGroup
	woken   woken // flows to go on with

	refused plane.Sometimes // datagrams that went nowhere
	unread  plane.Sometimes // errors of the listener

	accept atomic.Pointer[Accept]

	mu    sync.Mutex // guards all below, and the flows; never held while waiting
	d     *dispatch.Dispatcher
	flows map[peer]*flow
	// The flows, the longest silent first: those whose client has not come back
	// after an answer, and the others. Where a table is full of the former, as
	// when addresses are forged, the latter go on.
	fresh, proven list.List
	retired       bool
	empty         chan struct{} // closed when retired and without flows
	dressed       []byte        // a datagram with its header, on its way out
}

var _ plane.Plane = (*Plane)(nil)

// Listen binds an address as [sock.ListenDatagram] does.
func Listen(addr string, log *slog.Logger) (*Plane, error) {
	c, err := sock.ListenDatagram(addr)
	if err != nil {
		return nil, err
	}
	s, err := newSocket(c)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	p := &Plane{
		socket: s, log: log, woken: woken{kick: make(chan struct{}, 1)},
		flows: map[peer]*flow{}, empty: make(chan struct{}),
	}
	p.SetAccept(&Accept{})
	return p, nil
}

// Addr is the bound address.
func (p *Plane) Addr() net.Addr { return p.socket.addr() }

// Close releases a plane that will not be served.
func (p *Plane) Close() error { return p.socket.close() }

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
	err := p.socket.close()
	p.running.Wait()
	return err
}

// retire takes no new flows.
func (p *Plane) retire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retired = true
	p.checkEmpty()
}

func (p *Plane) checkEmpty() {
	if p.retired && len(p.flows) == 0 {
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
			p.d.Refuse(dispatch.Unread, lost)
		}
		switch {
		case err == nil:
			p.forward(from, buf[:n])
		case errors.Is(err, net.ErrClosed):
			return
		default:
			if n := p.unread.Due(); n > 0 {
				p.log.Error("can't read datagrams", "listener", p.Addr(), "error", err, "times", n)
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
		p.d.Refuse(dispatch.BadHeader, 1)
		p.drop(from)
		return
	}
	f := p.flows[from]
	switch {
	case f == nil:
		f = p.begin(from, h)
	case f.policy.Blacklisted() && !p.move(f, errBlacklisted):
		f = nil
	}
	if f == nil {
		p.drop(from)
		return
	}
	p.touch(f)
	f.send(b)
}

// drop says, now and then, that something is dropped.
func (p *Plane) drop(from peer) {
	if n := p.refused.Due(); n > 0 {
		p.log.Warn("datagrams dropped; status tells why", "client", from, "datagrams", n)
	}
}

// errBlacklisted is why a flow leaves a server that others found dead.
var errBlacklisted = fmt.Errorf("%w: the server is blacklisted", dispatch.ErrLocal)

// begin makes a new client's flow, or returns nil where it gets none.
func (p *Plane) begin(from peer, h wire.Header) *flow {
	if p.retired {
		p.d.Refuse(dispatch.Stopping, 1)
		return nil
	}
	f := &flow{plane: p, peer: from, header: h, control: sock.FromAsked(from.asked)}
	f.serverFD.Store(-1)
	policy, err := p.d.Admit(h.Source, f)
	if errors.Is(err, dispatch.ErrFull) && p.makeRoom() {
		policy, err = p.d.Admit(h.Source, f)
	}
	if err != nil {
		if errors.Is(err, dispatch.ErrFull) {
			p.d.Refuse(dispatch.Full, 1)
		}
		p.log.Debug("client refused", "client", from, "reason", err)
		return nil
	}
	f.policy = policy
	if policy.Dummy() {
		f.answer([]byte(plane.DummyPage))
		policy.Done()
		return nil
	}
	if !p.connect(f) {
		policy.Done()
		return nil
	}
	p.flows[from] = f
	f.place = p.fresh.PushBack(f)
	return f
}

// touch moves a flow behind all others.
func (p *Plane) touch(f *flow) {
	f.seen = time.Now()
	switch {
	case f.proven:
		p.proven.MoveToBack(f.place)
	case f.answered.Load():
		p.fresh.Remove(f.place)
		f.proven, f.place = true, p.proven.PushBack(f)
	default:
		p.fresh.MoveToBack(f.place)
	}
}

// makeRoom ends the flow that will be missed least, and reports whether there was
// one.
func (p *Plane) makeRoom() bool {
	victim := p.fresh.Front()
	if victim == nil {
		victim = p.proven.Front()
		if victim == nil || time.Since(victim.Value.(*flow).seen) < spared {
			return false
		}
	}
	p.d.Refuse(dispatch.Displaced, 1)
	p.end(victim.Value.(*flow))
	return true
}

// connect goes through the servers that the flow offers to one that can be
// sent to, or has it wait without one. It reports false where neither is
// possible.
func (p *Plane) connect(f *flow) bool {
	for {
		t, ok := f.policy.Next()
		if !ok && f.policy.Wait(func() { p.woken.add(f) }) {
			return true
		}
		if !ok {
			p.log.Debug("no server for client", "client", f.peer)
			return false
		}
		err := f.connect(t)
		if err == nil {
			f.policy.Up()
			return true
		}
		p.failed(f, err)
	}
}

// failed says that a flow's server can't be reached.
func (p *Plane) failed(f *flow, err error) {
	level := slog.LevelDebug
	if f.policy.Failed(plane.Blame(err)) {
		level = slog.LevelWarn
	}
	p.log.Log(context.Background(), level, "can't send to server", "server", f.target.Slot, "address", f.target, "error", err)
}

// move takes a flow to the next server, and ends it where there is none.
func (p *Plane) move(f *flow, why error) bool {
	p.failed(f, why)
	f.disconnect()
	if !p.connect(f) {
		p.end(f)
		return false
	}
	return true
}

// end ends a flow, once.
func (p *Plane) end(f *flow) {
	if p.flows[f.peer] != f {
		return
	}
	delete(p.flows, f.peer)
	if f.proven {
		p.proven.Remove(f.place)
	} else {
		p.fresh.Remove(f.place)
	}
	f.disconnect()
	f.ended.Store(true)
	f.policy.Done()
	p.checkEmpty()
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
