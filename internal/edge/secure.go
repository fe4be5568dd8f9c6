package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"

	"pen/internal/tlsterm"
)

// A Secure is a connection with TLS on it, its handshake done. One goroutine
// may read while another one writes.
type Secure struct {
	*tls.Conn
	under *under
	cut   bool  // an end without close_notify is an error
	part  bool  // the last Read may have left a part of a record
	err   error // of the last Read, to be told by the next one
}

// Accept does the server's part of a handshake. It blocks until ctx is done or
// the connection's deadline is over. After an error the connection is the
// caller's to close.
//
// A client may end its stream without the word that TLS has for it
// (close_notify), as many do: its server frames requests itself, and answers those
// that were whole.
func Accept(ctx context.Context, s *tlsterm.Server, c net.Conn, peer tlsterm.Peer) (*Secure, error) {
	u := newUnder(c)
	t, err := s.Handshake(ctx, u, peer)
	if err != nil {
		return nil, err
	}
	return &Secure{Conn: t, under: u}, nil
}

// Wait waits until there is something to read, be it an error. Its own error is
// that of the wait, such as of a deadline.
func (s *Secure) Wait() error {
	if s.part || s.err != nil {
		return nil
	}
	err := s.under.wait()
	if s.under.ended || s.under.err != nil {
		return nil // there is something to read
	}
	return err
}

// Read reads what the other side has sent, as many records of it as are there
// and fit whole. That a server's connection ended without the word that TLS has for it
// (close_notify), or any within a record, is [io.ErrUnexpectedEOF]: somebody may have
// cut the stream (RFC 8446, section 6.1). An error comes alone: after the bytes that came with it.
func (s *Secure) Read(b []byte) (n int, err error) {
	const maxRecord = 16 << 10
	for s.err == nil && (n == 0 || len(b)-n >= maxRecord && s.under.more()) {
		var m int
		m, s.err = s.Conn.Read(b[n:])
		s.part = m == len(b)-n
		n += m
		if m == 0 {
			break
		}
	}
	if errors.Is(s.err, io.EOF) && s.under.ended && s.cut {
		s.err = io.ErrUnexpectedEOF
	}
	if n > 0 {
		if s.err == ErrNothing {
			s.err = nil
		}
		return n, nil
	}
	err = s.err
	if errors.Is(err, os.ErrDeadlineExceeded) || err == ErrNothing {
		s.err = nil // all others are final
	}
	return 0, err
}

// ErrNothing says that there is nothing to read yet.
var ErrNothing error = nothing{}

// nothing is an error after which TLS can be read on.
type nothing struct{}

func (nothing) Error() string   { return "nothing to read yet" }
func (nothing) Timeout() bool   { return true }
func (nothing) Temporary() bool { return true }

// TryRead is Read, but that it returns [ErrNothing] instead of waiting: what has
// come may be a part of a record, or for TLS itself, such as tickets of sessions.
func (s *Secure) TryRead(b []byte) (int, error) {
	s.under.try = true
	n, err := s.Read(b)
	s.under.try = false
	return n, err
}

// Write writes all records of b at a go.
func (s *Secure) Write(b []byte) (int, error) { return s.WriteReleasing(b, func() {}) }

// WriteReleasing is Write. It calls release when it needs b no more, which is
// before it waits for the other side.
func (s *Secure) WriteReleasing(b []byte, release func()) (int, error) {
	s.under.hold(len(b))
	n, err := s.Conn.Write(b)
	release()
	if ferr := s.under.flush(); err == nil && ferr != nil {
		return 0, ferr
	}
	return n, err
}
