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
	small.Done()
	<-room
	if tcp.Room() == nil {
		t.Error("there is room for two, and one left")
	}
	room = tcp.Room()
	first.Done()
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
