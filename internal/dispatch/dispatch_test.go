package dispatch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pen/internal/acl"
	"pen/internal/pool"
)

var errRefused = errors.New("refused")

type carrier struct {
	moved  Traffic
	killed bool
	why    Ending
}

func (c *carrier) Traffic() Traffic { return c.moved }
func (c *carrier) Kill(why Ending)  { c.killed, c.why = true, why }

// A clock that the test moves.
type clock struct{ t time.Duration }

func (c *clock) now() time.Duration { return c.t }

func server(addr string) pool.Config {
	return pool.Config{Addr: netip.MustParseAddrPort(addr), Weight: 1}
}

func config(n int) Config {
	cfg := Config{ACLs: &acl.Lists{}, ClientsMax: 100, ConnMax: 1000}
	cfg.Pool.Blacklist = 30 * time.Second
	for i := range n {
		cfg.Pool.Servers = append(cfg.Pool.Servers, server(fmt.Sprintf("192.0.2.1:%d", 1000+i)))
	}
	return cfg
}

func from(n int) netip.AddrPort {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 10<<24|uint32(n))
	return netip.AddrPortFrom(netip.AddrFrom4(a), 40000)
}

// tries sends a client through; the slots in dead refuse it. It returns the
// slots offered, and the flow that is up, or nil where it was given up.
func tries(t *testing.T, d *Dispatcher, client netip.AddrPort, dead ...int) ([]int, *Flow) {
	t.Helper()
	f, err := d.Admit(client, &carrier{})
	if err != nil {
		t.Fatal(err)
	}
	var slots []int
	for {
		target, ok := f.Next()
		if !ok {
			f.Done(ByClient)
			return slots, nil
		}
		slots = append(slots, target.Slot)
		if !slices.Contains(dead, target.Slot) {
			f.Up()
			return slots, f
		}
		f.Failed(errRefused)
	}
}

func visit(t *testing.T, d *Dispatcher, client netip.AddrPort, dead ...int) []int {
	t.Helper()
	slots, f := tries(t, d, client, dead...)
	if f != nil {
		f.Done(ByClient)
	}
	return slots
}

func wantSlots(t *testing.T, what string, got []int, want ...int) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: tried %v, want %v", what, got, want)
	}
}

const (
	abuse     = pool.AbuseSlot
	emergency = pool.EmergencySlot
)

func TestStickiness(t *testing.T) {
	clk := &clock{}
	cfg := config(3)
	cfg.Tracking = 10 * time.Second
	d := New(cfg, clk.now)
	wantSlots(t, "first client", visit(t, d, from(1)), 0)
	wantSlots(t, "second client", visit(t, d, from(2)), 1)
	wantSlots(t, "first again", visit(t, d, from(1)), 0)
	wantSlots(t, "first from an IPv6 listener", visit(t, d, netip.MustParseAddrPort("[::ffff:10.0.0.1]:5")), 0)
	wantSlots(t, "third client", visit(t, d, from(3)), 2)
	wantSlots(t, "failover", visit(t, d, from(2), 1), 1, 2)
	clk.t = 5 * time.Second
	wantSlots(t, "failover pins anew", visit(t, d, from(2)), 2)
	clk.t = 16 * time.Second
	wantSlots(t, "forgotten after the tracking time", visit(t, d, from(1)), 0)

	cfg.NoTracking = true
	d.Configure(cfg)
	clk.t = 40 * time.Second // server 1 is back
	wantSlots(t, "-r", visit(t, d, from(1)), 1)
	wantSlots(t, "-r again", visit(t, d, from(1)), 2)

	cfg.NoTracking = false
	cfg.Pool.Servers = cfg.Pool.Servers[:2]
	d.Configure(cfg)
	wantSlots(t, "its server was removed", visit(t, d, from(1)), 0)
}

