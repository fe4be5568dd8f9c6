package edge

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"syscall"
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

// secured does a handshake between a connection's ends, with TLS up to a version.
func secured(t *testing.T, near, far net.Conn, most uint16) (*Secure, *tls.Conn) {
	t.Helper()
	web := httptest.NewTLSServer(http.NotFoundHandler())
	certs := web.TLS.Certificates
	web.Close()
	client, err := tlsterm.NewClient(tlsterm.ClientConfig{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	server := tls.Server(far, &tls.Config{Certificates: certs, MaxVersion: most})
	shaken := make(chan error, 1)
	go func() { shaken <- server.Handshake() }()
	s, err := Preamble{TLS: client}.Open(context.Background(), near, wire.Header{}, testenv.Limit)
	if err := errors.Join(err, <-shaken); err != nil {
		t.Fatal(err)
	}
	return s, server
}

// TLS sets no deadline of its own: the last word waits for a reader as all
// before it does, and an abrupt end is told from a proper one.
func TestSecure(t *testing.T) {
	testenv.CheckLeaks(t)
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	for _, proper := range []bool{true, false} {
		c := &patient{Conn: testenv.Dial(t, ln.Addr())}
		raw := ln.Next(t)
		s, server := secured(t, c, raw, tls.VersionTLS13)
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
		if _, err := (Preamble{TLS: client}).Open(ctx, c, wire.Header{}, testenv.Limit); !errors.Is(err, context.Canceled) {
			t.Fatalf("%v, want %v", err, context.Canceled)
		}
		c.Close()
	}
	c := testenv.Dial(t, ln.Addr())
	if _, err := (Preamble{TLS: client}).Open(context.Background(), c, wire.Header{}, time.Millisecond); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("after its time is over: %v", err)
	}
}

// TestRecords has what is written arrive whole, however it is cut into records
// and reads, and says when there is a whole record more.
func TestRecords(t *testing.T) {
	testenv.CheckLeaks(t)
	for _, listen := range []string{"tcp", "pipe"} {
		near, far := net.Pipe()
		if listen == "tcp" {
			ln := testenv.Listen(t, "tcp", testenv.Loopback)
			near, far = testenv.Dial(t, ln.Addr()), ln.Next(t)
		}
		s, server := secured(t, near, far, tls.VersionTLS13)
		sent := make([]byte, 1<<20)
		for i := range sent {
			sent[i] = byte(i * i >> 7)
		}
		echoed := make(chan error, 1)
		go func() { // what comes goes back in pieces of many sizes
			var err error
			all := make([]byte, len(sent))
			if _, err = io.ReadFull(server, all); err == nil {
				for n := 1; len(all) > 0 && err == nil; n = n*3%40_000 + 1 {
					part := all[:min(n, len(all))]
					_, err = server.Write(part)
					all = all[len(part):]
				}
			}
			echoed <- errors.Join(err, server.CloseWrite())
		}()
		for b := sent; len(b) > 0; {
			part := b[:min(len(b), 100_000)]
			if n, err := s.Write(part); n != len(part) || err != nil {
				t.Fatalf("%s: wrote %d of %d, %v", listen, n, len(part), err)
			}
			b = b[len(part):]
		}
		var got []byte
		buf := make([]byte, 50_000)
		for n := 1; ; n = n*7%len(buf) + 1 {
			s.Wait()
			m, err := s.Read(buf[:n])
			got = append(got, buf[:m]...)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: after %d bytes: %v", listen, len(got), err)
			}
		}
		if !bytes.Equal(got, sent) {
			t.Errorf("%s: %d bytes came back, not the %d that were sent", listen, len(got), len(sent))
		}
		if err := <-echoed; err != nil {
			t.Error(err)
		}
		s.Wait() // does not wait for what comes after the last word
		if n, err := s.Read(buf); n != 0 || err != io.EOF {
			t.Errorf("%s: after the end: %d bytes, %v", listen, n, err)
		}
		near.Close()
		far.Close()
	}
}

// What comes for TLS itself, such as the tickets of a session, or a part of a
// record, is nothing to read: nobody keeps a buffer ready for it.
func TestTryReadDoesNotWait(t *testing.T) {
	testenv.CheckLeaks(t)
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	c := testenv.Dial(t, ln.Addr())
	far := newUnder(ln.Next(t))
	s, server := secured(t, c, far, tls.VersionTLS13)
	buf := make([]byte, 64<<10)
	s.Wait() // for the tickets, which come in any case
	for n, err := s.TryRead(buf); err != ErrNothing; n, err = s.TryRead(buf) {
		t.Fatalf("tickets: %d bytes, %v", n, err)
	}
	far.hold(1)
	io.WriteString(server, "text")
	far.mu.Lock()
	record := append([]byte(nil), (*far.out)[:far.length]...)
	far.length = 0
	far.mu.Unlock()
	for i, b := range record {
		if _, err := far.Conn.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
		s.Wait()
		n, err := s.TryRead(buf)
		if last := i == len(record)-1; last != (err == nil) || !last && err != ErrNothing || last && string(buf[:n]) != "text" {
			t.Fatalf("byte %d of %d of a record: %q, %v", i+1, len(record), buf[:n], err)
		}
	}
	c.SetReadDeadline(time.Unix(1, 0))
	if err := s.Wait(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a wait that is ended: %v", err)
	}
	c.SetReadDeadline(time.Time{})
	server.Close()
	s.Wait()
	if n, err := s.TryRead(buf); n != 0 || err == nil || err == ErrNothing {
		t.Errorf("after the end: %d bytes, %v", n, err)
	}
}

// TestLastWord has the end come together with the last bytes, from a side that
// leaves the connection open.
func TestLastWord(t *testing.T) {
	testenv.CheckLeaks(t)
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	c := testenv.Dial(t, ln.Addr())
	far := newUnder(ln.Next(t))
	s, server := secured(t, c, far, tls.VersionTLS12)
	far.hold(1)
	io.WriteString(server, "a")
	io.WriteString(server, "b")
	server.CloseWrite()
	if err := far.flush(); err != nil { // all in one piece
		t.Fatal(err)
	}
	late := time.AfterFunc(testenv.Limit, func() {
		t.Error("there is no end")
		c.Close()
	})
	defer late.Stop()
	var got []byte
	var err error
	buf := make([]byte, 64<<10)
	for err == nil {
		var n int
		s.Wait()
		n, err = s.Read(buf)
		got = append(got, buf[:n]...)
	}
	if string(got) != "ab" || err != io.EOF {
		t.Errorf("got %q, %v, want ab and the end", got, err)
	}
	s.Wait()
	if _, err := s.Read(buf); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
}

// TestBroken has a reset told by Read, though Wait was the first to see it.
func TestBroken(t *testing.T) {
	testenv.CheckLeaks(t)
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	c := testenv.Dial(t, ln.Addr())
	far := ln.Next(t)
	s, _ := secured(t, c, far, tls.VersionTLS12)
	testenv.Reset(t, far)
	for range 2 {
		s.Wait()
		if n, err := s.Read(make([]byte, 64<<10)); n != 0 || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read %d bytes, %v, want a reset", n, err)
		}
	}
}
