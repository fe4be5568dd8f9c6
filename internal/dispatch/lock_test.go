package dispatch

import (
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
