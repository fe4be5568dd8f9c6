package stream

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"pen/internal/dispatch"
)

// A link is a client's connection and, once there is one, its server's. It
// carries one flow.
type link struct {
	client   conn
	clientFD int         // its descriptor
	up       half        // from the client to the server
	down     half        // from the server to the client
	broken   atomic.Bool // an error was seen on one side, or it was killed: to be reset
	ended    atomic.Bool // the end of one way was the end of both

	mu       sync.Mutex // guards all below
	server   conn
	serverFD int                // its descriptor, or -1
	cancel   context.CancelFunc // ends the connect that is under way
}

// A half is one direction of a link.
type half struct {
	link          *link
	other         *half
	src, dst      conn
	read, written atomic.Uint64 // bytes
	eof           atomic.Bool   // the source sends no more, the destination knows
	over          atomic.Bool   // nothing more will be moved
	last          bool          // its end is the end of both
	log           func([]byte)  // sees all bytes, unless it is nil
}

func newLink(client conn) *link {
	return &link{client: client, clientFD: descriptor(client), serverFD: -1}
}

// connecting notes how to end the connect that begins. It reports false for a
// link that was killed before.
func (l *link) connecting(cancel context.CancelFunc) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel = cancel
	return !l.broken.Load()
}

// connected takes over the server's connection. It reports false for a link
// that was killed meanwhile.
func (l *link) connected(server conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel = nil
	l.server, l.serverFD = server, descriptor(server)
	return !l.broken.Load()
}

// relay moves bytes both ways until both have ended. The end of one way is
// passed on and does not end the other; an error on one side ends both.
func (l *link) relay(t dispatch.Target, pipes *pipes) {
	l.up.link, l.up.other, l.up.src, l.up.dst = l, &l.down, l.client, l.server
	l.down.link, l.down.other, l.down.src, l.down.dst = l, &l.up, l.server, l.client
	l.up.last, l.down.last = t.EndWithClient, t.EndWithServer
	l.up.log, l.down.log = t.Log, t.LogAnswer
	var down sync.WaitGroup
	down.Go(func() { l.down.run(pipes) })
	l.up.run(pipes)
	down.Wait()
}

// run moves this half's bytes to the end.
func (h *half) run(pipes *pipes) {
	readErr, writeErr := h.pump(pipes)
	switch {
	case h.link.ended.Load():
	case writeErr != nil:
		// The destination is gone. What it sent before is still worth
		// delivering: the other half does that, unless it is over.
		h.link.broken.Store(true)
		h.over.Store(true)
		if h.other.over.Load() {
			h.abort(h.src)
		}
	case readErr != nil, !h.other.eof.Load() && wasReset(h.src):
		h.abort(h.dst)
	default:
		h.eof.Store(true)
		h.dst.CloseWrite()
		h.over.Store(true)
		if h.last {
			h.link.end(h.dst)
		} else if h.other.over.Load() {
			h.dst.SetReadDeadline(time.Unix(1, 0)) // ends the other half's watch
		} else if watch(h.src) != nil {
			h.abort(h.dst)
		}
	}
}

// end stops both ways, after what was written to one side has arrived there:
// to close it with bytes unread would take them back.
func (l *link) end(last conn) {
	drain(last)
	l.ended.Store(true)
	l.both(func(c conn) { c.SetDeadline(time.Unix(1, 0)) })
}

// abort resets both sides, after what was written to one of them before the
// error has arrived there: a client gets what its server sent before it died,
// and then a reset, lest the stream look complete.
func (h *half) abort(last conn) {
	h.link.broken.Store(true)
	h.over.Store(true)
	drain(last)
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
func (l *link) Kill() {
	l.broken.Store(true)
	l.mu.Lock()
	if l.cancel != nil {
		l.cancel()
	}
	l.mu.Unlock()
	l.reset()
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
