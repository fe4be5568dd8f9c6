package tlsterm

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pen/internal/testenv"
)

func newClient(t testing.TB, cfg ClientConfig) *Client {
	t.Helper()
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// call connects to a server of serve as a plane does.
func call(t testing.TB, c *Client, addr, host string) (tls.ConnectionState, error) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(testenv.Limit))
	secured, err := c.Handshake(t.Context(), conn, host)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	greeting, err := io.ReadAll(secured)
	if err == nil && string(greeting) != hello {
		t.Errorf("the server says %q", greeting)
	}
	return secured.ConnectionState(), err
}

func TestClientVerifies(t *testing.T) {
	ca, dir := testenv.NewAuthority(t, "ca"), t.TempDir()
	addr := serve(t, newServer(t, ServerConfig{
		Certificates: []Pair{writePair(t, dir, "a", ca.Issue(t, "a.example", "127.0.0.1"))}, ALPN: []string{"h2"},
	}))
	good, other := write(t, dir, "ca.pem", ca.PEM()), write(t, dir, "other.pem", testenv.NewAuthority(t, "other").PEM())
	for _, tt := range []struct {
		cfg  ClientConfig
		host string
		ok   bool
	}{
		{ClientConfig{CA: good}, "a.example", true},
		{ClientConfig{CA: good}, "A.example.", true},
		{ClientConfig{CA: good}, "127.0.0.1", true},
		{ClientConfig{CA: good}, "127.0.0.2", false},
		{ClientConfig{CA: good}, "b.example", false},
		{ClientConfig{CA: good, Name: "a.example"}, "b.example", true},
		{ClientConfig{CA: good, Name: "b.example"}, "a.example", false},
		{ClientConfig{CA: good}, "", false},
		{ClientConfig{CA: good, Name: "a.example"}, "", true},
		{ClientConfig{CA: other}, "a.example", false},
		{ClientConfig{}, "a.example", false},
		{ClientConfig{Insecure: true}, "b.example", true},
		{ClientConfig{Insecure: true}, "", true},
	} {
		tt.cfg.ALPN = []string{"h2"}
		state, err := call(t, newClient(t, tt.cfg), addr, tt.host)
		if (err == nil) != tt.ok || tt.ok && state.NegotiatedProtocol != "h2" {
			t.Errorf("%+v, server %q: %v, %q", tt.cfg, tt.host, err, state.NegotiatedProtocol)
		}
	}
}

func TestClientShowsCertificate(t *testing.T) {
	ca, dir := testenv.NewAuthority(t, "ca"), t.TempDir()
	s, addr := mutual(t, ca)
	mine := writePair(t, dir, "mine", ca.Issue(t, "mine"))
	cfg := ClientConfig{CA: s.cfg.CAFile}
	if _, err := call(t, newClient(t, cfg), addr, "a.example"); err == nil {
		t.Error("the server has let in who shows nothing")
	}
	cfg.Cert, cfg.Key = mine.Cert, mine.Key
	c := newClient(t, cfg)
	for _, resumed := range []bool{false, true} {
		state, err := call(t, c, addr, "a.example")
		if err != nil || state.DidResume != resumed {
			t.Errorf("%v, resumed: %v, want %v", err, state.DidResume, resumed)
		}
	}
	if len(c.hosts) != 1 {
		t.Errorf("%d servers are known", len(c.hosts))
	}
}

func TestBadClient(t *testing.T) {
	ca, dir := testenv.NewAuthority(t, "ca"), t.TempDir()
	pair := writePair(t, dir, "a", ca.Issue(t, "a"))
	missing := filepath.Join(dir, "missing")
	for _, tt := range []struct {
		cfg  ClientConfig
		want string
	}{
		{ClientConfig{CA: missing}, missing},
		{ClientConfig{CA: pair.Key}, pair.Key},
		{ClientConfig{Cert: missing}, missing},
		{ClientConfig{Cert: pair.Cert, Key: missing}, missing},
		{ClientConfig{Key: pair.Key}, pair.Key},
		{ClientConfig{Name: "a b"}, "a b"},
	} {
		if _, err := NewClient(tt.cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: the error is %v, want one with %q", tt.cfg, err, tt.want)
		}
	}
}

// What a server says before TLS is not taken for a part of what it says in it.
func TestServerSpeaksFirst(t *testing.T) {
	ca, dir := testenv.NewAuthority(t, "ca"), t.TempDir()
	s := newServer(t, ServerConfig{Certificates: []Pair{writePair(t, dir, "a", ca.Issue(t, "a.example"))}})
	c := newClient(t, ClientConfig{CA: write(t, dir, "ca.pem", ca.PEM())})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		server, err := ln.Accept()
		if err != nil {
			return
		}
		defer server.Close()
		io.WriteString(server, "220 ready\r\n")
		s.Handshake(t.Context(), server, Peer{})
	})
	defer running.Wait()
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := c.Handshake(t.Context(), client, "a.example"); err == nil || !strings.Contains(err.Error(), "does not look like a TLS handshake") {
		t.Errorf("the error is %v", err)
	}
}

func TestClientHandshakeEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	client, server := net.Pipe()
	defer server.Close()
	failed := make(chan error)
	go func() {
		_, err := newClient(t, ClientConfig{}).Handshake(ctx, client, "a.example")
		failed <- err
	}()
	if _, err := server.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}

// Servers that come and go do not fill the memory.
func TestHostsAreBounded(t *testing.T) {
	c := newClient(t, ClientConfig{})
	for i := range 3 * maxHosts {
		if _, err := c.config(string(rune('a'+i%26)) + strings.Repeat("x", i%1000)); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.hosts) > maxHosts {
		t.Errorf("%d are remembered", len(c.hosts))
	}
}
