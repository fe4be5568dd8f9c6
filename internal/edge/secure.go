package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"pen/internal/tlsterm"
)

// A Secure is a connection with TLS on it, its handshake done. One goroutine
// may read while another one writes.
type Secure struct {
	*tls.Conn
	under *under
}

// Accept does the server's part of a handshake. It blocks until ctx is done or
// the connection's deadline is over. After an error the connection is the
// caller's to close.
func Accept(ctx context.Context, s *tlsterm.Server, c net.Conn) (*Secure, error) {
	u := &under{Conn: c}
	t, err := s.Handshake(ctx, u)
	if err != nil {
		return nil, err
	}
	return &Secure{t, u}, nil
}

// Read reads what the other side has sent. That its connection ended without
// the word that TLS has for it (close_notify) is [io.ErrUnexpectedEOF]: somebody
// may have cut the stream (RFC 8446, section 6.1).
func (s *Secure) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if errors.Is(err, io.EOF) && s.under.ended {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// under is what TLS reads and writes.
type under struct {
	net.Conn
	ended bool // it has read the end; for the one who reads
}

// SetWriteDeadline does nothing. TLS would give its last word 5 seconds, after
// which a client that is slow to read would take a whole stream for one that was
// cut. Deadlines are set on the connection itself.
func (u *under) SetWriteDeadline(time.Time) error { return nil }

func (u *under) Read(b []byte) (int, error) {
	n, err := u.Conn.Read(b)
	if err == io.EOF {
		u.ended = true
	}
	return n, err
}
