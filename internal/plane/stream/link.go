package stream

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/plane"
	"pen/internal/wire"
)

// A link is a client's connection and, once there is one, its server's. It
// carries one flow.
type link struct {
	plane     *Plane
	service   Service
	client    conn
	clientFD  int            // its descriptor
	clientTLS *edge.Secure   // on it, or nil
	serverTLS *edge.Secure   // on the server's, or nil
	from      netip.AddrPort // who the client is; the zero one of a Unix socket
	header    wire.Header    // what is known of the connection, for its server
	http      *exchange      // that it carries, or nil
	unread    bool           // what the client still sends goes nowhere

	up     half // from the client to the server
	down   half // from the server to the client
	end    plane.End
	broken atomic.Bool // an error was seen on one side, or it was killed: to be reset
	ended  atomic.Bool // the end of one way was the end of both

	mu       sync.Mutex // guards all below
	server   conn
	serverFD int                // its descriptor, or -1
	cancel   context.CancelFunc // ends the handshake or connect that is under way
	quit     chan struct{}      // closed when both ways are to stop
	stopped  bool               // it is
}

// A half is one direction of a link.
type half struct {
	link          *link
	other         *half
	src, dst      side
	read, written atomic.Uint64 // bytes
	eof           atomic.Bool   // the source sends no more, the destination knows
	over          atomic.Bool   // nothing more will be moved
	stop          plane.End     // why the destination takes no more, though the source has some
	last          bool          // its end is the end of both
	log           func([]byte)  // sees all bytes, unless it is nil
	// spend, unless it is nil, says how long to pause after bytes, of which piece
	// are to be read at a go.
	spend func(int) time.Duration
	piece int
}

// A side is one end of a link: a connection, with TLS on it where there is.
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

// CloseWrite says that no more will be written.
func (s side) CloseWrite() error {
	if s.tls != nil {
		s.tls.CloseWrite()
	}
	return s.conn.CloseWrite()
}

func newLink(p *Plane, client conn) *link {
	l := &link{plane: p, client: client, clientFD: descriptor(client), serverFD: -1, quit: make(chan struct{})}
	l.from = addrPort(client.RemoteAddr())
	l.header = wire.Header{Source: l.from, Destination: addrPort(client.LocalAddr())}
	return l
}

// cancelled returns a context that is done when the link is killed or its owner
// calls the function.
func (l *link) cancelled() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	if !l.connecting(cancel) {
		cancel()
	}
	return ctx, cancel
}

// connecting notes how to end the handshake or connect that begins. It reports
// false for a link that was killed before.
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

// relay moves bytes both ways until both have ended. The end of one way is
// passed on and does not end the other; an error on one side ends both.
func (l *link) relay(t dispatch.Target, pipes *pipes) {
	client, server := side{l.client, l.clientTLS}, side{l.server, l.serverTLS}
	l.up.link, l.up.other, l.up.src, l.up.dst = l, &l.down, client, server
	l.down.link, l.down.other, l.down.src, l.down.dst = l, &l.up, server, client
	if http := l.service.Edge.HTTP; http != nil {
		l.http = newExchange(l, http.forwarding(l))
	}
	l.up.last, l.down.last = t.EndWithClient, t.EndWithServer
	l.up.log, l.down.log = t.Log, t.LogAnswer
	l.up.spend, l.up.piece = t.Spend, t.Piece
	l.down.spend, l.down.piece = t.Spend, t.Piece
	var down sync.WaitGroup
	down.Go(func() { l.down.run(pipes) })
	l.up.run(pipes)
	down.Wait()
}

