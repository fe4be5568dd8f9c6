package dispatch

import (
	"testing"

	"pen/internal/client"
)

// Clients that come with many addresses, one after the other, make the table forget
// neither those that are connected nor, once these are gone, anything else of them.
func TestConnectedClientsAreRemembered(t *testing.T) {
	cfg := config(3)
	cfg.ClientsMax = 4
	d := New(cfg, (&clock{}).now)
	_, f := tries(t, d, from(1))
	_, g := tries(t, d, from(1))
	slot := f.Target().Slot
	flood := func(first int) {
		for i := range 50 {
			visit(t, d, from(first+i))
		}
	}
	remembered := func() int {
		s, _ := d.Table().Lookup(from(1).Addr(), 0)
		return s
	}
	flood(1000)
	if got := remembered(); got != slot {
		t.Errorf("after a flood the connected client is at server %d, want %d", got, slot)
	}
	f.Done(ByClient)
	flood(2000)
	if got := remembered(); got != slot {
		t.Errorf("with one of its two connections it is at server %d, want %d", got, slot)
	}
	g.Done(ByClient)
	flood(3000)
	if got := remembered(); got != client.NoServer {
		t.Errorf("without a connection it is still at server %d", got)
	}
	if n := d.Status().Evicted; n < 100 {
		t.Errorf("%d clients were evicted, want all of the flood", n)
	}
}

// What clients are known by may change while they are connected, and so may the
// table: their connections are counted where they were counted first.
func TestConnectionsAreCountedWhereTheyBegan(t *testing.T) {
	cfg := config(1)
	cfg.ClientsMax = 2
	d := New(cfg, (&clock{}).now)
	_, f := tries(t, d, from(1))
	shared := client.New(2)
	cfg.Clients = shared
	d.Configure(cfg)
	_, g := tries(t, d, from(2))
	cfg.Prefix4 = 24
	d.Configure(cfg) // g's client is another one now
	f.Done(ByClient)
	g.Done(ByClient)
	for _, table := range []*client.Table{d.own, shared} {
		for i := range 3 {
			table.Begin(from(10+i).Addr(), 0, 0)
			table.End(from(10+i).Addr(), 0, 0)
		}
		if _, ok := table.Get(from(11).Addr()); !ok {
			t.Error("a client that left before is still taken for a connected one")
		}
	}
}
