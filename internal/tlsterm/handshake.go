package tlsterm

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"time"
)

// ErrChallenge is what a Handshake with an ACME authority ends with that has
// seen what it wanted to. The connection is of no further use.
var ErrChallenge = errors.New("TLS: this was an ACME authority's look at us, and has been answered")

// errGone is what a Handshake ends with whose client has closed its connection
// before anything was computed for it.
var errGone = errors.New("TLS: the client is gone")

// A Peer is what is known of a client, for the wait for a processor.
type Peer struct {
	From  netip.Addr // who it is; the zero one of a Unix socket
	Until time.Time  // when its time for the handshake is over; the zero one: never
	// Look, unless it is nil, returns how long ago the client has last sent
	// something, and whether it has closed its connection.
	Look func() (silent time.Duration, gone bool)
}

// Handshake makes a TLS connection of a client's connection. It blocks until it
// is made, has failed, or ctx is done, which closes c. It neither sets nor
// clears deadlines of c. Whatever comes of it, the caller closes c. The TLS
// connection's NetConn is not c itself. After [ErrBusy] it had to wait for a processor
// for too long.
func (s *Server) Handshake(ctx context.Context, c net.Conn, peer Peer) (*tls.Conn, error) {
	g := &gate{Conn: c, ctx: ctx, peer: peer, queue: handshakes}
	conn := tls.Server(g, s.entry)
	err := conn.HandshakeContext(ctx)
	g.leave()
	g.over = true
	if err != nil {
		return nil, cmp.Or(g.refusal, err)
	}
	if conn.ConnectionState().NegotiatedProtocol == acmeProtocol {
		conn.CloseWrite() // RFC 8737, section 3: no data is to follow
		return nil, ErrChallenge
	}
	return conn, nil
}

// A gate is a connection during its handshake, which has a place among those that
// compute from when its hello is there, whenever it does not wait for its client:
// clients that say nothing keep nobody out. It belongs to the goroutine of the
// handshake.
type gate struct {
	net.Conn
	ctx     context.Context // the handshake's; it ends the wait for a place
	peer    Peer
	queue   *queue
	begun   bool // the hello is there
	inside  bool
	over    bool  // the handshake is: nothing is done here any more
	refusal error // why there was no place
}

// begin waits for a place, when the hello has come.
func (g *gate) begin() error {
	if g.inside {
		return nil
	}
	came := time.Now()
	if g.peer.Look != nil {
		silent, gone := g.peer.Look()
		if gone {
			g.refusal = errGone
			return errGone
		}
		came = came.Add(-silent)
	}
	g.begun = true
	waited, err := g.queue.enter(g.ctx, networkOf(g.peer.From), came, g.peer.Until)
	if err != nil {
		g.refusal = err
		return err
	}
	g.inside = true
	if waited && g.peer.Look != nil {
		if _, gone := g.peer.Look(); gone {
			g.leave()
			g.refusal = errGone
			return errGone
		}
	}
	return nil
}

// enter waits for a place, when the client has answered.
func (g *gate) enter() error {
	if !g.begun || g.inside {
		return nil
	}
	err := g.queue.reenter(g.ctx, g.peer.Until)
	g.inside = err == nil
	return err
}

func (g *gate) leave() {
	if g.inside {
		g.inside = false
		g.queue.leave()
	}
}

func (g *gate) Read(b []byte) (int, error) {
	if g.over {
		return g.Conn.Read(b)
	}
	g.leave()
	n, err := g.Conn.Read(b)
	if err == nil {
		err = g.enter()
	}
	return n, err
}

// Write leaves the place to others. What follows a write is a read, or next to
// nothing.
func (g *gate) Write(b []byte) (int, error) {
	if !g.over {
		g.leave()
	}
	return g.Conn.Write(b)
}

// aside does without a place what may wait.
func (g *gate) aside(do func()) error {
	g.leave()
	do()
	return g.enter()
}
