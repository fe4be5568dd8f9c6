package dispatch

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pen/internal/pool"
)

// locks returns how often do takes the Dispatcher's lock.
func locks(d *Dispatcher, do func()) uint64 {
	before := d.mu.locked
	do()
	return d.mu.locked - before
}

// knownFlow returns a flow of datagrams that has a server.
func knownFlow(t testing.TB, d *Dispatcher, n int) (*Flow, Target) {
	f, err := d.Admit(from(n), &carrier{})
	if err != nil {
		t.Fatal(err)
	}
	target, ok := f.Next()
	if !ok {
		t.Fatal("no server")
	}
	f.Ready()
	return f, target
}

// A datagram of a known flow takes no lock, unless something has changed since the one
// before it.
func TestKnownDatagramsDoNotLock(t *testing.T) {
	clk := &clock{}
	cfg := config(2)
	cfg.Pool.Emergency = []pool.Config{server("192.0.2.9:9")}
	d := New(cfg, clk.now)
	f, target := knownFlow(t, d, 1)
	datagram := func() {
		if f.Rule(&target) != Stay || f.Turn() != None {
			t.Error("it must go elsewhere")
		}
		d.Drop(Unsent, 1)
	}
	for _, change := range []struct {
		name string
		do   func()
	}{
		{"nothing", func() {}},
		{"another server is blacklisted", func() { d.Blacklist(1-target.Slot, time.Minute) }},
		{"it returns", func() { clk.t += time.Hour }},
		{"the rules", func() { d.Configure(cfg) }},
		{"others come and go", func() { visit(t, d, from(2)) }},
	} {
		change.do()
		datagram()
		if n := locks(d, func() {
			for range 100 {
				datagram()
			}
		}); n != 0 {
			t.Errorf("after %s: 100 datagrams took the lock %d times", change.name, n)
		}
	}
	if n := d.Status().Dropped[Unsent]; n != 505 {
		t.Errorf("%d datagrams were not sent, want 505", n)
	}
	// At the emergency server, while there is no other.
	d.Blacklist(0, time.Hour)
	d.Blacklist(1, time.Hour)
	if f.Rule(&target) != Move {
		t.Fatal("it stays at a server that is blacklisted")
	}
	f.Leave()
	if target, _ = f.Next(); target.Slot != pool.EmergencySlot {
		t.Fatalf("it went to %d", target.Slot)
	}
	f.Ready()
	datagram()
	if n := locks(d, datagram); n != 0 {
		t.Errorf("at the emergency server: %d locks", n)
	}
	if clk.t += 2 * time.Hour; f.Rule(&target) != Move {
		t.Error("it stays at the emergency server")
	}
}

// A connection takes the lock three times from Reserve to Done: to start, when it is up,
// and when it is over.
func TestConnectionsLockThreeTimes(t *testing.T) {
	cfg := config(3)
	cfg.Budget, cfg.FlowCost, cfg.PendingMax = NewBudget(100), 2, 10
	d := New(cfg, (&clock{}).now)
	for range 5 {
		n := locks(d, func() {
			p, full := d.Reserve()
			if full != nil || d.Room() != nil {
				t.Fatal("no place")
			}
			s, err := p.Begin(from(1), &carrier{})
			if err != nil || s.Dummy || !s.Found || s.Flow.Dummy() || s.Flow.Diverted() {
				t.Fatalf("%+v, %v", s, err)
			}
			s.Flow.Up()
			s.Flow.Done(ByClient)
		})
		if n > 3 {
			t.Errorf("a connection took the lock %d times, want 3 at most", n)
		}
	}
	checkNothingCounted(t, d)
	if n := d.taken.Load(); n != 0 {
		t.Errorf("%d places are taken at the end", n)
	}
}

// Admit is Begin without Next, for tests that call Next themselves.
func (p Place) Admit(client netip.AddrPort, c Carrier) (*Flow, error) {
	n := p.d.newcomer(client)
	p.d.mu.Lock()
	defer p.d.unlock()
	return p.judge(&n, c)
}

