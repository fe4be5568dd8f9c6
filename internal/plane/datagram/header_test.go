package datagram

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"pen/internal/acl"
	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/testenv"
	"pen/internal/wire"
)

var told = wire.Header{
	Datagram: true, Source: netip.MustParseAddrPort("192.0.2.1:1000"), Destination: netip.MustParseAddrPort("192.0.2.9:53"),
	Authority: "www.example.com", UniqueID: "one of its kind",
}

// from is a header of version 2 for a client.
func from(client string) string {
	h := told
	h.Source = netip.MustParseAddrPort(client)
	return string(h.Append(nil, 2))
}

// accepting starts a service whose clients are proxies on 127.0.0.2.
func accepting(t *testing.T, first bool, cfg dispatch.Config) *service {
	t.Helper()
	s := start(t, testenv.Loopback, cfg)
	s.configure(t, edge.Ends{
		Proxies:   edge.Proxies{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}, First: first},
		Datagrams: &edge.Datagrams{Responses: -1},
	})
	return s
}

// headed has servers that want headers.
func headed(cfg dispatch.Config, preamble edge.Preamble) dispatch.Config {
	for i := range cfg.Pool.Servers {
		cfg.Pool.Servers[i].Preamble = preamble
	}
	return cfg
}

// wantHeader reads a datagram that has a header and a text, and returns who sent
// it and what the header says.
func wantHeader(t *testing.T, server net.PacketConn, text string) (net.Addr, wire.Header) {
	t.Helper()
	buf := make([]byte, maxDatagram)
	n, from, err := server.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	h, size, err := wire.ParseHeader(buf[:n])
	if err != nil || string(buf[size:n]) != text {
		t.Fatalf("got %q, want a header and %q: %v", buf[:n], text, err)
	}
	return from, h
}

func wantText(t *testing.T, server net.PacketConn, text string) {
	t.Helper()
	buf := make([]byte, maxDatagram)
	n, _, err := server.ReadFrom(buf)
	if err != nil || string(buf[:n]) != text {
		t.Fatalf("got %q, %v, want %q", buf[:n], err, text)
	}
}

func listenPacket(t *testing.T) net.PacketConn {
	t.Helper()
	c, err := net.ListenPacket("udp", testenv.Loopback)
	if err != nil {
		t.Fatal(err)
	}
	return testenv.OwnPacket(t, c.(net.Conn)).(net.PacketConn)
}

// TestProxyProtocol is what docs/proxy-protocol.md demands of datagrams.
func TestProxyProtocol(t *testing.T) {
	t.Run("datagrams", func(t *testing.T) {
		testenv.CheckLeaks(t)
		s := accepting(t, false, config(udp(t, "a").addr()))
		c := dial(t, "127.0.0.2", s.addr)
		ask := func(text string) {
			t.Helper()
			send(t, c, text)
		}
		local := string(wire.Header{Local: true}.Append(nil, 2))
		stream := told
		stream.Datagram = false
		bad := []string{
			"x", "", "PROXY UNKNOWN\r\nx", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nx", from("192.0.2.1:1")[:20], string(stream.Append(nil, 2)) + "x",
			strings.Replace(from("192.0.2.1:1"), "\x21\x12", "\x21\x13", 1) + "x", " " + from("192.0.2.1:1") + "x",
		}
		for i, text := range bad {
			ask(text)
			s.refused(t, dispatch.BadHeader, uint64(i+1))
			// The one before does not count for the next.
			ask(from("192.0.2.1:1") + fmt.Sprint(i))
			want(t, c, fmt.Sprint("a ", i))
		}
		for _, header := range []string{local, string(wire.Header{}.Append(nil, 2)), from("192.0.2.1:1"), from("[2001:db8::1]:1")} {
			ask(header + "y")
			want(t, c, "a y")
			ask(header) // with nothing in it
			want(t, c, "a ")
		}
		if n := len(s.Status().Flows); n != 3 {
			t.Errorf("%d flows, want one for each client that was named and one for the proxy itself", n)
		}
	})
}

// Who is not listed sends no headers, whatever it looks like.
func TestHeaderIsNotGuessed(t *testing.T) {
	testenv.CheckLeaks(t)
	s := accepting(t, false, config(udp(t, "a").addr()))
	for _, text := range []string{from("192.0.2.1:1"), from("192.0.2.1:1") + "x", "PROXY UNKNOWN\r\n", "x"} {
		ask(t, dial(t, "127.0.0.1", s.addr), text, "a")
	}
	if r := s.Status().Counts; r != (dispatch.Counts{}) {
		t.Errorf("refused: %v", r)
	}
}

