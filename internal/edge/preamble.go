package edge

import (
	"context"
	"fmt"
	"net"
	"time"

	"pen/internal/tlsterm"
	"pen/internal/wire"
)

// A Preamble precedes the client's bytes on a connection to a server: a PROXY
// header, a TLS handshake, or both. The zero Preamble is nothing. Preambles may be
// compared; it is the only type that is a [pool.Preamble].
type Preamble struct {
	Header int             // version of the PROXY header, 1 or 2; 0: none
	Each   bool            // every datagram has a header, not only the first of a flow
	TLVs   wire.TLVs       // in a header of version 2
	TLS    *tlsterm.Client // nil: none
	Host   string          // the server's name, for TLS
}

// IsPreamble implements [pool.Preamble].
func (p Preamble) IsPreamble() {}

// PreambleOf returns the Preamble that the policy keeps for a server, the zero one
// for nil.
func PreambleOf(p interface{ IsPreamble() }) Preamble {
	if p == nil {
		return Preamble{}
	}
	return p.(Preamble)
}

// Bare returns the preamble of Pen's own connections, such as health checks: what
// a header says about clients makes no difference to them.
func (p Preamble) Bare() Preamble {
	p.Each, p.TLVs = false, wire.TLVs{}
	return p
}

// Append appends the PROXY header for h to b.
func (p Preamble) Append(b []byte, h wire.Header) []byte { return p.TLVs.Of(h).Append(b, p.Header) }

// Open sends the header for h on a new connection and does the TLS handshake. It
// blocks for at most timeout, or until ctx is done. It returns nil where there is no
// TLS. After an error the caller closes the connection.
func (p Preamble) Open(ctx context.Context, c net.Conn, h wire.Header, timeout time.Duration) (*Secure, error) {
	Within(c, timeout)
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	secure, err := p.send(ctx, c, h)
	if !stop() {
		return nil, context.Cause(ctx) // any other error is a consequence
	}
	if err != nil {
		return nil, err
	}
	Within(c, 0)
	return secure, nil
}

func (p Preamble) send(ctx context.Context, c net.Conn, h wire.Header) (*Secure, error) {
	if p.Header != 0 {
		if _, err := c.Write(p.Append(nil, h)); err != nil {
			return nil, fmt.Errorf("PROXY header: %w", err)
		}
	}
	if p.TLS == nil {
		return nil, nil
	}
	u := newUnder(c)
	t, err := p.TLS.Handshake(ctx, u, p.Host)
	if err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return &Secure{Conn: t, under: u, cut: true}, nil
}
