package tlsterm

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"pen/internal/testenv"
)

// write replaces a file as a careful program does, and returns its name.
func write(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// writePair writes name.crt and name.key.
func writePair(t testing.TB, dir, name string, cert tls.Certificate) Pair {
	t.Helper()
	return Pair{
		Cert: write(t, dir, name+".crt", testenv.CertPEM(cert.Certificate...)),
		Key:  write(t, dir, name+".key", testenv.KeyPEM(t, cert.PrivateKey)),
	}
}

// A log collects what is logged.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *log) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func newServer(t testing.TB, cfg ServerConfig) *Server {
	t.Helper()
	s, err := NewServer(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// hello is what a server of a test says after the handshake.
const hello = "hello"

// serve has a server greet clients at an address until the end of the test.
func serve(t testing.TB, s *Server) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, s, ln)
}

func serveOn(t testing.TB, s *Server, ln net.Listener) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				if conn, err := s.Handshake(ctx, c, Peer{}); err == nil {
					io.WriteString(conn, hello)
					conn.CloseWrite()
					io.Copy(io.Discard, conn)
				}
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		cancel()
		running.Wait()
	})
	return ln.Addr().String()
}

// visit connects to a server of serve, and returns what the connection was like
// if it was greeted.
func visit(t testing.TB, addr string, cfg *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(testenv.Limit))
	conn := tls.Client(c, cfg)
	greeting, err := io.ReadAll(conn)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	if string(greeting) != hello {
		t.Fatalf("the server says %q, want %q", greeting, hello)
	}
	return conn.ConnectionState(), nil
}

// shown returns the common name of the certificate that a server shows to who
// asks for a name.
func shown(t testing.TB, addr, name string) string {
	t.Helper()
	state, err := visit(t, addr, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		t.Fatalf("ask for %q: %v", name, err)
	}
	return state.PeerCertificates[0].Subject.CommonName
}

// versions are what is to be tried with each version of TLS.
var versions = []struct {
	name    string
	version uint16
}{{"1.2", tls.VersionTLS12}, {"1.3", tls.VersionTLS13}}