// Clients behind a proxy are told apart though they share its socket, and limits,
// access lists and servers go by their addresses.
func TestClientsBehindProxy(t *testing.T) {
	testenv.CheckLeaks(t)
	server := listenPacket(t)
	cfg := headed(config(server.LocalAddr().String()), edge.Preamble{Header: 2, Each: true, TLVs: wire.TLVs{Authority: true}})
	cfg.Limits.ClientConns = 1
	cfg.ACLs.List[0] = []acl.Entry{{Addr: netip.MustParseAddr("192.0.2.66"), Mask: 0xffffffff}, {Permit: true, Addr: netip.MustParseAddr("0.0.0.0")}}
	s := accepting(t, false, cfg)
	proxy := dial(t, "127.0.0.2", s.addr)
	const clients = 50
	addr := func(i int) string { return fmt.Sprintf("192.0.2.%d:%d", i+100, i+1) }
	seen := map[string]bool{}
	for round := range 2 {
		for i := range clients {
			text := fmt.Sprint("from ", i)
			send(t, proxy, from(addr(i))+text)
			at, h := wantHeader(t, server, text)
			if h.Source.String() != addr(i) || h.Destination != told.Destination || h.Authority != told.Authority {
				t.Errorf("the server is told %+v of client %d", h, i)
			}
			if round == 0 && seen[at.String()] {
				t.Errorf("client %d has somebody else's flow", i)
			}
			seen[at.String()] = true
			server.WriteTo([]byte("to "+text), at)
			want(t, proxy, "to "+text)
		}
	}
	if n := len(s.Status().Flows); n != clients || len(seen) != clients {
		t.Errorf("%d flows from %d ports, want %d", n, len(seen), clients)
	}
	send(t, proxy, from("192.0.2.66:1")+"x")
	s.refused(t, dispatch.Denied, 1)
	send(t, proxy, from(strings.Split(addr(0), ":")[0]+":9")+"x") // another port of a client
	s.refused(t, dispatch.ClientConns, 1)
}

// With First a proxy uses a port for each client, and says only once whose it is.
func TestFirstHeader(t *testing.T) {
	testenv.CheckLeaks(t)
	server := listenPacket(t)
	s := accepting(t, true, headed(config(server.LocalAddr().String()), edge.Preamble{Header: 2}))
	for _, client := range []string{"192.0.2.1:1", "192.0.2.2:1"} {
		port := dial(t, "127.0.0.2", s.addr)
		send(t, port, "too early")
		send(t, port, from(client)+"first")
		if _, h := wantHeader(t, server, "first"); h.Source.String() != client {
			t.Errorf("the server is told of %v, want %s", h.Source, client)
		}
		for _, text := range []string{"second", "", from("192.0.2.3:1") + "data"} {
			send(t, port, text)
			wantText(t, server, text)
		}
	}
	s.refused(t, dispatch.BadHeader, 2)
	if n := len(s.Status().Flows); n != 2 {
		t.Errorf("%d flows", n)
	}
}

// The header comes with the first datagram of a flow or with each, and again
// when the flow goes to another server.
func TestHeaderToServer(t *testing.T) {
	testenv.CheckLeaks(t)
	for _, each := range []bool{false, true} {
		server := listenPacket(t)
		s := start(t, testenv.Loopback, headed(config(dead(t), server.LocalAddr().String()), edge.Preamble{Header: 2, Each: each, TLVs: wire.TLVs{UniqueID: true}}))
		for range 2 { // the first client finds the dead one dead
			c := dial(t, "127.0.0.1", s.addr)
			send(t, c, "first")
			at, h := wantHeader(t, server, "first")
			own := wire.Header{
				Datagram: true, UniqueID: h.UniqueID,
				Source: netip.MustParseAddrPort(c.LocalAddr().String()), Destination: netip.MustParseAddrPort(s.addr),
			}
			if h != own || h.UniqueID == "" {
				t.Errorf("the server is told %+v, want %+v", h, own)
			}
			server.WriteTo([]byte("answer"), at)
			want(t, c, "answer")
			for range 2 {
				send(t, c, "next")
				if !each {
					wantText(t, server, "next")
				} else if _, h := wantHeader(t, server, "next"); h != own {
					t.Errorf("then it is told %+v, want %+v", h, own)
				}
			}
		}
	}
}

// Where a flow leaves its server, the next one is told as well.
func TestHeaderAfterFailover(t *testing.T) {
	testenv.CheckLeaks(t)
	first, second := listenPacket(t), listenPacket(t)
	s := start(t, testenv.Loopback, headed(config(first.LocalAddr().String(), second.LocalAddr().String()), edge.Preamble{Header: 2}))
	c := dial(t, "127.0.0.1", s.addr)
	send(t, c, "one")
	_, told := wantHeader(t, first, "one")
	send(t, c, "two")
	wantText(t, first, "two")
	first.Close()
	send(t, c, "three") // which is refused, and sent again
	if _, h := wantHeader(t, second, "three"); h != told {
		t.Errorf("the second server is told %+v, want %+v", h, told)
	}
	send(t, c, "four")
	wantText(t, second, "four")
}

// A datagram that has no room for its header is dropped and counted, and those
// after it are not.
func TestNoRoomForHeader(t *testing.T) {
	testenv.CheckLeaks(t)
	server := listenPacket(t)
	s := start(t, testenv.Loopback, headed(config(server.LocalAddr().String()), edge.Preamble{Header: 2}))
	c := dial(t, "127.0.0.1", s.addr)
	send(t, c, strings.Repeat("x", 65507))
	s.refused(t, dispatch.Unsent, 1)
	send(t, c, "y")
	wantHeader(t, server, "y")
}
