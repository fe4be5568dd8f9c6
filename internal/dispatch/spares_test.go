package dispatch

import (
	"testing"
)

func TestSpares(t *testing.T) {
	slots := func(ts []Target) []int {
		out := []int{}
		for _, t := range ts {
			out = append(out, t.Slot)
		}
		return out
	}
	cfg := config(3)
	cfg.Idlers = 4
	d := New(cfg, (&clock{}).now)
	surplus, have := d.Spares(nil)
	wantSlots(t, "in turn", slots(have), 0, 1, 2, 0)
	wantSlots(t, "nothing is too much", surplus)
	if !d.SpareFailed(have[1], errRefused) || d.SpareFailed(have[2], ErrLocal) {
		t.Error("a refused connect blacklists, a local failure does not")
	}
	surplus, more := d.Spares(have)
	wantSlots(t, "the blacklisted server's", surplus, 1)
	wantSlots(t, "the next in turn", slots(more), 2)

	// Kept and counted connections stay within max.
	cfg.Pool.Servers[0].Max, cfg.Pool.Servers[2].Max = 1, 2
	d.Configure(cfg)
	f, _ := d.Admit(from(1), &carrier{})
	f.Next() // server 0
	surplus, more = d.Spares(have)
	wantSlots(t, "a full server's", surplus, 0, 1, 3)
	wantSlots(t, "room for one more", slots(more), 2)
	f.Done(ByClient)

	cfg.Pool.Servers = cfg.Pool.Servers[:1]
	cfg.Pool.Servers[0] = server("192.0.2.77:1")
	d.Configure(cfg)
	surplus, more = d.Spares(have)
	wantSlots(t, "servers removed and replaced", surplus, 0, 1, 2, 3)
	wantSlots(t, "the new one", slots(more), 0, 0, 0, 0)
	cfg.Idlers = 0
	d.Configure(cfg)
	surplus, more = d.Spares(more)
	wantSlots(t, "none wanted", surplus, 0, 1, 2, 3)
	if len(more) != 0 {
		t.Errorf("missing %v", more)
	}
	cfg.Idlers, cfg.Pool.Servers = 2, nil
	d.Configure(cfg)
	if _, more = d.Spares(nil); len(more) != 0 {
		t.Errorf("without servers: missing %v", more)
	}
}
