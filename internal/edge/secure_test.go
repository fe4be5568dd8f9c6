package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"pen/internal/testenv"
	"pen/internal/tlsterm"
	"pen/internal/wire"
)

// A patient connection notes what deadlines it gets to write.
type patient struct {
	net.Conn
	deadlines []time.Time
}

func (p *patient) SetWriteDeadline(d time.Time) error {
	p.deadlines = append(p.deadlines, d)
	return p.Conn.SetWriteDeadline(d)
}

func (p *patient) SetDeadline(d time.Time) error {
	p.deadlines = append(p.deadlines, d)
	return p.Conn.SetDeadline(d)
}

// TLS sets no deadline of its own: the last word waits for a reader as all
// before it does, and an abrupt end is told from a proper one.
func TestSecure(t *testing.T) {
	testenv.CheckLeaks(t)
	web := httptest.NewTLSServer(http.NotFoundHandler())
	certs := web.TLS.Certificates
	web.Close()
	client, err := tlsterm.NewClient(tlsterm.ClientConfig{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	for _, proper := range []bool{true, false} {
		c := &patient{Conn: testenv.Dial(t, ln.Addr())}
		raw := ln.Next(t)
		server := tls.Server(raw, &tls.Config{Certificates: certs})
		shaken := make(chan error, 1)
		go func() { shaken <- server.Handshake() }()
		s, err := Way{TLS: client}.Open(context.Background(), c, wire.Header{}, testenv.Limit)
		if err := errors.Join(err, <-shaken); err != nil {
			t.Fatal(err)
		}
		if n := len(c.deadlines); n != 2 || !c.deadlines[1].IsZero() {
			t.Errorf("deadlines %v, want one and then none", c.deadlines)
		}
		if err := s.CloseWrite(); err != nil {
			t.Error(err)
		}
		if n := len(c.deadlines); n != 2 {
			t.Errorf("the last word has the deadlines %v", c.deadlines[2:])
		}
		if b, err := io.ReadAll(server); len(b) != 0 || err != nil {
			t.Errorf("the server reads %q, %v, want a proper end", b, err)
		}
		if _, err := io.WriteString(server, "bye"); err != nil {
			t.Fatal(err)
		}
		if proper {
			server.CloseWrite()
		}
		raw.Close()
		b, err := io.ReadAll(s)
		if want := error(io.ErrUnexpectedEOF); string(b) != "bye" || proper && err != nil || !proper && err != want {
			t.Errorf("proper %v: read %q, %v", proper, b, err)
		}
	}
}

// Whoever gives up opening a connection is not told that the server is at fault.
func TestGivenUp(t *testing.T) {
	testenv.CheckLeaks(t)
	client, err := tlsterm.NewClient(tlsterm.ClientConfig{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	for range 500 {
		ctx, cancel := context.WithCancel(context.Background())
		c := testenv.Dial(t, ln.Addr())
		server := ln.Next(t)
		go func() {
			io.ReadFull(server, make([]byte, 1))
			cancel()
		}()
		if _, err := (Way{TLS: client}).Open(ctx, c, wire.Header{}, testenv.Limit); !errors.Is(err, context.Canceled) {
			t.Fatalf("%v, want %v", err, context.Canceled)
		}
		c.Close()
	}
	c := testenv.Dial(t, ln.Addr())
	if _, err := (Way{TLS: client}).Open(context.Background(), c, wire.Header{}, time.Millisecond); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("after its time is over: %v", err)
	}
}
