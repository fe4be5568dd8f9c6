package dispatch

import (
	"errors"
	"net/netip"
	"testing"

	"pen/internal/acl"
)

// TestOpen takes places for connections whose clients become known later: they
// count from the begin on, and it is the client's address that is judged.
func TestOpen(t *testing.T) {
	cfg := config(2)
	cfg.ConnMax, cfg.PendingMax = 2, 1
	cfg.Limits.ClientConns = 1
	cfg.ACLs.List[0] = []acl.Entry{{Permit: false, Addr: netip.MustParseAddr("10.0.0.9"), Mask: 0xffffffff}, {Permit: true, Addr: netip.MustParseAddr("0.0.0.0")}}
	d := New(cfg, (&clock{}).now)
	open := func() *Flow {
		t.Helper()
		p, full := d.Reserve()
		if full != nil {
			t.Fatal("no place")
		}
		return p.Open(&carrier{})
	}
	a, b := open(), open()
	if _, full := d.Reserve(); full == nil {
		t.Error("a third place")
	}
	if d.Room() == nil {
		t.Error("there is room beside those whose clients are not known yet")
	}
	if err := a.Admit(from(1)); err != nil {
		t.Error(err)
	}
	if err := b.Admit(from(1)); !errors.Is(err, ErrLimited) {
		t.Errorf("one too many of a client: %v, want %v", err, ErrLimited)
	}
	b.Done(ByClient)
	if d.Room() != nil {
		t.Error("no room beside one who has yet to say something")
	}
	c := open()
	if err := c.Admit(from(9)); !errors.Is(err, ErrDenied) {
		t.Errorf("a client that is denied: %v, want %v", err, ErrDenied)
	}
	c.Done(ByClient)
	if _, ok := a.Next(); !ok {
		t.Fatal("no server")
	}
	if d.Room() == nil {
		t.Error("there is room beside one who waits for a server")
	}
	a.Up()
	if slot, ok := d.Table().Lookup(from(1).Addr(), 0); !ok || slot != 0 {
		t.Errorf("the client is remembered at %d, %v, want its own address at 0", slot, ok)
	}
	a.Done(ByClient)
	open().Done(ByClient) // that never said who it is
	if n := d.Flows(); n != 0 || d.limits.conns != 0 || d.pending.Load() != 0 {
		t.Errorf("%d flows, %d counted, %d pending at the end, want none", n, d.limits.conns, d.pending.Load())
	}
}
