package datagram

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pen/internal/acl"
	"pen/internal/dispatch"
	"pen/internal/pool"
	"pen/internal/testenv"
)

func TestStickyAndCounted(t *testing.T) {
	testenv.CheckLeaks(t)
	a, b := udp(t, "a"), udp(t, "b")
	s := start(t, "127.0.0.1:0", config(a.addr(), b.addr()))
	c1, c2 := dial(t, "127.0.0.1", s.addr), dial(t, "127.0.0.1", s.addr)
	ask(t, c1, "one", "a")
	ask(t, c1, "two", "a")
	ask(t, c2, "same client, another port", "a")
	c3 := dial(t, "127.0.0.2", s.addr)
	ask(t, c3, "another client", "b")
	ask(t, c3, "again", "b")
	st := s.Status()
	if len(st.Flows) != 3 || st.Servers[0].Conns != 2 || st.Servers[1].Conns != 1 {
		t.Errorf("%d flows, %d and %d on the servers", len(st.Flows), st.Servers[0].Conns, st.Servers[1].Conns)
	}
	if sv := st.Servers[0]; sv.Sent != 6+25 || sv.Received != 6+25+3*2 {
		t.Errorf("server a: sent %d, received %d", sv.Sent, sv.Received)
	}
	if !s.Kill(st.Flows[0].ID) || len(s.Status().Flows) != 2 {
		t.Errorf("a flow was not ended: %d left", len(s.Status().Flows))
	}
	if cl := s.Clients(); len(cl) != 2 || cl[0].Sent+cl[1].Sent == 0 {
		t.Errorf("clients %+v", cl)
	}
}

// Any family may meet any other, and answers come from the address that was
// asked: the clients are connected to it, and take them from no other.
func TestFamiliesAndAskedAddress(t *testing.T) {
	dir := t.TempDir()
	for i, tt := range []struct{ listen, network, server, client, to string }{
		{"127.0.0.1:0", "udp", "127.0.0.1:0", "127.0.0.1", ""},
		{"127.0.0.1:0", "udp", "[::1]:0", "127.0.0.1", ""},
		{"::1:0", "udp", "127.0.0.1:0", "::1", ""},
		{"::1:0", "udp", "[::1]:0", "::1", ""},
		{"0", "udp", "127.0.0.1:0", "127.0.0.9", "127.0.0.7"},
		{":::0", "udp", "127.0.0.1:0", "127.0.0.9", "127.0.0.7"},
		{":::0", "udp", "[::1]:0", "::1", "::1"},
		{"127.0.0.1:0", "unixgram", filepath.Join(dir, "s1"), "127.0.0.1", ""},
		{filepath.Join(dir, "l1"), "udp", "127.0.0.1:0", "", ""},
		{filepath.Join(dir, "l2"), "unixgram", filepath.Join(dir, "s2"), "", ""},
	} {
		t.Run(fmt.Sprintf("%d %s to %s", i, tt.listen, tt.server), func(t *testing.T) {
			testenv.CheckLeaks(t)
			h := serve(t, "a", tt.network, tt.server)
			s := start(t, tt.listen, config(h.addr()))
			to := s.addr
			if tt.to != "" {
				_, port, _ := net.SplitHostPort(s.addr)
				to = net.JoinHostPort(tt.to, port)
			}
			c := dial(t, tt.client, to)
			for _, text := range []string{"hello", "", strings.Repeat("x", 9000)} {
				ask(t, c, text, "a")
			}
		})
	}
}

// A client that asks two addresses has two conversations.
func TestTwoAskedAddresses(t *testing.T) {
	testenv.CheckLeaks(t)
	h := udp(t, "a")
	s := start(t, "0", config(h.addr()))
	_, port, _ := net.SplitHostPort(s.addr)
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(testenv.Limit))
	for _, ip := range []string{"127.0.0.7", "127.0.0.8", "127.0.0.7"} {
		to, _ := net.ResolveUDPAddr("udp", net.JoinHostPort(ip, port))
		c.WriteTo([]byte("x"), to)
		buf := make([]byte, 100)
		if _, from, err := c.ReadFrom(buf); err != nil || from.String() != to.String() {
			t.Errorf("asked %v, answered from %v: %v", to, from, err)
		}
	}
	if n := len(s.Status().Flows); n != 2 {
		t.Errorf("%d flows, want 2", n)
	}
}

