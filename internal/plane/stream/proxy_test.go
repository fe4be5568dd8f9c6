package stream

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pen/internal/acl"
	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/testenv"
	"pen/internal/wire"
)

// TestProxyProtocol is what docs/proxy-protocol.md demands of connections.
func TestProxyProtocol(t *testing.T) {
	for _, tt := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"never-guessed", neverGuessed},
		{"required", required},
		{"listed-senders", listedSenders},
		{"header-first", headerFirst},
		{"patience", patient},
		{"only-one", onlyOne},
		{"no-addresses", noAddresses},
		{"source-holds", sourceHolds},
		{"sent-first", sentFirst},
		{"sent-at-once", sentAtOnce},
		{"tlvs-if-asked", tlvsIfAsked},
		{"one-client", oneClient},
		{"layers", layers},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testenv.CheckLeaks(t)
			tt.run(t)
		})
	}
}

const line = "PROXY TCP4 192.0.2.1 192.0.2.2 1000 2000\r\n"

var (
	fromLoopback = &edge.Ends{Proxies: edge.Proxies{Networks: networks("127.0.0.0/8")}}
	told         = wire.Header{
		Source: netip.MustParseAddrPort("192.0.2.1:1000"), Destination: netip.MustParseAddrPort("192.0.2.2:2000"),
		ALPN: "h2", Authority: "www.example.com", UniqueID: "one of its kind",
	}
)

// allTLVs have everything sent that is known.
var allTLVs = wire.TLVs{ALPN: true, Authority: true, UniqueID: true, TLS: true, CRC32C: true, Most: wire.MaxHeader}

// block is a header of version 2.
func block(h wire.Header) string { return string(h.Append(nil, 2)) }

func neverGuessed(t *testing.T) {
	for _, e := range []*edge.Ends{{}, {Proxies: edge.Proxies{Unix: true}}, {Proxies: edge.Proxies{Networks: networks("192.0.2.0/24", "::/0")}}} {
		ln := testenv.Listen(t, "tcp", testenv.Loopback)
		s := serve(t, testenv.Loopback, e, endless, config(edge.Preamble{}, ln.AddrPort()))
		for _, header := range []string{line, block(told)} {
			s.dial(t, header)
			testenv.WantBytes(t, ln.Next(t), header)
		}
	}
}

// Whoever does not keep to it is ended at once, and no server hears of it.
func required(t *testing.T) {
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	s := serve(t, testenv.Loopback, fromLoopback, endless, config(edge.Preamble{}, ln.AddrPort()))
	bad := []string{
		"GET / HTTP/1.1\r\n\r\n", "\n", "PROXY TCP4 192.0.2.1\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", fmt.Sprintf("PROXY UNKNOWN %100s", ""),
		block(told)[:12] + "\x11", block(told)[:14] + "\xff\xff",
	}
	for _, text := range bad {
		testenv.WantReset(t, s.dial(t, text), 0)
	}
	n := len(bad)
	for _, whole := range []string{line, block(told)} {
		for i := range whole {
			c := s.dial(t, whole[:i])
			testenv.CloseWrite(t, c)
			testenv.WantReset(t, c, 0)
		}
		n += len(whole)
	}
	for i := range 20 { // a reset is noticed as well
		testenv.Reset(t, s.dial(t, line[:i]))
		n++
	}
	s.refused(t, dispatch.BadHeader, uint64(n))
	s.flows(t, 0)
	s.dial(t, line+"good")
	testenv.WantBytes(t, ln.Next(t), "good")
}

func listedSenders(t *testing.T) {
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	e := &edge.Ends{Proxies: edge.Proxies{Networks: networks("127.0.0.2/32", "127.0.1.0/24")}}
	s := serve(t, testenv.Loopback, e, endless, config(edge.Preamble{}, ln.AddrPort()))
	for from, listed := range map[string]bool{"127.0.0.1": false, "127.0.0.2": true, "127.0.0.3": false, "127.0.1.255": true, "127.0.2.0": false} {
		s.dialFrom(t, from, line+from)
		want := from
		if !listed {
			want = line + from
		}
		testenv.WantBytes(t, ln.Next(t), want)
	}
	// Unix sockets have no address: they are listed as such, and need not be.
	for _, listed := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "s")
		s := serve(t, path, &edge.Ends{Proxies: edge.Proxies{Networks: networks("0.0.0.0/0", "::/0"), Unix: listed}}, endless, config(edge.Preamble{}, ln.AddrPort()))
		s.dial(t, line+"x")
		want := line + "x"
		if listed {
			want = "x"
		}
		testenv.WantBytes(t, ln.Next(t), want)
	}
}

// A server hears of a client only when its header is complete.
func headerFirst(t *testing.T) {
	for _, header := range []string{line, block(told)} {
		ln := testenv.Listen(t, "tcp", testenv.Loopback)
		s := serve(t, testenv.Loopback, fromLoopback, endless, config(edge.Preamble{}, ln.AddrPort()))
		early := s.dial(t, header[:len(header)-1])
		s.flows(t, 1)
		late := s.dial(t, header+"late")
		server := ln.Next(t)
		testenv.WantBytes(t, server, "late")
		pass(t, server, late, "welcome")
		testenv.Write(t, early, header[len(header)-1:])
		server = ln.Next(t)
		pass(t, server, early, "welcome")
		pass(t, early, server, "early")
	}
}

