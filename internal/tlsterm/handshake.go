package tlsterm

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"runtime"
)

// ErrChallenge is what a Handshake with an ACME authority ends with that has
// seen what it wanted to. The connection is of no further use.
var ErrChallenge = errors.New("TLS: this was an ACME authority's look at us, and has been answered")

// Handshake makes a TLS connection of a client's connection. It blocks until it
// is made, has failed, or ctx is done, which closes c. It neither sets nor
// clears deadlines of c. Whatever comes of it, the caller closes c. The TLS
// connection's NetConn is not c itself.
func (s *Server) Handshake(ctx context.Context, c net.Conn) (*tls.Conn, error) {
	g := &gate{Conn: c, ctx: ctx}
	if err := g.enter(); err != nil {
		return nil, err
	}
	conn := tls.Server(g, s.entry)
	err := conn.HandshakeContext(ctx)
	g.leave()
	g.over = true
	if err != nil {
		return nil, err
	}
	if conn.ConnectionState().NegotiatedProtocol == acmeProtocol {
		conn.CloseWrite() // RFC 8737, section 3: no data is to follow
		return nil, ErrChallenge
	}
	return conn, nil
}

// computing has a place for each handshake that may compute at a time, in all
// servers of the process: more of them would finish none sooner, and would take
// the processors from the connections that are established.
var computing = make(chan struct{}, runtime.GOMAXPROCS(0))

// A gate is a connection during its handshake, which has a place among those
// that compute whenever it does not wait for its client: clients that say
// nothing keep nobody out. It belongs to the goroutine of the handshake.
type gate struct {
	net.Conn
	ctx    context.Context // the handshake's; it ends the wait for a place
	inside bool
	over   bool // the handshake is: nothing is done here any more
}

func (g *gate) enter() error {
	select {
	case computing <- struct{}{}:
		g.inside = true
		return nil
	case <-g.ctx.Done():
		return g.ctx.Err()
	}
}

func (g *gate) leave() {
	if g.inside {
		g.inside = false
		<-computing
	}
}

func (g *gate) Read(b []byte) (int, error) {
	if g.over {
		return g.Conn.Read(b)
	}
	return g.wait(g.Conn.Read, b)
}

func (g *gate) Write(b []byte) (int, error) {
	if g.over {
		return g.Conn.Write(b)
	}
	return g.wait(g.Conn.Write, b)
}

// wait reads or writes without a place.
func (g *gate) wait(do func([]byte) (int, error), b []byte) (n int, err error) {
	gone := g.aside(func() { n, err = do(b) })
	return n, cmp.Or(err, gone)
}

// aside does without a place what may wait.
func (g *gate) aside(do func()) error {
	g.leave()
	do()
	return g.enter()
}
