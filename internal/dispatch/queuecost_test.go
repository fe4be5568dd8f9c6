package dispatch

import (
	"net/netip"
	"testing"
	"time"

	"pen/internal/acl"
)

// Who waits is looked at once for a server that he may not use, or that has room
// for others only, and not at each turn; and he still gets his place.
func TestQueueIsNotLookedThrough(t *testing.T) {
	const n = 500
	asked := 0
	lists := &acl.Lists{Country: func(netip.Addr) string { asked++; return "SE" }}
	lists.List[1] = acl.List{{Permit: true, Country: "SE"}}
	lists.List[2] = acl.List{{Permit: true, Country: "DE"}}
	clk := &clock{}
	cfg := config(3)
	cfg.ACLs, cfg.ConnMax, cfg.Queue, cfg.QueueTime = lists, 10*n, n, time.Hour
	// Server 0 has room for its returning clients only, server 1 is for Germans and
	// has room, server 2 is full.
	for i := range cfg.Pool.Servers {
		s := &cfg.Pool.Servers[i]
		s.Max, s.Hard, s.ACL = 1, 2, 1
	}
	cfg.Pool.Servers[1].ACL = 2
	cfg.Pool.Servers[2].Hard = 1
	d := New(cfg, clk.now)
	_, first := tries(t, d, from(1))
	_, second := tries(t, d, from(2))
	if first == nil || second == nil || first.Target().Slot+second.Target().Slot != 2 {
		t.Fatal("servers 0 and 2 are not taken")
	}
	if first.Target().Slot == 2 {
		first, second = second, first
	}
	woken := make([]bool, n)
	waiting := make([]*Flow, n)
	for i := range n {
		f, err := d.Admit(from(100+i), &carrier{})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := f.Next(); ok || !f.Wait(func() { woken[i] = true }) {
			t.Fatalf("client %d does not wait", i)
		}
		waiting[i] = f
	}
	d.Tick()
	asked = 0
	for range 100 {
		d.Tick()
	}
	if asked > n {
		t.Errorf("%d looks at %d who wait in 100 turns", asked, n)
	}

	// A server has room again: the first one gets it. Then the list of server 1 has
	// everybody in it.
	second.Done(ByClient)
	if !woken[0] || woken[1] {
		t.Errorf("woken are %v, %v, want the first one only", woken[0], woken[1])
	}
	cfg.Pool.Servers[1].ACL = 1
	d.Configure(cfg)
	if !woken[1] || woken[2] {
		t.Errorf("woken are %v, %v, want the second one and no more", woken[1], woken[2])
	}
	if target, ok := waiting[1].Next(); !ok || target.Slot != 1 {
		t.Errorf("the second one goes to %v, %v", target.Slot, ok)
	}
}

// A client comes back while its server has room for it, and others wait before it.
func TestReturningClientOvertakesWhereOthersMayNot(t *testing.T) {
	clk := &clock{}
	cfg := config(1)
	cfg.ConnMax, cfg.Queue, cfg.QueueTime = 100, 50, time.Hour
	cfg.Pool.Servers[0].Max, cfg.Pool.Servers[0].Hard = 1, 2
	d := New(cfg, clk.now)
	_, a := tries(t, d, from(1))
	a.Done(ByClient) // from(1) is remembered now
	_, b := tries(t, d, from(2))
	_, c := tries(t, d, from(1)) // the place beyond max
	if b == nil || c == nil {
		t.Fatal("two are not served")
	}
	wait := func(n int) (woken *bool) {
		woken = new(bool)
		f, err := d.Admit(from(n), &carrier{})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := f.Next(); ok || !f.Wait(func() { *woken = true }) {
			t.Fatalf("client %d does not wait", n)
		}
		return woken
	}
	stranger, returning := wait(3), wait(1)
	c.Done(ByClient)
	if *stranger || !*returning {
		t.Errorf("woken: stranger %v, returning client %v", *stranger, *returning)
	}
}
