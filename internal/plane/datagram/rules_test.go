package datagram

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pen/internal/acl"
	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/pool"
	"pen/internal/testenv"
)

// A client that keeps its socket goes where the configuration wants it with its
// next datagram.
func TestFlowsObeyTheConfiguration(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(c *dispatch.Config, other pool.Config)
	}{
		{"removed", func(c *dispatch.Config, _ pool.Config) { c.Pool.Servers[0] = pool.Config{} }},
		{"moved to another slot", func(c *dispatch.Config, b pool.Config) { c.Pool.Servers = []pool.Config{b} }},
		{"another address", func(c *dispatch.Config, b pool.Config) { c.Pool.Servers[0] = b }},
		{"disabled", func(c *dispatch.Config, _ pool.Config) { c.Pool.Servers[0].Admin = pool.Disabled }},
		{"draining", func(c *dispatch.Config, _ pool.Config) { c.Pool.Servers[0].Admin = pool.Draining }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testenv.CheckLeaks(t)
			a, b := udp(t, "a"), udp(t, "b")
			cfg := config(a.addr(), b.addr())
			s := start(t, "127.0.0.1:0", cfg)
			c := dial(t, "127.0.0.1", s.addr)
			ask(t, c, "1", "a")
			ask(t, c, "2", "a")
			next := config(a.addr(), b.addr())
			tt.change(&next, server(b.addr()))
			s.Configure(next)
			ask(t, c, "3", "b")
			ask(t, c, "4", "b")
			if st := s.Status(); len(st.Flows) != 1 || st.Flows[0].FromClient != 4 || a.got.Load() != 2 {
				t.Errorf("flows %+v; server a got %d", st.Flows, a.got.Load())
			}
		})
	}
}

func TestFlowIsDeniedLater(t *testing.T) {
	testenv.CheckLeaks(t)
	a := udp(t, "a")
	s := start(t, "127.0.0.1:0", config(a.addr()))
	c := dial(t, "127.0.0.9", s.addr)
	ask(t, c, "1", "a")
	cfg := config(a.addr())
	cfg.ClientACL = 1
	cfg.ACLs.List[1] = acl.List{{Addr: netip.MustParseAddr("127.0.0.9"), Mask: 1<<32 - 1}}
	s.Configure(cfg)
	send(t, c, "2")
	s.refused(t, dispatch.Denied, 1)
	if n := s.Flows(); n != 0 || a.got.Load() != 1 {
		t.Errorf("%d flows, and %d datagrams came to the server", n, a.got.Load())
	}
	s.Configure(config(a.addr()))
	ask(t, c, "3", "a")
}

// A sender that was there before the first server is served when there is one.
func TestFirstServerComesLater(t *testing.T) {
	testenv.CheckLeaks(t)
	s := start(t, "127.0.0.1:0", config())
	c := dial(t, "127.0.0.1", s.addr)
	send(t, c, "lost")
	s.refused(t, dispatch.NoServer, 1)
	s.Configure(config(udp(t, "a").addr()))
	ask(t, c, "x", "a")
}

// counters are mute servers.
func counters(t *testing.T, n int) (addrs []string, counts func() []int64) {
	t.Helper()
	var all []*host
	for range n {
		h := serveMute(t)
		all = append(all, h)
		addrs = append(addrs, h.addr())
	}
	return addrs, func() []int64 {
		var out []int64
		for _, h := range all {
			out = append(out, h.got.Load())
		}
		return out
	}
}

func serveMute(t *testing.T) *host { return serve(t, "", "udp", "127.0.0.1:0") }

// What nobody ever answers goes to the servers in turn where clients are not
// tracked, and where each datagram is to have its choice.
func TestOneWayTakesTurns(t *testing.T) {
	for _, each := range []bool{false, true} {
		t.Run(fmt.Sprintf("per datagram: %v", each), func(t *testing.T) {
			testenv.CheckLeaks(t)
			addrs, counts := counters(t, 3)
			cfg := config(addrs...)
			cfg.NoTracking, cfg.PerDatagram = !each, each
			s := start(t, "127.0.0.1:0", cfg)
			s.configure(t, edge.Ends{Datagrams: &edge.Datagrams{Responses: -1, PerDatagram: each}})
			c := dial(t, "127.0.0.1", s.addr)
			const many = 90
			for i := range many {
				send(t, c, fmt.Sprint(i))
			}
			testenv.Eventually(t, "all have come", func() bool {
				sum := int64(0)
				for _, n := range counts() {
					sum += n
				}
				return sum == many
			})
			for i, n := range counts() {
				if n < many/3-oneWay || each && n != many/3 {
					t.Errorf("server %d got %d of %d", i, n, many)
				}
			}
			if n := s.Flows(); n != 3 {
				t.Errorf("%d flows, want one for each server", n)
			}
			cfg.Pool.Servers = cfg.Pool.Servers[:1]
			s.Configure(cfg)
			before := counts()
			for range 30 {
				send(t, c, "x")
			}
			testenv.Eventually(t, "all go to the server that is left", func() bool { return counts()[0] == before[0]+30 })
		})
	}
}