// Section 25: pinned to 1, which refuses: 1, 2, 0, emergency.
func TestFailoverOrder(t *testing.T) {
	cfg := config(3)
	cfg.Pool.Emergency = []pool.Config{server("192.0.2.9:1")}
	d := New(cfg, (&clock{}).now)
	visit(t, d, from(0))
	visit(t, d, from(1))
	wantSlots(t, "all dead", visit(t, d, from(1), 0, 1, 2, emergency), 1, 2, 0, emergency)
	wantSlots(t, "all blacklisted", visit(t, d, from(1)), emergency)
	wantSlots(t, "the emergency server is dead as well", visit(t, d, from(1), emergency), emergency, 0)

	d = New(cfg, (&clock{}).now)
	wantSlots(t, "only the emergency server", visit(t, d, from(1), 0, 1, 2), 0, 1, 2, emergency)
	cl := d.Clients()
	if len(cl) != 1 || cl[0].Server != -1 || cl[0].Connects != 1 {
		t.Errorf("the emergency server pinned: %+v", cl)
	}
}

func TestStubborn(t *testing.T) {
	cfg := config(3)
	cfg.Stubborn = true
	cfg.Pool.Emergency = []pool.Config{server("192.0.2.9:1")}
	d := New(cfg, (&clock{}).now)
	wantSlots(t, "no failover, no emergency", visit(t, d, from(1), 0), 0)
	wantSlots(t, "the next one", visit(t, d, from(1)), 1)
}

func TestAbuse(t *testing.T) {
	cfg := config(2)
	cfg.ClientACL = 1
	lists := &acl.Lists{}
	lists.List[0] = acl.List{{Addr: from(1).Addr(), Mask: 1<<32 - 1}}
	lists.List[1] = lists.List[0]
	cfg.ACLs = lists
	cfg.Pool.Emergency = []pool.Config{server("192.0.2.9:1")}
	d := New(cfg, (&clock{}).now)
	if _, err := d.Admit(from(1), &carrier{}); err != ErrDenied {
		t.Errorf("denied, no abuse server: %v", err)
	}
	cfg.Pool.Abuse = server("192.0.2.8:1")
	cfg.ClientACL = 0 // list 0 is the servers' default as well
	d.Configure(cfg)
	wantSlots(t, "denied", visit(t, d, from(1)), abuse)
	wantSlots(t, "denied, abuse server dead", visit(t, d, from(1), abuse), abuse)
	wantSlots(t, "denied, abuse server dead before", visit(t, d, from(1)), abuse)
	if n := len(d.Clients()); n != 0 {
		t.Errorf("%d clients remembered, want none", n)
	}
	wantSlots(t, "permitted", visit(t, d, from(2)), 0)
}

func TestServerACL(t *testing.T) {
	cfg := config(3)
	lists := &acl.Lists{}
	lists.List[5] = acl.List{{Addr: from(1).Addr(), Mask: 1<<32 - 1}}
	cfg.ACLs = lists
	cfg.Pool.Servers[0].ACL = 5
	d := New(cfg, (&clock{}).now)
	wantSlots(t, "denied by server 0", visit(t, d, from(1)), 1)
}

// Section 25: server with max 1 and hard 2, client A holds one connection.
func TestSoftAndHardLimit(t *testing.T) {
	cfg := config(2)
	cfg.Pool.Servers[0].Max, cfg.Pool.Servers[0].Hard = 1, 2
	d := New(cfg, (&clock{}).now)
	first, a1 := tries(t, d, from(1))
	wantSlots(t, "A", first, 0)
	cfg.Pool.Algorithm = pool.Prio // always server 0 first
	d.Configure(cfg)
	wantSlots(t, "B", visit(t, d, from(2)), 1)
	second, a2 := tries(t, d, from(1))
	wantSlots(t, "A's second", second, 0)
	wantSlots(t, "A's third", visit(t, d, from(1)), 1)
	a1.Done(ByClient)
	a2.Done(ByClient)
}