func patient(t *testing.T) {
	p := listen(t, testenv.Loopback)
	defer p.Close()
	if p.timeouts.header != edge.HeaderTime || edge.HeaderTime < 3*time.Second {
		t.Errorf("a sender has %v, want 3s at least", p.timeouts.header)
	}
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	s := serve(t, testenv.Loopback, fromLoopback, endless, config(edge.Preamble{}, ln.AddrPort()))
	unix := serve(t, filepath.Join(t.TempDir(), "s"), &edge.Ends{Proxies: edge.Proxies{Unix: true}}, endless, config(edge.Preamble{}, ln.AddrPort()))
	for _, header := range []string{line, block(told)} {
		for _, s := range []*service{s, unix} {
			c := s.dial(t, "")
			for _, b := range []byte(header + "data") {
				testenv.Write(t, c, string([]byte{b}))
			}
			testenv.WantBytes(t, ln.Next(t), "data")
		}
	}
	long := told
	long.Authority = string(make([]byte, wire.MaxHeader-200))
	s.dial(t, block(long)+"data")
	testenv.WantBytes(t, ln.Next(t), "data")
}

func onlyOne(t *testing.T) {
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	s := serve(t, testenv.Loopback, fromLoopback, endless, config(edge.Preamble{}, ln.AddrPort()))
	for _, first := range []string{line, block(told)} {
		for _, second := range []string{line, block(told), "\r\n", "\x00"} {
			c := s.dial(t, first+second)
			testenv.CloseWrite(t, c)
			server := ln.Next(t)
			testenv.WantBytes(t, server, second)
			testenv.WantEnd(t, server, 0)
		}
	}
}

func noAddresses(t *testing.T) {
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	s := serve(t, testenv.Loopback, fromLoopback, endless, config(edge.Preamble{Header: 2}, ln.AddrPort()))
	for _, header := range []string{
		"PROXY UNKNOWN\r\n", "PROXY UNKNOWN 192.0.2.1 192.0.2.2 1 2\r\n", block(wire.Header{Local: true}), block(wire.Header{}),
		block(told)[:12] + "\x20\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x00\x01\x00\x02", // LOCAL with addresses
		block(told)[:12] + "\x21\x31\x00\xd8" + string(make([]byte, 216)),                     // of a Unix socket
		block(told)[:12] + "\x21\x12\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x00\x01\x00\x02", // of a datagram
	} {
		c := s.dialFrom(t, "127.0.0.2", header)
		if h := wantHeader(t, ln.Next(t)); h != (wire.Header{Source: local(c), Destination: remote(c)}) {
			t.Errorf("after %q the server is told %+v, want the connection's own addresses", header, h)
		}
		testenv.Eventually(t, fmt.Sprintf("after %q the client is known by its own address", header), func() bool { // once its server has got the header
			_, known := s.d.Table().Lookup(local(c).Addr(), 0)
			return known
		})
	}
}

// Access lists, limits, the client table and servers go by the header's source.
func sourceHolds(t *testing.T) {
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	cfg := config(edge.Preamble{Header: 1}, ln.AddrPort())
	cfg.Limits.ClientConns = 1
	cfg.ACLs.List[0] = []acl.Entry{
		{Addr: netip.MustParseAddr("192.0.2.9"), Mask: 0xffffffff},
		{Addr: netip.MustParseAddr("127.0.0.0"), Mask: 0xff000000},
		{Permit: true, Addr: netip.MustParseAddr("0.0.0.0")},
	}
	s := serve(t, testenv.Loopback, fromLoopback, endless, cfg)
	from := func(source string) string {
		return block(wire.Header{Source: netip.MustParseAddrPort(source), Destination: told.Destination})
	}
	for _, denied := range []string{from("192.0.2.9:1"), from("127.0.0.1:1"), block(wire.Header{Local: true})} {
		testenv.WantEnd(t, s.dial(t, denied), 0)
	}
	s.dial(t, from("192.0.2.1:1"))
	testenv.WantBytes(t, ln.Next(t), "PROXY TCP4 192.0.2.1 192.0.2.2 1 2000\r\n")
	testenv.WantReset(t, s.dial(t, from("[::ffff:192.0.2.1]:2")), 0) // the same client
	s.dial(t, from("192.0.2.3:1"))
	testenv.WantBytes(t, ln.Next(t), "PROXY TCP4 192.0.2.3 192.0.2.2 1 2000\r\n")
	if r := s.d.Status().Refused; r[dispatch.Denied] != 3 || r[dispatch.ClientConns] != 1 {
		t.Errorf("refused: %v", r)
	}
	known := func(client string) bool {
		_, ok := s.d.Table().Lookup(netip.MustParseAddr(client), 0)
		return ok
	}
	testenv.Eventually(t, "clients are in the table", func() bool { // once their servers have got the header
		return known("192.0.2.1") && known("192.0.2.3")
	})
	if known("192.0.2.9") || known("127.0.0.1") {
		t.Error("a client that was denied, or the proxy, is in the client table")
	}
}