// Who is answered keeps its server, although it sent many datagrams before: what
// went to others meanwhile is still answered.
func TestAnsweredKeepsItsServer(t *testing.T) {
	testenv.CheckLeaks(t)
	slow := []net.PacketConn{listenPacket(t), listenPacket(t)}
	cfg := config(slow[0].LocalAddr().String(), slow[1].LocalAddr().String())
	cfg.NoTracking = true
	s := start(t, "127.0.0.1:0", cfg)
	c := dial(t, "127.0.0.1", s.addr)
	for i := range oneWay + 1 {
		send(t, c, fmt.Sprint(i))
	}
	testenv.Eventually(t, "all are sent", func() bool { return s.Flows() == 2 && s.Servers()[1].Sent == 1 })
	buf := make([]byte, 100)
	for i := range oneWay {
		n, at, err := slow[0].ReadFrom(buf)
		if err != nil || string(buf[:n]) != fmt.Sprint(i) {
			t.Fatalf("the first server got %q, %v; want %d", buf[:n], err, i)
		}
		slow[0].WriteTo(buf[:n], at)
		want(t, c, fmt.Sprint(i))
	}
	_, at, err := slow[1].ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	slow[1].WriteTo([]byte("late"), at)
	want(t, c, "late")
	for i := range 10 {
		send(t, c, fmt.Sprint("more", i))
		if n, _, err := slow[0].ReadFrom(buf); err != nil || string(buf[:n]) != fmt.Sprint("more", i) {
			t.Fatalf("the first server got %q, %v", buf[:n], err)
		}
	}
}

// Answers come back from whichever server got the datagram.
func TestPerDatagramAnswers(t *testing.T) {
	testenv.CheckLeaks(t)
	cfg := config(udp(t, "a").addr(), udp(t, "b").addr())
	cfg.PerDatagram = true
	s := start(t, "127.0.0.1:0", cfg)
	s.configure(t, edge.Ends{Datagrams: &edge.Datagrams{Responses: -1, PerDatagram: true}})
	c := dial(t, "127.0.0.1", s.addr)
	for i := range 10 {
		ask(t, c, "x", string("ab"[i%2]))
	}
	if n := len(s.Clients()); n != 0 {
		t.Errorf("%d clients are remembered", n)
	}
}

// A flow that has had its answers is over; what is expected is so many for each
// of the client's datagrams.
func TestResponses(t *testing.T) {
	testenv.CheckLeaks(t)
	two := listenPacket(t)
	s := start(t, "127.0.0.1:0", config(two.LocalAddr().String()))
	s.configure(t, edge.Ends{Datagrams: &edge.Datagrams{Responses: 2}})
	c := dial(t, "127.0.0.1", s.addr)
	buf := make([]byte, 100)
	send(t, c, "x")
	send(t, c, "y")
	for range 2 {
		if _, _, err := two.ReadFrom(buf); err != nil {
			t.Fatal(err)
		}
	}
	send(t, c, "z")
	_, at, err := two.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		if n := s.Flows(); n != 1 {
			t.Errorf("%d flows after %d answers", n, i)
		}
		two.WriteTo([]byte("a"), at)
		want(t, c, "a")
	}
	testenv.Eventually(t, "the flow is over", func() bool { return s.Flows() == 0 })
}

// Where there are no answers, no flow stays; nothing is lost where a server's
// socket is full.
func TestNoResponses(t *testing.T) {
	for _, network := range []string{"udp", "unixgram"} {
		t.Run(network, func(t *testing.T) {
			testenv.CheckLeaks(t)
			addr := "127.0.0.1:0"
			if network == "unixgram" {
				addr = t.TempDir() + "/s"
			}
			server, err := net.ListenPacket(network, addr)
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			server.SetDeadline(time.Now().Add(testenv.Limit))
			s := start(t, "127.0.0.1:0", config(server.LocalAddr().String()))
			s.configure(t, edge.Ends{Datagrams: &edge.Datagrams{Responses: 0}})
			c := dial(t, "127.0.0.1", s.addr)
			for i := range 30 {
				send(t, c, fmt.Sprint(i))
			}
			got := map[string]bool{}
			buf := make([]byte, 100)
			for range 30 {
				n, _, err := server.ReadFrom(buf)
				if err != nil {
					t.Fatalf("after %d: %v", len(got), err)
				}
				got[string(buf[:n])] = true
			}
			testenv.Eventually(t, "no flow stays", func() bool { return s.Flows() == 0 })
			if len(got) != 30 {
				t.Errorf("%d of 30 came", len(got))
			}
		})
	}
}

// After so many datagrams the next one begins another flow, and the old one still
// gets its answers.
func TestRequests(t *testing.T) {
	testenv.CheckLeaks(t)
	server := listenPacket(t)
	cfg := config(server.LocalAddr().String())
	s := start(t, "127.0.0.1:0", cfg)
	s.configure(t, edge.Ends{Datagrams: &edge.Datagrams{Requests: 1, Responses: 1}})
	c := dial(t, "127.0.0.1", s.addr)
	buf := make([]byte, 100)
	var from []net.Addr
	for _, text := range []string{"1", "2", "3"} {
		send(t, c, text)
		n, at, err := server.ReadFrom(buf)
		if err != nil || string(buf[:n]) != text {
			t.Fatalf("%q %v", buf[:n], err)
		}
		from = append(from, at)
	}
	if n := s.Flows(); n != 3 || from[0].String() == from[1].String() {
		t.Errorf("%d flows, from %v", n, from)
	}
	for i := range from {
		server.WriteTo([]byte(strings.Repeat("x", i+1)), from[i])
		want(t, c, strings.Repeat("x", i+1))
	}
	testenv.Eventually(t, "all are over", func() bool { return s.Flows() == 0 })
}
