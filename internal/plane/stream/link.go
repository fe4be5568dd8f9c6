package stream

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/plane"
	"pen/internal/plane/relay"
	"pen/internal/plane/splice"
	"pen/internal/sock"
	"pen/internal/wire"
)

// A link is a client's connection with, later, its server's. It carries one flow.
type link struct {
	plane     *Plane
	service   edge.Service
	client    conn
	clientFD  int            // its descriptor
	clientTLS *edge.Secure   // on it, or nil
	serverTLS *edge.Secure   // on the server's, or nil
	from      netip.AddrPort // the client's address; invalid on a Unix socket
	header    wire.Header    // what is known of the connection, for its server
	http      *exchange      // nil where the bytes are not looked at
	unread    bool           // what the client still sends goes nowhere

	up      half // from the client to the server
	down    half // from the server to the client
	flow    *dispatch.Flow
	machine relay.Machine
	broken  atomic.Bool // to be reset, and not to be closed in order

	mu       sync.Mutex // guards all below
	server   conn
	serverFD int                // its descriptor, or -1
	cancel   context.CancelFunc // ends the handshake or connect that is under way
	quit     chan struct{}      // closed when both halves must stop
	stopped  bool               // quit is closed
}

// A half is one direction of a link.
type half struct {
	link          *link
	from          relay.Side
	src, dst      side
	read, written atomic.Uint64 // bytes
	final         bool          // its end is the end of both
	tap           *dispatch.Tap // sees all bytes, unless it is nil
	// meter, unless it is nil, says how long to pause after some bytes. maxRead is how
	// many to read at a go then.
	meter   *dispatch.Meter
	maxRead int
}

// A side is one end of a link: a connection, perhaps with TLS.
type side struct {
	conn
	tls *edge.Secure
}

func (s side) Read(b []byte) (int, error) {
	if s.tls != nil {
		return s.tls.Read(b)
	}
	return s.conn.Read(b)
}

func (s side) Write(b []byte) (int, error) {
	if s.tls != nil {
		return s.tls.Write(b)
	}
	return s.conn.Write(b)
}

// CloseWrite tells the other end that no more will come.
func (s side) CloseWrite() error {
	if s.tls != nil {
		s.tls.CloseWrite()
	}
	return s.conn.CloseWrite()
}

func newLink(p *Plane, client conn) *link {
	l := &link{plane: p, client: client, clientFD: descriptor(client), serverFD: -1, quit: make(chan struct{})}
	l.from = sock.AddrPort(client.RemoteAddr())
	l.header = wire.Header{Source: l.from, Destination: sock.AddrPort(client.LocalAddr())}
	return l
}

// cancelled returns a context that is done when the link is killed or the function is
// called.
func (l *link) cancelled() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	if !l.connecting(cancel) {
		cancel()
	}
	return ctx, cancel
}

// connecting takes the function that cancels the handshake or connect that starts. It
// reports false for a link that was killed before.
func (l *link) connecting(cancel context.CancelFunc) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel = cancel
	return !l.broken.Load()
}

// connected takes over the server's connection. It reports false for a link
// that was killed meanwhile.
func (l *link) connected(server side) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel = nil
	l.server, l.serverFD, l.serverTLS = server.conn, descriptor(server), server.tls
	return !l.broken.Load()
}

// relay moves bytes both ways until the connection is over.
func (l *link) relay(t dispatch.Target) {
	client, server := side{l.client, l.clientTLS}, side{l.server, l.serverTLS}
	l.up.link, l.up.from, l.up.src, l.up.dst = l, relay.Client, client, server
	l.down.link, l.down.from, l.down.src, l.down.dst = l, relay.Server, server, client
	if http := l.service.Ends.HTTP; http != nil {
		l.http = newExchange(l, l.forwarding(http))
	}
	l.up.final, l.down.final = t.EndWithClient, t.EndWithServer
	for _, h := range []*half{&l.up, &l.down} {
		h.meter, h.maxRead = t.Meter, t.MaxRead
		if t.Tap.Sees(h == &l.up) {
			h.tap = t.Tap
		}
	}
	var down sync.WaitGroup
	down.Go(l.down.run)
	l.up.run()
	down.Wait()
}

// run moves this half's bytes to the end, and reports how that came.
func (h *half) run() {
	l, to := h.link, h.from.Other()
	readErr, writeErr := h.carry()
	switch {
	case writeErr != nil:
		l.on(to, relay.Unwritable, plane.Ending(to, writeErr))
	case readErr != nil:
		l.on(h.from, relay.Broken, plane.Ending(h.from, readErr))
	case l.machine.Doubtful(h.from) && wasReset(h.src):
		l.on(h.from, relay.Broken, plane.Ending(h.from, syscall.ECONNRESET))
	case h.final:
		l.on(h.from, relay.FinalEOF, plane.Ending(h.from, nil))
	default:
		l.on(h.from, relay.EOF, plane.Ending(h.from, nil))
		if !l.machine.Reads(to) {
			return
		}
		if err := watch(h.src); err != nil {
			l.on(h.from, relay.Broken, plane.Ending(h.from, err))
		}
	}
}

