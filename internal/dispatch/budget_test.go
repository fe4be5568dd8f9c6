package dispatch

import (
	"net/netip"
	"testing"
	"time"

	"pen/internal/acl"
	"pen/internal/pool"
)

// Two services take of one budget; a client that finds it spent is let in when
// a flow of the other service has ended.
func TestBudgetIsShared(t *testing.T) {
	budget := NewBudget(3)
	service := func(cost int) *Dispatcher {
		cfg := Config{ACLs: new(acl.Lists), ClientsMax: 9, ConnMax: 100, Budget: budget, FlowCost: cost}
		cfg.Pool.Servers = []pool.Config{{Addr: netip.MustParseAddrPort("192.0.2.1:80")}}
		return New(cfg, func() time.Duration { return 0 })
	}
	tcp, udp := service(2), service(1)
	from := netip.MustParseAddrPort("192.0.2.9:999")
	first, err := tcp.Admit(from, &carrier{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tcp.Admit(from, &carrier{}); err != ErrFull {
		t.Errorf("Admit beyond the budget: %v", err)
	}
	room := tcp.Room()
	if room == nil {
		t.Fatal("there is room beyond the budget")
	}
	if udp.Room() != nil {
		t.Error("no room for a flow that the budget has")
	}
	small, err := udp.Admit(from, &carrier{})
	if err != nil {
		t.Fatal(err)
	}
	if udp.Room() == nil {
		t.Error("there is room, and nothing left")
	}
	small.Done(ByClient)
	<-room
	if tcp.Room() == nil {
		t.Error("there is room for two, and one left")
	}
	room = tcp.Room()
	first.Done(ByClient)
	<-room
	if tcp.Room() != nil {
		t.Error("no room, and all has been given back")
	}
	if budget.take(2) != nil {
		t.Fatal("three were given back")
	}
	if udp.Room() != nil || tcp.Room() == nil {
		t.Error("one left, and no room for one or room for two")
	}
}

// What is taken of a share is bounded, and is taken of the whole as well.
func TestShareOfBudget(t *testing.T) {
	whole := NewBudget(5)
	share := whole.Share(3)
	if share.take(3) != nil || share.take(1) == nil {
		t.Error("the share is not three")
	}
	if whole.take(2) != nil || whole.room(1) == nil || !share.isWanted() {
		t.Error("the whole is not five, or nobody knows that more is wanted")
	}
	share.give(1)
	if share.isWanted() || whole.take(1) != nil || share.room(1) == nil || share.take(1) == nil {
		t.Error("what was given back is not for everybody")
	}
	whole.give(3)
	if share.room(1) != nil || share.take(1) != nil || share.take(1) == nil {
		t.Error("the share has one left, no more")
	}
}

// Flows of datagrams whose clients are not proven end where connections want the
// descriptors.
func TestUnprovenGiveWay(t *testing.T) {
	budget := NewBudget(6)
	cfg := config(1)
	cfg.Budget, cfg.FlowCost = budget, 1
	d := New(cfg, (&clock{}).now)
	cfg.FlowCost = 2
	tcp := New(cfg, (&clock{}).now)
	all := make([]*carrier, 6)
	for i := range all {
		all[i] = &carrier{}
		f, err := d.Admit(from(i), all[i])
		if err != nil {
			t.Fatal(err)
		}
		f.Next()
		f.Ready()
		if i == 0 {
			f.Remember()
		}
		defer f.Done(ByClient)
	}
	d.Sweep()
	if tcp.Room() == nil {
		t.Fatal("there is room for a connection")
	}
	d.Sweep()
	for i, c := range all {
		if want := i >= 1 && i <= 3; c.killed != want {
			t.Errorf("flow %d: killed %v", i, c.killed)
		}
	}
}

// What planes borrow for themselves leaves a quarter to flows, unless it is what a
// flow will use, and nobody gets anything while the budget is held.
func TestBudgetIsBorrowed(t *testing.T) {
	budget := NewBudget(8)
	cfg := Config{ACLs: new(acl.Lists), ClientsMax: 9, ConnMax: 100, Budget: budget, FlowCost: 2}
	d := New(cfg, func() time.Duration { return 0 })
	for want := 3; want >= 0; want-- {
		if ok, ample := d.BorrowSpare(2); ok != (want > 0) || ample {
			t.Fatalf("%d more to borrow: %v, ample %v", want, ok, ample)
		}
	}
	for want := 2; want >= 0; want-- {
		if ok := d.Borrow(1); ok != (want > 0) {
			t.Errorf("%d left of the last quarter: %v", want, ok)
		}
	}
	if d.GiveBack(8); d.Room() != nil {
		t.Error("all was given back, and there is no room")
	}
	budget.Hold(true)
	room := d.Room()
	if ok, _ := d.BorrowSpare(1); ok || room == nil || d.Borrow(1) {
		t.Error("something is to be had while the budget is held")
	}
	budget.Hold(false)
	<-room
	if place, full := d.Reserve(); full != nil {
		t.Error("no place after the budget was held")
	} else {
		place.Release()
	}
	if ok, ample := New(Config{ACLs: new(acl.Lists)}, func() time.Duration { return 0 }).BorrowSpare(9); !ok || !ample {
		t.Error("what has no end is not ample")
	}
}