func TestLargestDatagram(t *testing.T) {
	testenv.CheckLeaks(t)
	h := udp(t, "a")
	s := start(t, "127.0.0.1:0", config(h.addr()))
	ask(t, dial(t, "", s.addr), strings.Repeat("y", 65507-len("a ")), "a")
}

// What a dead server's machine refuses is sent to the next one: nothing is
// lost. The client is then remembered there. One client's word does not have the
// dead servers ejected.
func TestRefusedMovesOn(t *testing.T) {
	for _, blacklist := range []time.Duration{time.Hour, 0} {
		testenv.CheckLeaks(t)
		a, b := udp(t, "a"), udp(t, "b")
		cfg := config(a.addr(), dead(t), b.addr())
		cfg.Pool.Blacklist = blacklist
		s := start(t, "127.0.0.1:0", cfg)
		c := dial(t, "127.0.0.1", s.addr)
		ask(t, c, "1", "a")
		a.Close()
		for i := range 20 {
			ask(t, c, fmt.Sprint(i), "b")
		}
		ask(t, dial(t, "127.0.0.1", s.addr), "another flow", "b")
		servers := s.Servers()
		if servers[0].Failed || servers[1].Failed || servers[2].Failed {
			t.Errorf("blacklist %v: servers %+v", blacklist, servers)
		}
		if servers[0].Conns != 0 || servers[0].Sent != 2 || servers[0].Received != 3 {
			t.Errorf("the first server: %+v", servers[0])
		}
	}
}

// A flow leaves a server that others found dead at its next datagram, before
// anything is lost.
func TestLeavesBlacklistedServer(t *testing.T) {
	testenv.CheckLeaks(t)
	a, b := udp(t, "a"), udp(t, "b")
	s := start(t, "127.0.0.1:0", config(a.addr(), b.addr()))
	c := dial(t, "", s.addr)
	ask(t, c, "1", "a")
	s.Blacklist(0, time.Hour)
	ask(t, c, "2", "b")
	if n := a.got.Load(); n != 1 {
		t.Errorf("the blacklisted server got %d datagrams", n)
	}
}

func TestNoServer(t *testing.T) {
	testenv.CheckLeaks(t)
	cfg := config(dead(t), dead(t))
	s := start(t, "127.0.0.1:0", cfg)
	c := dial(t, "", s.addr)
	send(t, c, "x")
	s.refused(t, dispatch.NoServer, 1)
	send(t, c, "y")
	s.refused(t, dispatch.NoServer, 2)
	if n := len(s.Status().Flows); n != 0 {
		t.Errorf("%d flows", n)
	}
	e := udp(t, "e")
	cfg.Pool.Emergency = []pool.Config{server(e.addr())}
	s.Configure(cfg)
	ask(t, c, "z", "e")
}

func TestAccessList(t *testing.T) {
	testenv.CheckLeaks(t)
	cfg := config(udp(t, "a").addr())
	cfg.ClientACL = 1
	cfg.ACLs.List[1] = acl.List{{Addr: netip.MustParseAddr("127.0.0.9"), Mask: 1<<32 - 1}}
	s := start(t, "127.0.0.1:0", cfg)
	denied := dial(t, "127.0.0.9", s.addr)
	for range 3 {
		send(t, denied, "x")
	}
	s.refused(t, dispatch.Denied, 3)
	ask(t, dial(t, "127.0.0.8", s.addr), "x", "a")
	cfg.Pool.Abuse = server(udp(t, "abuse").addr())
	s.Configure(cfg)
	ask(t, denied, "x", "abuse")
}

func TestDummy(t *testing.T) {
	testenv.CheckLeaks(t)
	cfg := config()
	cfg.Dummy = true
	s := start(t, "127.0.0.1:0", cfg)
	c := dial(t, "", s.addr)
	send(t, c, "x")
	want(t, c, "HTTP/1.1 200 OK\r\nContent-Length: 15\r\nContent-Type: text/html\r\n\r\nUlric was here.")
}

