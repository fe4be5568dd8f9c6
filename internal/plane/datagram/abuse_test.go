package datagram

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"pen/internal/acl"
	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/testenv"
)

// Who is refused costs nobody his flow, however full the table is.
func TestRefusedDisplaceNobody(t *testing.T) {
	testenv.CheckLeaks(t)
	cfg := config(udp(t, "a").addr())
	cfg.ConnMax, cfg.ClientACL, cfg.Limits.ClientConns = 1, 1, 1
	cfg.ACLs.List[1] = acl.List{{Addr: netip.MustParseAddr("127.0.0.9"), Mask: 1<<32 - 1}}
	s := start(t, "127.0.0.1:0", cfg)
	c := dial(t, "127.0.0.1", s.addr)
	ask(t, c, "1", "a")
	id := s.Status().Flows[0].ID
	for range 3 {
		send(t, dial(t, "127.0.0.9", s.addr), "denied")
		send(t, dial(t, "127.0.0.1", s.addr), "over the limit")
	}
	s.refused(t, dispatch.Denied, 3)
	s.refused(t, dispatch.ClientConns, 3)
	ask(t, c, "2", "a")
	st := s.Status()
	if st.Events[dispatch.Displaced] != 0 || st.Refused[dispatch.Full] != 0 || len(st.Flows) != 1 || st.Flows[0].ID != id || st.Flows[0].FromClient != 2 {
		t.Errorf("refused %v, flows %+v", st.Refused, st.Flows)
	}
}

// A client that reads nothing of what the dummy says makes nobody wait: what its
// socket does not take is dropped at once.
func TestDummyWaitsForNobody(t *testing.T) {
	testenv.CheckLeaks(t)
	cfg := config()
	cfg.Dummy = true
	path := filepath.Join(t.TempDir(), "l")
	s := start(t, path, cfg)
	deaf, err := net.ListenPacket("unixgram", filepath.Join(t.TempDir(), "deaf")) // connected, it had a longer queue
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	const many = 2000 // each of which took half a second
	for range many {
		if _, err := deaf.WriteTo([]byte("x"), s.plane.ln.Addr()); err != nil {
			t.Fatal(err)
		}
	}
	c := dial(t, "", path)
	send(t, c, "x")
	want(t, c, "HTTP/1.1 200 OK\r\nContent-Length: 15\r\nContent-Type: text/html\r\n\r\nUlric was here.")
	if n := s.count(dispatch.Overflow); n < many-1000 {
		t.Errorf("%d answers were dropped of %d", n, many)
	}
}

// A datagram in our own name is dropped: the server's answer would come back to
// us as the next datagram, and so on.
func TestOwnAddressIsNoClient(t *testing.T) {
	for _, tt := range []struct{ listen, source string }{
		{"127.0.0.1:0", "127.0.0.1"},
		{"0", "127.0.0.1"},
		{"0", "127.9.9.9"},
		{":::0", "::1"},
		{":::0", "127.0.0.1"},
	} {
		t.Run(tt.listen+" from "+tt.source, func(t *testing.T) {
			testenv.CheckLeaks(t)
			h := udp(t, "a")
			s := start(t, tt.listen, config(h.addr()))
			other := start(t, "127.0.0.1:0", config(h.addr()))
			for _, to := range []*service{s, other} {
				at, err := net.ResolveUDPAddr("udp", to.addr)
				if err != nil {
					t.Fatal(err)
				}
				testenv.Eventually(t, "it serves", func() bool {
					to.plane.mu.Lock()
					defer to.plane.mu.Unlock()
					return to.plane.d != nil
				})
				from := netip.AddrPortFrom(netip.MustParseAddr(tt.source), s.plane.ln.Addr().(*net.UDPAddr).AddrPort().Port())
				to.plane.forward(peer{addr: from, asked: at.AddrPort().Addr()}, []byte("x"))
				to.refused(t, dispatch.Looped, 1)
			}
			if n := h.got.Load(); n != 0 {
				t.Errorf("the server got %d datagrams", n)
			}
		})
	}
	if listeners.has(netip.MustParseAddrPort("192.0.2.1:53")) || len(listeners.at) != 0 {
		t.Errorf("left: %v", listeners.at)
	}
}