// run moves this half's bytes to the end.
func (h *half) run(pipes *pipes) {
	readErr, writeErr := h.carry(pipes)
	switch {
	case h.link.ended.Load():
	case writeErr != nil:
		// The destination takes no more. What it sent before is still worth
		// delivering, and all that it goes on to send: the other half does that,
		// unless it is over.
		h.stop.Note(h.other.ending(writeErr))
		h.over.Store(true)
		if h.other.over.Load() {
			h.abort(h.src, h.other.ending(writeErr))
		}
	case readErr != nil:
		h.abort(h.dst, h.ending(readErr))
	case !h.other.eof.Load() && h.sourceBroke():
		h.link.end.Note(h.other.stop.Ending())
		h.abort(h.dst, h.ending(syscall.ECONNRESET))
	default:
		h.link.end.Note(h.ending(nil))
		h.eof.Store(true)
		h.dst.CloseWrite()
		h.over.Store(true)
		if h.last {
			h.link.endBoth(h.dst)
		} else if h.other.isStopped() {
			h.link.drain(h.dst) // what it has sent in vain would take these bytes back
		} else if h.other.over.Load() {
			h.dst.SetReadDeadline(time.Unix(1, 0)) // ends the other half's watch
		} else if err := watch(h.src); err != nil {
			h.abort(h.dst, h.ending(err))
		}
	}
}

// sourceBroke reports whether the source did not end in order what it sends, but
// has broken the connection: a write to it may have got the error. A Unix socket
// may take no more and go on to send; TCP can't.
func (h *half) sourceBroke() bool {
	_, unix := h.src.conn.(*net.UnixConn)
	return h.other.isStopped() && !unix || wasReset(h.src)
}

// isStopped reports whether the destination takes no more, though the source has some.
func (h *half) isStopped() bool { return h.stop.Ending() != dispatch.NotEnded }

// ending is what the end of the source means: by an error, or nil for one in order.
func (h *half) ending(err error) dispatch.Ending { return plane.Ending(h == &h.link.down, err) }

// carry moves this half's bytes until its source ends or one side fails.
func (h *half) carry(pipes *pipes) (readErr, writeErr error) {
	switch {
	case h.link.http == nil:
	case h == &h.link.up:
		return h.forward(pipes)
	default:
		return h.answers(pipes)
	}
	_, readErr, writeErr = h.move(pipes, unlimited)
	return readErr, writeErr
}

// pause waits for a time, or until the link is to stop.
func (l *link) pause(d time.Duration) {
	over := time.NewTimer(d)
	defer over.Stop()
	select {
	case <-over.C:
	case <-l.quit:
	}
}

// stop ends what waits for time to pass.
func (l *link) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.stopped {
		l.stopped = true
		close(l.quit)
	}
}

// await waits for a flow to be woken, and reports whether the client is still
// there. A read deadline in the past is what wakes: so nothing but the client's
// connection is waited for.
func (l *link) await() bool {
	if err := await(l.client); err != nil {
		l.end.Note(plane.Ending(false, err))
		l.broken.Store(true)
		return false
	}
	edge.Within(l.client, 0)
	return !l.broken.Load()
}

// wake ends await. It does not block.
func (l *link) wake() { l.client.SetReadDeadline(time.Unix(1, 0)) }

// endBoth stops both ways, after what was written to one side has arrived there:
// to close it with bytes unread would take them back.
func (l *link) endBoth(last conn) {
	l.drain(last)
	l.ended.Store(true)
	l.stop()
	l.both(func(c conn) { c.SetDeadline(time.Unix(1, 0)) })
}

// abort resets both sides, after what was written to one of them before the
// error has arrived there: a client gets what its server sent before it died,
// and then a reset, lest the stream look complete.
func (h *half) abort(last conn, why dispatch.Ending) {
	h.link.end.Note(why)
	h.link.broken.Store(true)
	h.over.Store(true)
	h.link.drain(last)
	h.link.reset()
}

// reset ends both sides with a reset. It may be called at any time.
func (l *link) reset() {
	l.both(func(c conn) {
		if tcp, ok := c.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		c.Close()
	})
	l.stop() // now nothing that goes on can end a side orderly
}

// close ends both sides, orderly if nothing was amiss.
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
	l.end.Note(why)
	l.broken.Store(true)
	l.reset() // before a handshake that is cancelled closes the connection orderly
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
		ClientEOF: l.up.eof.Load(), ServerEOF: l.down.eof.Load(),
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
