package stream

import (
	"net/netip"
	"testing"

	"pen/internal/acl"
	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/testenv"
)

// Who is denied, or over a limit, learns that before anything is waited for: it
// takes no place of those who are not.
func TestJudgedBeforeHello(t *testing.T) {
	testenv.CheckLeaks(t)
	const bad, good = "127.0.0.5", "127.0.0.9"
	backend := newDispatcher(config(edge.Preamble{}, testenv.Source(t, "served")))
	routes := new(edge.Routes[edge.Service])
	routes.Add("default", "", edge.Service{Dispatcher: backend, Ends: &edge.Ends{}})
	cfg := config(edge.Preamble{})
	cfg.ConnMax, cfg.ClientACL = 4, 1
	cfg.ACLs.List[1] = acl.List{{Addr: netip.MustParseAddr(bad), Mask: 0xffffffff}}
	cfg.Limits.ClientConns = 2
	trusted := netip.MustParsePrefix("127.0.0.77/32")
	s := serve(t, testenv.Loopback, &edge.Ends{Routes: routes, Proxies: edge.Proxies{Networks: []netip.Prefix{trusted}}}, endless, cfg)
	for range 2 * cfg.ConnMax {
		testenv.WantClosed(t, s.dialFrom(t, bad, "\x16\x03"))
	}
	s.refused(t, dispatch.Denied, uint64(2*cfg.ConnMax))
	for range 2 { // they never say the rest of their hello
		s.dialFrom(t, "127.0.0.6", "\x16\x03")
	}
	s.flows(t, 2)
	testenv.WantClosed(t, s.dialFrom(t, "127.0.0.6", "\x16\x03"))
	testenv.WantBytes(t, s.dialFrom(t, good, "not TLS"), "served")
	// A proxy that is trusted is nobody's client: it is judged for whom it speaks.
	testenv.WantClosed(t, s.dialFrom(t, "127.0.0.77", "PROXY TCP4 "+bad+" 127.0.0.1 1 2\r\nnot TLS"))
	testenv.WantBytes(t, s.dialFrom(t, "127.0.0.77", "PROXY TCP4 "+good+" 127.0.0.1 1 2\r\nnot TLS"), "served")
}

// A connection for a service that is full waits for a place there.
func TestRoutedWaitsForPlace(t *testing.T) {
	testenv.CheckLeaks(t)
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	cfg := config(edge.Preamble{}, ln.AddrPort())
	cfg.ConnMax = 1
	backend := newDispatcher(cfg)
	routes := new(edge.Routes[edge.Service])
	routes.Add("default", "", edge.Service{Dispatcher: backend, Ends: &edge.Ends{}})
	s := serve(t, testenv.Loopback, &edge.Ends{Routes: routes}, endless, config(edge.Preamble{}))
	first := s.dial(t, "first")
	server := ln.Next(t)
	testenv.WantBytes(t, server, "first")
	second := s.dial(t, "second")
	s.flows(t, 1) // it has its place in the service that listens
	first.Close()
	server.Close()
	server = ln.Next(t)
	testenv.WantBytes(t, server, "second")
	testenv.Write(t, server, "served")
	testenv.WantBytes(t, second, "served")
}