func TestIdleFlowsEnd(t *testing.T) {
	testenv.CheckLeaks(t)
	cfg := config(udp(t, "a").addr())
	cfg.IdleTimeout = 30 * time.Second
	s := start(t, "127.0.0.1:0", cfg)
	idle, busy := dial(t, "", s.addr), dial(t, "", s.addr)
	ask(t, idle, "x", "a")
	ask(t, busy, "x", "a")
	s.Sweep()
	s.clock.Add(int64(20 * time.Second))
	ask(t, busy, "x", "a")
	s.Sweep()
	s.clock.Add(int64(20 * time.Second))
	s.Sweep()
	if n := len(s.Status().Flows); n != 1 {
		t.Errorf("%d flows, want the busy one", n)
	}
	ask(t, idle, "it begins anew", "a")
}

// In a full table flows of clients that never came back after an answer make
// room for new ones. Conversations stay.
func TestFullTable(t *testing.T) {
	testenv.CheckLeaks(t)
	cfg := config(udp(t, "a").addr())
	cfg.ConnMax = 4
	s := start(t, "127.0.0.1:0", cfg)
	live := dial(t, "", s.addr)
	ask(t, live, "1", "a")
	ask(t, live, "2", "a")
	id := s.Status().Flows[0].ID
	for i := range 50 {
		ask(t, dial(t, "", s.addr), fmt.Sprint(i), "a")
	}
	ask(t, live, "3", "a")
	st := s.Status()
	if len(st.Flows) != 4 || st.Events[dispatch.Displaced] != 47 || st.Flows[0].ID != id || st.Flows[0].FromClient != 3 {
		t.Errorf("%d flows, refused %v, the first is %+v", len(st.Flows), st.Refused, st.Flows[0])
	}
	// With nothing but conversations, new ones are dropped.
	var all []net.Conn
	for range 3 {
		c := dial(t, "", s.addr)
		ask(t, c, "1", "a")
		ask(t, c, "2", "a")
		all = append(all, c)
	}
	send(t, dial(t, "", s.addr), "x")
	s.refused(t, dispatch.Full, 1)
	for _, c := range append(all, live) {
		ask(t, c, "4", "a")
	}
}

// While it drains, conversations go on and nobody new is served.
func TestDrain(t *testing.T) {
	testenv.CheckLeaks(t)
	s := start(t, "127.0.0.1:0", config(udp(t, "a").addr()))
	c := dial(t, "", s.addr)
	ask(t, c, "1", "a")
	s.cancel()
	testenv.Eventually(t, "a new client is refused", func() bool {
		send(t, dial(t, "", s.addr), "x")
		return s.count(dispatch.Stopping) > 0
	})
	ask(t, c, "2", "a")
	if s.isOver() {
		t.Error("Serve returned with a live flow")
	}
	s.KillAll()
	testenv.Eventually(t, "Serve returns", s.isOver)
}

// A client that goes on sending does not keep a listener that was taken away:
// what is never answered is dropped, and a conversation is over after a while.
func TestRetiredListenerEnds(t *testing.T) {
	testenv.CheckLeaks(t)
	mute := serveMute(t)
	s := start(t, "127.0.0.1:0", config(udp(t, "a").addr(), mute.addr()))
	talks, sends := dial(t, "127.0.0.1", s.addr), dial(t, "127.0.0.2", s.addr)
	ask(t, talks, "1", "a")
	send(t, sends, "1")
	testenv.Eventually(t, "it was sent", func() bool { return mute.got.Load() == 1 })
	s.cancel()
	testenv.Eventually(t, "the sender's flow ends", func() bool {
		send(t, sends, "2")
		return s.Flows() == 1
	})
	ask(t, talks, "2", "a")
	s.plane.mu.Lock()
	s.plane.retired = s.plane.retired.Add(-2 * lastWords)
	s.plane.mu.Unlock()
	send(t, talks, "3")
	testenv.Eventually(t, "Serve returns", s.isOver)
}