// Begin is what Admit, Dummy and Next are one after the other.
func TestBegin(t *testing.T) {
	for _, tt := range []struct {
		name  string
		set   func(*Config)
		want  Start // without the flow
		waits bool
		err   error
	}{
		{"a server", func(*Config) {}, Start{Found: true}, false, nil},
		{"the dummy page", func(c *Config) { c.Dummy = true }, Start{Dummy: true}, false, nil},
		{"no server", func(c *Config) { c.Pool.Servers = nil }, Start{}, false, nil},
		{"too early", func(c *Config) { c.Limits.Rate, c.Limits.Delay = 0.5, time.Minute }, Start{}, true, nil},
		{"denied", func(c *Config) { c.ClientACL = -1 }, Start{}, false, ErrDenied},
	} {
		cfg := config(1)
		tt.set(&cfg)
		d := New(cfg, (&clock{}).now)
		begin := func() (Start, error) {
			p, full := d.Reserve()
			if full != nil {
				t.Fatalf("%s: no place", tt.name)
			}
			return p.Begin(from(1), &carrier{})
		}
		s, err := begin()
		if tt.waits { // the second one has to
			s.Flow.Done(ByClient)
			s, err = begin()
		}
		if err != tt.err || s.Dummy != tt.want.Dummy || s.Found != tt.want.Found {
			t.Errorf("%s: %+v, %v", tt.name, s, err)
		}
		if err == nil {
			if s.Flow.Wait(func() {}) != tt.waits {
				t.Errorf("%s: waits: %v", tt.name, !tt.waits)
			}
			s.Flow.Done(ByClient)
		}
		checkNothingCounted(t, d)
	}
}

// Places are never more than there may be, and whoever waits for one gets it.
func TestReserveConcurrently(t *testing.T) {
	for _, limit := range []func(*Config){
		func(c *Config) { c.ConnMax = 3 },
		func(c *Config) { c.PendingMax = 3 },
		func(c *Config) { c.Budget, c.FlowCost = NewBudget(6), 2 },
	} {
		cfg := config(1)
		limit(&cfg)
		d := New(cfg, (&clock{}).now)
		var held, most atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 2000 {
					p, full := d.Reserve()
					for ; full != nil; p, full = d.Reserve() {
						<-full
					}
					if n := held.Add(1); n > 3 {
						most.Store(n)
					}
					held.Add(-1)
					p.Release()
				}
			})
		}
		wg.Wait()
		if n := most.Load(); n > 0 {
			t.Errorf("%d places, want 3", n)
		}
		if d.taken.Load() != 0 || d.pending.Load() != 0 {
			t.Errorf("%d taken, %d pending at the end", d.taken.Load(), d.pending.Load())
		}
	}
}

// A traced carrier notes during which hold of the lock its flow was visited.
type traced struct {
	carrier
	visit func()
}

func (c *traced) Traffic() Traffic {
	c.visit()
	return c.moved
}

// Whatever walks over all flows visits at most a slice of them in one hold of the lock.
func TestWalksHoldTheLockForASlice(t *testing.T) {
	const n = 5000
	cfg := config(3)
	cfg.ConnMax, cfg.ClientsMax, cfg.IdleTimeout = n, n, time.Hour
	clk := &clock{}
	d := New(cfg, clk.now)
	visits := map[uint64]int{} // by hold
	visit := func() { visits[d.mu.locked]++ }
	for i := range n {
		f, err := d.Admit(from(i), &traced{visit: visit})
		if err != nil {
			t.Fatal(err)
		}
		f.Next()
		f.Up()
	}
	for name, walk := range map[string]func(){
		"Sweep": d.Sweep, "Servers": func() { d.Servers() }, "Status": func() { d.Status() },
	} {
		clear(visits)
		walk()
		all, most := 0, 0
		for _, visited := range visits {
			all, most = all+visited, max(most, visited)
		}
		if all < n || most > 2*sliceChunks*chunkFlows { // Status asks each flow twice
			t.Errorf("%s: %d visits, up to %d in one hold of the lock", name, all, most)
		}
	}
	if holds := locks(d, d.KillAll); holds < n/(sliceChunks*chunkFlows) {
		t.Errorf("KillAll takes the lock %d times", holds)
	}
}