// A client is remembered when it comes back after an answer, from whatever port,
// and not before: who writes addresses of others on datagrams pushes nobody out
// of the client table.
func TestRememberedAfterAnswer(t *testing.T) {
	testenv.CheckLeaks(t)
	cfg := config(udp(t, "a").addr(), udp(t, "b").addr())
	cfg.ClientsMax = 2
	s := start(t, "127.0.0.1:0", cfg)
	for _, from := range []string{"127.0.0.1", "127.0.0.2"} { // one by its port, one by another
		c := dial(t, from, s.addr)
		name := map[string]string{"127.0.0.1": "a", "127.0.0.2": "b"}[from]
		ask(t, c, "1", name)
		if from == "127.0.0.2" {
			c = dial(t, from, s.addr)
		}
		ask(t, c, "2", name)
	}
	for i := range 50 {
		c := dial(t, fmt.Sprintf("127.1.0.%d", i+1), s.addr)
		send(t, c, "x")
		if _, err := c.Read(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
	known := s.Clients()
	if len(known) != 2 || known[0].Addr.String() != "127.0.0.1" || known[1].Addr.String() != "127.0.0.2" || known[1].Server != 1 {
		t.Errorf("clients %+v", known)
	}
}

// Flows without an answer are bounded by themselves: the oldest goes. Those that
// were answered are not touched by that.
func TestFreshFlowsAreBounded(t *testing.T) {
	testenv.CheckLeaks(t)
	mute := listenPacket(t)
	cfg := config(udp(t, "a").addr(), mute.LocalAddr().String())
	s := start(t, "127.0.0.1:0", cfg)
	s.configure(t, edge.Ends{Datagrams: &edge.Datagrams{Unproven: 5, Responses: -1}})
	c := dial(t, "127.0.0.1", s.addr)
	ask(t, c, "once", "a")
	id := s.Status().Flows[0].ID
	s.Blacklist(0, time.Hour)
	first := dial(t, "127.0.0.2", s.addr)
	send(t, first, "x")
	for i := range 20 {
		send(t, dial(t, fmt.Sprintf("127.0.1.%d", i+1), s.addr), "x")
	}
	s.refused(t, dispatch.Displaced, 16)
	testenv.Eventually(t, "six flows are left", func() bool { return s.Flows() == 6 })
	st := s.Status()
	if st.Flows[0].ID != id {
		t.Errorf("flows %+v", st.Flows)
	}
	s.Blacklist(0, 0)
	ask(t, c, "twice", "a")
	if n := s.Status().Flows[0].FromClient; n != 9 {
		t.Errorf("the first flow has got %d bytes, want 9", n)
	}
	s.Blacklist(1, time.Hour)
	for i := range 20 {
		ask(t, dial(t, fmt.Sprintf("127.0.2.%d", i+1), s.addr), "y", "a")
	}
	s.refused(t, dispatch.Displaced, 16+1+15) // the first one made room among those without an answer
	ask(t, c, "3", "a")
	if f := s.Status().Flows[0]; f.ID != id || f.FromClient != 10 {
		t.Errorf("the conversation was ended: %+v", f)
	}
}

// What is said of a server's death is believed when several clients, or one many
// times, found it so for a second in which it has answered nobody.
func TestSuspicion(t *testing.T) {
	at := func(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", i)) }
	begin := time.Now()
	for _, tt := range []struct {
		name string
		do   func(s *suspect) bool
		want bool
	}{
		{"one client, all ports at once", func(s *suspect) (out bool) {
			for range 100 {
				out = s.refused(at(1), begin)
			}
			return out
		}, false},
		{"all clients at once", func(s *suspect) (out bool) {
			for i := range 100 {
				out = s.refused(at(i), begin)
			}
			return out
		}, false},
		{"two clients", func(s *suspect) bool { s.refused(at(1), begin); return s.refused(at(2), begin.Add(time.Hour)) }, false},
		{"three clients", func(s *suspect) bool {
			s.refused(at(1), begin)
			s.refused(at(2), begin)
			return s.refused(at(3), begin.Add(enoughTime))
		}, true},
		{"three addresses of one network", func(s *suspect) bool {
			s.refused(netip.MustParseAddr("2001:db8::1"), begin)
			s.refused(netip.MustParseAddr("2001:db8::2"), begin)
			return s.refused(netip.MustParseAddr("2001:db8::3"), begin.Add(enoughTime))
		}, false},
		{"one client, many times", func(s *suspect) (out bool) {
			for i := range enoughRefusals {
				out = s.refused(at(1), begin.Add(enoughTime*time.Duration(i)/(enoughRefusals-1)))
			}
			return out
		}, true},
		{"an answer meanwhile", func(s *suspect) bool {
			s.refused(at(1), begin)
			s.refused(at(2), begin)
			s.answered()
			return s.refused(at(3), begin.Add(time.Hour))
		}, false},
	} {
		if got := tt.do(&suspect{}); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// A server that is gone is ejected once enough clients have found it so; until
// then, and after, each of them is served by the other one.
func TestDeadServerIsEjected(t *testing.T) {
	testenv.CheckLeaks(t)
	a, b := udp(t, "a"), udp(t, "b")
	s := start(t, "127.0.0.1:0", config(a.addr(), b.addr()))
	a.Close()
	i := 0
	testenv.Eventually(t, "it is ejected", func() bool {
		i++
		ask(t, dial(t, fmt.Sprintf("127.0.0.%d", i%200+1), s.addr), "x", "b")
		return s.Servers()[0].Failed
	})
}

// A forged ICMP message about a server that has answered everything changes
// nothing; one about a datagram without an answer moves its flow, and no other.
func TestForgedRefusal(t *testing.T) {
	testenv.CheckLeaks(t)
	mute := listenPacket(t)
	s := start(t, "127.0.0.1:0", config(mute.LocalAddr().String(), udp(t, "b").addr()))
	c, other := dial(t, "127.0.0.1", s.addr), dial(t, "127.0.0.2", s.addr)
	ask2 := func(c net.Conn, text string) {
		t.Helper()
		send(t, c, text)
		buf := make([]byte, 100)
		n, at, err := mute.ReadFrom(buf)
		if err != nil || string(buf[:n]) != text {
			t.Fatalf("%q %v", buf[:n], err)
		}
		mute.WriteTo([]byte("mine"), at)
		want(t, c, "mine")
	}
	ask2(c, "1")
	for range 100 {
		s.forge(t, 0)
	}
	ask2(c, "2")
	send(t, c, "3")
	testenv.Eventually(t, "it was sent", func() bool { return s.Status().Flows[0].ToServer == 3 })
	s.forge(t, 0)
	want(t, c, "b 3")
	ask(t, other, "x", "b")
	for _, sv := range s.Servers() {
		if sv.Failed {
			t.Errorf("server %d was ejected", sv.Slot)
		}
	}
}

// forge has the flow of a number find that its server refuses datagrams, as it
// does after an ICMP message.
func (s *service) forge(t *testing.T, id int) {
	t.Helper()
	p := s.plane
	p.mu.Lock()
	var f *flow
	for g := range groups {
		for e := p.flows.all[g].Front(); e != nil; e = e.Next() {
			if c := e.Value.(*flow); s.flowID(c) == id {
				f = c
			}
		}
	}
	c := f.server
	p.mu.Unlock()
	f.over(c, syscall.ECONNREFUSED)
}

// flowID is a flow's number: it is found by its descriptor.
func (s *service) flowID(f *flow) int {
	for _, st := range s.Status().Flows {
		if st.ServerFD == f.Traffic().ServerFD {
			return st.ID
		}
	}
	return -1
}
