package planetest

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"pen/internal/pool"
	"pen/internal/testenv"
)

// All kinds of addresses, on both sides.
var addressing = []conformance{
	{"IPv4 listener", func(t *testing.T, build New) {
		listener(t, build, testenv.Loopback, "127.0.0.1")
	}},
	{"IPv6 listener", func(t *testing.T, build New) {
		needIPv6(t)
		listener(t, build, "[::1]:0", "::1")
	}},
	{"dual-stack listener, IPv4 client", func(t *testing.T, build New) {
		needIPv6(t)
		listener(t, build, "[::]:0", "127.0.0.1")
	}},
	{"dual-stack listener, IPv6 client", func(t *testing.T, build New) {
		needIPv6(t)
		listener(t, build, "[::]:0", "::1")
	}},
	{"IPv6 server", func(t *testing.T, build New) {
		needIPv6(t)
		ln := testenv.Listen(t, "tcp", "[::1]:0")
		s := start(t, build, testenv.Loopback, config(ln.AddrPort()))
		client := s.dial(t)
		exchange(t, client, ln.Next(t))
	}},
	{"source address", func(t *testing.T, build New) {
		ln := testenv.Listen(t, "tcp", testenv.Loopback)
		cfg := config(ln.AddrPort())
		cfg.Source = netip.MustParseAddr("127.0.0.9")
		s := start(t, build, testenv.Loopback, cfg)
		client, server := s.dial(t), ln.Next(t)
		exchange(t, client, server)
		if host, _, _ := net.SplitHostPort(server.RemoteAddr().String()); host != "127.0.0.9" {
			t.Errorf("the server is connected from %s, want 127.0.0.9", host)
		}
	}},
	{"Unix sockets", unixSockets},
	{"Unix listener, TCP server", func(t *testing.T, build New) {
		echo(t, start(t, build, socketPath(t), config(testenv.Echo(t))).dial(t))
	}},
}

// listener connects to a listener from an address of loopback. Policy must see that
// address.
func listener(t *testing.T, build New, addr, from string) {
	s := start(t, build, addr, config(testenv.Echo(t)))
	echo(t, testenv.Dial(t, port(s.ln.Addr(), from)))
	clients := s.d.Clients()
	if len(clients) != 1 || clients[0].Addr != netip.MustParseAddr(from) {
		t.Errorf("clients %+v, want one from %s", clients, from)
	}
}

// needIPv6 fails the test where the system has no IPv6 on loopback.
func needIPv6(t *testing.T) {
	t.Helper()
	ln, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Fatalf("this test needs IPv6 on the loopback interface: %v", err)
	}
	ln.Close()
}

// socketPath returns a short path: that of a Unix socket has at most about 100 bytes.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pen")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "sock")
}

func unixSockets(t *testing.T, build New) {
	ln := testenv.Listen(t, "unix", socketPath(t))
	cfg := config()
	cfg.Pool.Servers = []pool.Config{{Path: ln.Addr().String(), Weight: 1}}
	s := start(t, build, socketPath(t), cfg)

	client := s.dial(t)
	server := ln.Next(t)
	exchange(t, client, server)
	halfClose(t, client, server)

	client = s.dial(t)
	server = ln.Next(t)
	halfClose(t, server, client)

	client = s.dial(t)
	server = ln.Next(t)
	client.Close()
	testenv.WantClosed(t, server)
	server.Close()
	s.flows(t, 0)

	client = s.dial(t)
	server = ln.Next(t)
	s.d.Kill(s.flows(t, 1)[0].ID)
	testenv.WantClosed(t, client)
	testenv.WantClosed(t, server)
}
