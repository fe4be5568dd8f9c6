package tlsterm

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"time"

	"pen/internal/acme"
)

// ErrChallenge is returned by Handshake when the client was an ACME authority that
// verified a name. It has been answered, and the connection is of no further use.
var ErrChallenge = errors.New("TLS: answered the challenge of an ACME authority")

// errGone is returned by Handshake if the client closed its connection before
// anything was computed for it.
var errGone = errors.New("TLS: the client is gone")

// A Peer describes a client that may have to wait for a processor.
type Peer struct {
	From  netip.Addr // its address; zero for a Unix socket
	Until time.Time  // deadline of the handshake; zero: none
	// Look, unless nil, returns how long ago the client last sent something, and
	// whether it has closed its connection.
	Look func() (silent time.Duration, gone bool)
}

// Handshake establishes TLS with a client. It blocks until that has succeeded or
// failed, or ctx is done, which closes c. It does not touch the deadlines of c. The
// caller closes c in every case. The TLS connection's NetConn is not c itself. The
// error is [ErrBusy] if no processor was free in time.
func (s *Server) Handshake(ctx context.Context, c net.Conn, peer Peer) (*tls.Conn, error) {
	g := &gate{Conn: c, ctx: ctx, peer: peer, queue: handshakes}
	conn := tls.Server(g, s.entry)
	err := conn.HandshakeContext(ctx)
	g.leave()
	g.over = true
	if err != nil {
		return nil, cmp.Or(g.refusal, err)
	}
	if conn.ConnectionState().NegotiatedProtocol == acme.Protocol {
		conn.CloseWrite() // RFC 8737, section 3: no data must follow
		return nil, ErrChallenge
	}
	return conn, nil
}

// A gate is a connection during its handshake. It occupies a place of the queue
// from the hello on, except while it waits for the client: silent clients keep
// nobody out. It belongs to the goroutine of the handshake.
type gate struct {
	net.Conn
	ctx     context.Context // of the handshake; ends the wait for a place
	peer    Peer
	queue   *queue
	begun   bool // the hello has arrived
	inside  bool
	over    bool  // after the handshake: only pass through
	refusal error // why it got no place
}

// begin waits for a place after the hello.
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

// enter waits for a place after an answer of the client.
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

// Write frees the place: a write is followed by a read, or by almost nothing.
func (g *gate) Write(b []byte) (int, error) {
	if !g.over {
		g.leave()
	}
	return g.Conn.Write(b)
}

// aside calls a function that may block, without a place.
func (g *gate) aside(do func()) error {
	g.leave()
	do()
	return g.enter()
}