// on reports an event of one side, and executes what follows from it. It blocks while
// last bytes drain. A half that is no longer read goes on until the connection is over,
// and its events are ignored.
func (l *link) on(side relay.Side, e relay.Event, why dispatch.Ending) {
	do := l.machine.On(side, e, why)
	if do&relay.EndClient != 0 {
		l.down.dst.CloseWrite()
	}
	if do&relay.EndServer != 0 {
		l.up.dst.CloseWrite()
	}
	if last, drains := l.machine.State().Draining(); drains && do&relay.Drain != 0 {
		l.drain(last)
		l.on(last, relay.Drained, dispatch.NotEnded)
	}
	if do&relay.Close != 0 {
		l.stop()
		l.both(func(c conn) { c.SetDeadline(time.Unix(1, 0)) })
	}
	if do&relay.Reset != 0 {
		l.reset()
	}
}

// drain waits until a side has its last bytes, or had time enough, or is closed.
func (l *link) drain(last relay.Side) {
	c := l.client
	if last == relay.Server {
		c = l.up.dst.conn
	}
	var wait relay.Wait
	for {
		unsent := 0
		onDescriptor(c, func(fd int) { unsent = splice.Unsent(int32(fd)) })
		pause, over := wait.Look(unsent, l.plane.drain)
		if over {
			return
		}
		time.Sleep(pause)
	}
}

// watch waits until c fails; that is the error. It returns nil when a read deadline ends
// it. Nothing is read: after the end of the stream that would report the end again, even
// after a reset.
func watch(c conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	werr := raw.Read(func(fd uintptr) bool {
		err = sock.Failure(int(fd))
		return err != nil
	})
	if errors.Is(werr, os.ErrDeadlineExceeded) {
		return nil
	}
	return cmp.Or(err, werr)
}

// wasReset is [splice.WasReset] of a connection.
func wasReset(c conn) (reset bool) {
	onDescriptor(c, func(fd int) { reset = splice.WasReset(int32(fd)) })
	return reset
}

// carry moves this half's bytes until its source ends or one side fails.
func (h *half) carry() (readErr, writeErr error) {
	c, readErr, writeErr := h.newCopier()
	if readErr != nil || writeErr != nil {
		return readErr, writeErr
	}
	defer c.giveBack()
	switch {
	case h.link.http == nil:
		_, readErr, writeErr = c.move(unlimited)
	case h.from == relay.Client:
		readErr, writeErr = c.forward()
	default:
		readErr, writeErr = c.answers()
	}
	return readErr, writeErr
}

// pause waits for some time, or until the link must stop.
func (l *link) pause(d time.Duration) {
	over := time.NewTimer(d)
	defer over.Stop()
	select {
	case <-over.C:
	case <-l.quit:
	}
}

// stop ends pauses, and tells both halves to stop.
func (l *link) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.stopped {
		l.stopped = true
		close(l.quit)
	}
}

// await waits until wake is called, and reports whether the client is still there. A
// read deadline in the past wakes it, so that it waits for the client's connection only.
func (l *link) await() bool {
	if err := watch(l.client); err != nil {
		l.machine.Note(plane.Ending(relay.Client, err))
		l.broken.Store(true)
		return false
	}
	edge.Within(l.client, 0)
	return !l.broken.Load()
}

// wake ends await. It does not block.
func (l *link) wake() { l.client.SetReadDeadline(time.Unix(1, 0)) }

// reset closes both sides with a reset. It may be called at any time.
func (l *link) reset() {
	l.broken.Store(true)
	l.both(func(c conn) {
		if tcp, ok := c.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		c.Close()
	})
	l.stop() // now nothing that goes on can end a side orderly
}

// close closes both sides, in order unless the link is broken.
func (l *link) close() {
	if l.broken.Load() {
		l.reset()
		return
	}
	l.both(func(c conn) { c.Close() })
}

func (l *link) both(f func(conn)) {
	l.mu.Lock()
	server := l.server
	l.mu.Unlock()
	f(l.client)
	if server != nil {
		f(server)
	}
}

// Kill implements [dispatch.Carrier]: both sides are reset.
func (l *link) Kill(why dispatch.Ending) {
	l.on(relay.Client, relay.Killed, why) // before a handshake that is cancelled closes the connection in order
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cancel != nil {
		l.cancel()
	}
}

// Traffic implements [dispatch.Carrier].
func (l *link) Traffic() dispatch.Traffic {
	l.mu.Lock()
	serverFD := l.serverFD
	l.mu.Unlock()
	return dispatch.Traffic{
		FromClient: l.up.read.Load(), ToServer: l.up.written.Load(),
		FromServer: l.down.read.Load(), ToClient: l.down.written.Load(),
		ClientEOF: l.machine.Ended(relay.Client), ServerEOF: l.machine.Ended(relay.Server),
		ClientFD: l.clientFD, ServerFD: serverFD,
	}
}

// descriptor returns a connection's descriptor, or -1.
func descriptor(c conn) int {
	n := -1
	onDescriptor(c, func(fd int) { n = fd })
	return n
}

// onDescriptor calls f with a connection's descriptor, unless it is closed.
func onDescriptor(c conn, f func(fd int)) {
	if raw, err := c.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { f(int(fd)) })
	}
}