// The header comes before anybody has said anything.
func sentFirst(t *testing.T) {
	for version := range 3 {
		if version == 0 {
			continue
		}
		ln := testenv.Listen(t, "tcp", testenv.Loopback)
		s := serve(t, testenv.Loopback, &edge.Ends{}, endless, config(edge.Preamble{Header: version}, ln.AddrPort()))
		c := s.dial(t, "")
		server := ln.Next(t)
		if h := wantHeader(t, server); h != (wire.Header{Source: local(c), Destination: remote(c)}) {
			t.Errorf("version %d: %+v", version, h)
		}
		pass(t, server, c, "welcome")
		pass(t, c, server, "thanks")
		testenv.CloseWrite(t, c)
		testenv.WantEnd(t, server, 0)
	}
}

// One read gets the whole header, with all that it may have.
func sentAtOnce(t *testing.T) {
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	s := serve(t, testenv.Loopback, fromLoopback, endless, config(edge.Preamble{Header: 2, TLVs: allTLVs}, ln.AddrPort()))
	long := told
	long.Authority = strings.Repeat("abcd.", 50) + "ef"
	long.UniqueID = strings.Repeat("x", 128)
	s.dial(t, block(long))
	buf := make([]byte, wire.MaxHeader)
	n, err := ln.Next(t).Read(buf)
	if h, size, perr := wire.ParseHeader(buf[:n]); err != nil || perr != nil || size != n || h != long {
		t.Errorf("read %d bytes, %v: %v", n, err, perr)
	}
}

// Nothing is sent with the addresses that was not asked for, nor more than the
// server is known to take, nor what would be harmful elsewhere.
func tlvsIfAsked(t *testing.T) {
	for _, tt := range []struct {
		tlvs      wire.TLVs
		authority string
		want      wire.Header
	}{
		{wire.TLVs{}, "www.example.com", wire.Header{}},
		{wire.TLVs{Most: wire.MaxHeader}, "www.example.com", wire.Header{}},
		{wire.TLVs{Authority: true}, "www.example.com", wire.Header{Authority: "www.example.com"}},
		{wire.TLVs{Authority: true}, strings.Repeat("a", 60) + "." + strings.Repeat("b", 20) + ".example.com", wire.Header{}},
		{wire.TLVs{Authority: true, ALPN: true, UniqueID: true}, "evil\r\nX-Injected: yes", wire.Header{ALPN: told.ALPN, UniqueID: told.UniqueID}},
		{wire.TLVs{Authority: true}, "../../etc/passwd", wire.Header{}},
	} {
		ln := testenv.Listen(t, "tcp", testenv.Loopback)
		s := serve(t, testenv.Loopback, fromLoopback, endless, config(edge.Preamble{Header: 2, TLVs: tt.tlvs}, ln.AddrPort()))
		client := told
		client.Authority = tt.authority
		s.dial(t, block(client)+"data")
		tt.want.Source, tt.want.Destination = told.Source, told.Destination
		server := ln.Next(t)
		if h := wantHeader(t, server); h != tt.want {
			t.Errorf("%+v: the server is told %+v, want %+v", tt.tlvs, h, tt.want)
		}
		testenv.WantBytes(t, server, "data")
	}
}

// No connection is kept ready for a server that expects headers, and each has
// that of its own client.
func oneClient(t *testing.T) {
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	cfg := config(edge.Preamble{Header: 2, TLVs: wire.TLVs{UniqueID: true}}, ln.AddrPort())
	cfg.Idlers = 3
	s := serve(t, testenv.Loopback, &edge.Ends{}, endless, cfg)
	ids := map[string]bool{}
	for range 5 {
		c := s.dial(t, "mine")
		server := ln.Next(t)
		h := wantHeader(t, server)
		if h.Source != local(c) || h.UniqueID == "" || ids[h.UniqueID] {
			t.Errorf("header %+v for the client at %v", h, local(c))
		}
		ids[h.UniqueID] = true
		testenv.WantBytes(t, server, "mine")
	}
}

// Behind any number of proxies the server is told who the first one's client is.
func layers(t *testing.T) {
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	next := ln.AddrPort()
	for range 3 {
		e := &edge.Ends{Proxies: edge.Proxies{Networks: networks("127.0.0.1/32")}}
		next = serve(t, testenv.Loopback, e, endless, config(edge.Preamble{Header: 2, TLVs: allTLVs}, next)).Addr().(*net.TCPAddr).AddrPort()
	}
	c, err := net.Dial("tcp", next.String())
	if err != nil {
		t.Fatal(err)
	}
	testenv.Own(t, c)
	if _, err := io.WriteString(c, block(told)+"data"); err != nil {
		t.Fatal(err)
	}
	server := ln.Next(t)
	if h := wantHeader(t, server); h != told {
		t.Errorf("the server is told %+v, want %+v", h, told)
	}
	testenv.WantBytes(t, server, "data")
}