func TestBlacklistAndLocalFailures(t *testing.T) {
	clk := &clock{}
	d := New(config(2), clk.now)
	f, err := d.Admit(from(1), &carrier{})
	if err != nil {
		t.Fatal(err)
	}
	f.Next()
	if f.Failed(fmt.Errorf("socket: %w", ErrLocal)) {
		t.Error("a local failure blacklisted the server")
	}
	f.Next()
	if !f.Failed(errRefused) {
		t.Error("a refused connect did not blacklist the server")
	}
	f.Done(ByClient)
	wantSlots(t, "only 1 is blacklisted, the other one fails as well", visit(t, d, from(2), 0, 1), 0, 1)
	wantSlots(t, "the last one stays", visit(t, d, from(3), 0, 1), 0, 1)
	wantSlots(t, "and the first one was back all the while", visit(t, d, from(2), 0), 0, 1)
	if st := d.Servers()[0]; st.State != pool.StateFailing || st.Failures != 3 {
		t.Errorf("the last server that fails is %q after %d failures", st.State, st.Failures)
	}
	d.Blacklist(1, time.Hour)
	wantSlots(t, "what the operator says is so", visit(t, d, from(4), 0), 0)
	if !d.Blacklist(1, 0) || d.Blacklist(7, 0) {
		t.Error("Blacklist does not tell which servers there are")
	}
	wantSlots(t, "1 was taken back", visit(t, d, from(4)), 1)
	d.Blacklist(1, time.Hour)
	clk.t = 30 * time.Second
	wantSlots(t, "0 came back", visit(t, d, from(5)), 0)
}

// A server that failed is tried by one flow at a time, until a connect
// succeeds; however that flow ends, the next one may try.
func TestTrial(t *testing.T) {
	for name, end := range map[string]func(f *Flow){
		"the client goes away": func(f *Flow) { f.Done(ByClient) },
		"a local failure":      func(f *Flow) { f.Failed(ErrLocal); f.Done(ByClient) },
	} {
		clk := &clock{}
		cfg := config(2)
		cfg.Pool.Algorithm = pool.Prio // server 0 where that is possible
		cfg.Idlers = 3
		d := New(cfg, clk.now)
		_, older := tries(t, d, from(9))
		wantSlots(t, name+": it fails", visit(t, d, from(1), 0), 0, 1)
		clk.t = 30 * time.Second
		f, _ := d.Admit(from(2), &carrier{})
		if target, ok := f.Next(); !ok || target.Slot != 0 {
			t.Fatalf("%s: nobody tries it: %v", name, target)
		}
		wantSlots(t, name+": meanwhile", visit(t, d, from(3)), 1)
		older.Done(ByClient) // it was there before
		wantSlots(t, name+": meanwhile, an older one ends", visit(t, d, from(4)), 1)
		_, spares := d.Spares(nil)
		for _, s := range spares {
			if s.Slot == 0 {
				t.Errorf("%s: a kept connection tries it", name)
			}
		}
		end(f)
		wantSlots(t, name+": the next one tries", visit(t, d, from(5)), 0)
		_, a := tries(t, d, from(6))
		wantSlots(t, name+": it is back", visit(t, d, from(7)), 0)
		a.Done(ByClient)
	}
}

func TestRoom(t *testing.T) {
	cfg := config(1)
	cfg.ConnMax = 2
	d := New(cfg, (&clock{}).now)
	_, a := tries(t, d, from(1))
	if d.Room() != nil {
		t.Error("no room for the second")
	}
	_, b := tries(t, d, from(2))
	room := d.Room()
	if room == nil || room != d.Room() {
		t.Fatal("room for the third")
	}
	if _, err := d.Admit(from(3), &carrier{}); err != ErrFull {
		t.Errorf("third: %v", err)
	}
	a.Done(ByClient)
	<-room
	if d.Room() != nil {
		t.Error("no room although one ended")
	}
	b.Done(ByClient)
}