// A Unix server that reads slowly gets everything, up to the bound of the
// queue; what is more is counted. Other flows do not wait for it.
func TestSlowServerDelaysNobody(t *testing.T) {
	testenv.CheckLeaks(t)
	slow, err := net.ListenPacket("unixgram", filepath.Join(t.TempDir(), "slow"))
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	slow.SetDeadline(time.Now().Add(testenv.Limit))
	s := start(t, "127.0.0.1:0", config(slow.LocalAddr().String(), udp(t, "a").addr()))
	c := dial(t, "127.0.0.1", s.addr)
	for i := range maxWaiting {
		send(t, c, fmt.Sprint(i))
	}
	ask(t, dial(t, "127.0.0.2", s.addr), "x", "a")
	buf := make([]byte, 100)
	read := func(i int) {
		t.Helper()
		if n, _, err := slow.ReadFrom(buf); err != nil || string(buf[:n]) != fmt.Sprint(i) {
			t.Fatalf("read %q, want %d: %v", buf[:n], i, err)
		}
	}
	for i := range maxWaiting {
		read(i)
	}
	const many = 1000
	for i := range many {
		send(t, c, fmt.Sprint(i))
	}
	testenv.Eventually(t, "drops are counted", func() bool { return s.count(dispatch.Overflow) > 0 })
	ask(t, dial(t, "127.0.0.2", s.addr), "y", "a")
	for i := range maxWaiting {
		read(i)
	}
}

// A flow may be ended while its queue is about to move on.
func TestKilledWhileQueued(t *testing.T) {
	testenv.CheckLeaks(t)
	slow, err := net.ListenPacket("unixgram", filepath.Join(t.TempDir(), "slow"))
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	s := start(t, "127.0.0.1:0", config(slow.LocalAddr().String()))
	buf := make([]byte, 100)
	for range 200 {
		c := dial(t, "", s.addr)
		for range maxWaiting {
			send(t, c, "x")
		}
		testenv.Eventually(t, "datagrams wait", func() bool {
			f := s.Status().Flows
			return len(f) == 1 && f[0].FromClient == maxWaiting
		})
		killed := make(chan struct{})
		go func() {
			s.KillAll()
			close(killed)
		}()
		slow.SetReadDeadline(time.Now().Add(testenv.Limit))
		slow.ReadFrom(buf) // there is room again
		<-killed
		slow.SetReadDeadline(time.Unix(1, 0))
		for err = nil; err == nil; {
			_, _, err = slow.ReadFrom(buf)
		}
	}
}

// Who can't be answered disturbs nobody: a Unix client without a name, one that
// reads nothing, one that is gone.
func TestUnixClients(t *testing.T) {
	testenv.CheckLeaks(t)
	path := filepath.Join(t.TempDir(), "l")
	h := udp(t, "a")
	s := start(t, path, config(h.addr()))
	unnamed, err := net.Dial("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer unnamed.Close()
	send(t, unnamed, "x")
	s.refused(t, dispatch.Unsent, 1)
	deaf := dial(t, "", path)
	for range 60 { // more than its queue holds
		send(t, deaf, "x")
	}
	ask(t, dial(t, "", path), "y", "a")
	deaf.Close()
	ask(t, dial(t, "", path), "z", "a")
	s.cancel()
	testenv.Eventually(t, "the socket's file is removed", func() bool {
		s.KillAll()
		_, err := os.Stat(path)
		return os.IsNotExist(err)
	})
}

// What comes while the listener's queue is full is counted.
func TestUnreadIsCounted(t *testing.T) {
	testenv.CheckLeaks(t)
	p := listen(t, testenv.Loopback, slog.Default())
	const most = 10_000 // more than any queue holds
	c := dial(t, "", p.ln.Addr().String())
	payload := strings.Repeat("x", 9000)
	for range most {
		send(t, c, payload)
	}
	d := dispatch.New(config(), func() time.Duration { return 0 })
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		p.Serve(ctx, d)
	}()
	// The count comes with the first datagram that found room again.
	testenv.Eventually(t, "every datagram is counted", func() bool {
		send(t, c, "y")
		n := d.Status().Counts
		return n.Dropped[dispatch.Unread] > 0 && n.Dropped[dispatch.Unread]+n.Refused[dispatch.NoServer] >= most
	})
	cancel()
	<-over
}
