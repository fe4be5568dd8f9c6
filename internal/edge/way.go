package edge

import (
	"context"
	"fmt"
	"net"
	"time"

	"pen/internal/tlsterm"
	"pen/internal/wire"
)

// A Way is what stands between a connection to a server and the bytes of its
// client. Those that are alike are equal.
type Way struct {
	Header int             // version of the PROXY header that comes first, 1 or 2; 0: none
	Each   bool            // every datagram has one, not only the first of a flow
	TLVs   wire.TLVs       // with which TLVs, in version 2
	TLS    *tlsterm.Client // nil: none
	Host   string          // what the server is called, for TLS
}

// Bare returns the way as a connection of our own takes it: what headers say of
// clients makes no difference there.
func (w Way) Bare() Way {
	w.Each, w.TLVs = false, wire.TLVs{}
	return w
}

// Head appends the PROXY header that says h to b.
func (w Way) Head(b []byte, h wire.Header) []byte { return w.TLVs.Of(h).Append(b, w.Header) }

// Open readies a connection that was just made for the client's bytes: h is what
// the header says. It takes at most timeout, and ends when ctx is done. What it
// returns is nil where there is no TLS. After an error the connection is the
// caller's to close.
func (w Way) Open(ctx context.Context, c net.Conn, h wire.Header, timeout time.Duration) (*Secure, error) {
	Within(c, timeout)
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	secure, err := w.begin(ctx, c, h)
	if !stop() {
		return nil, context.Cause(ctx) // whatever else there is comes of that
	}
	if err != nil {
		return nil, err
	}
	Within(c, 0)
	return secure, nil
}

// begin sends what comes first.
func (w Way) begin(ctx context.Context, c net.Conn, h wire.Header) (*Secure, error) {
	if w.Header != 0 {
		if _, err := c.Write(w.Head(nil, h)); err != nil {
			return nil, fmt.Errorf("PROXY header: %w", err)
		}
	}
	if w.TLS == nil {
		return nil, nil
	}
	u := newUnder(c)
	t, err := w.TLS.Handshake(ctx, u, w.Host)
	if err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return &Secure{Conn: t, under: u, cut: true}, nil
}