func TestStatusCountsLiveBytes(t *testing.T) {
	d := New(config(2), (&clock{}).now)
	c := &carrier{}
	f, _ := d.Admit(from(1), c)
	f.Next()
	f.Up()
	c.moved = Traffic{FromClient: 1, ToServer: 2, FromServer: 3, ToClient: 4, ServerFD: 9}
	check := func(when string, flows int) {
		t.Helper()
		st := d.Status()
		if len(st.Flows) != flows {
			t.Fatalf("%s: %d flows", when, len(st.Flows))
		}
		if s := st.Servers[0]; s.Sent != 1 || s.Received != 3 || s.Conns != flows {
			t.Errorf("%s: server %+v", when, s)
		}
		if s := d.Servers()[0]; s.Sent != 1 || s.Received != 3 {
			t.Errorf("%s: Servers() %+v", when, s)
		}
		if c := st.Clients[0]; c.Sent != 4 || c.Received != 1 {
			t.Errorf("%s: client %+v", when, c)
		}
	}
	check("live", 1)
	if fs := d.Status().Flows[0]; fs.Client != 0 || fs.Server != 0 || !fs.Up || fs.ServerFD != 9 {
		t.Errorf("flow %+v", fs)
	}
	if !d.Kill(0) || !c.killed || d.Kill(1) || d.Kill(-1) || d.Kill(1000) {
		t.Error("Kill does not find its flow")
	}
	f.Done(ByClient)
	check("done", 0)
}

// A flow that is up may lose its server and go on with the next one, which is
// remembered; each server is credited with its own bytes.
func TestFlowMovesOn(t *testing.T) {
	d := New(config(3), (&clock{}).now)
	c := &carrier{}
	f, _ := d.Admit(from(1), c)
	f.Next()
	f.Up()
	c.moved = Traffic{FromClient: 10, FromServer: 1}
	other, _ := d.Admit(from(1), &carrier{})
	other.Next()
	other.Up()
	at, of := f.Target(), other.Target()
	if f.Rule(&at) != Stay {
		t.Error("it is to move without a failure")
	}
	if !f.Failed(errRefused) || other.Rule(&of) != Move || f.Rule(&at) != Stay {
		t.Error("the failure is not seen by the other flow only")
	}
	other.Done(ByClient)
	if target, ok := f.Next(); !ok || target.Slot != 1 {
		t.Fatalf("next: %v %v", target, ok)
	}
	f.Up()
	c.moved = Traffic{FromClient: 30, FromServer: 3}
	for _, when := range []string{"live", "done"} {
		s := d.Status().Servers
		if s[0].Sent != 10 || s[0].Received != 1 || s[1].Sent != 20 || s[1].Received != 2 || s[0].Conns != 0 {
			t.Errorf("%s: %+v", when, s)
		}
		if when == "live" {
			f.Done(ByClient)
		}
	}
	if cl := d.Clients(); cl[0].Received != 30 || cl[0].Server != 1 {
		t.Errorf("client %+v", cl)
	}
	c.moved = Traffic{}
	wantSlots(t, "it is remembered", visit(t, d, from(1)), 1)
}

func TestPendingMax(t *testing.T) {
	cfg := config(1)
	cfg.PendingMax = 1
	d := New(cfg, (&clock{}).now)
	a, _ := d.Admit(from(1), &carrier{})
	room := d.Room()
	if room == nil {
		t.Fatal("room for a second one that waits")
	}
	a.Next()
	a.Up()
	<-room
	if d.Room() != nil {
		t.Error("no room although none waits")
	}
	b, _ := d.Admit(from(2), &carrier{})
	room = d.Room()
	b.Done(ByClient) // it was given up
	<-room
	a.Done(ByClient)
	if d.Room() != nil || d.pending.Load() != 0 {
		t.Errorf("%d wait", d.pending.Load())
	}
}
