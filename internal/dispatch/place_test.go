package dispatch

import (
	"errors"
	"testing"

	"pen/internal/acl"
)

// A place that is reserved is nobody else's, whichever listener asks.
func TestReserve(t *testing.T) {
	for name, limit := range map[string]func(*Config){
		"connections":         func(c *Config) { c.ConnMax = 2 },
		"budget":              func(c *Config) { c.Budget, c.FlowCost = NewBudget(5), 2 },
		"pending connections": func(c *Config) { c.PendingMax = 2 },
	} {
		cfg := config(1)
		limit(&cfg)
		d := New(cfg, (&clock{}).now)
		a, full := d.Reserve()
		if full != nil {
			t.Fatalf("%s: no place for the first", name)
		}
		b, full := d.Reserve()
		if full != nil {
			t.Fatalf("%s: no place for the second", name)
		}
		_, full = d.Reserve()
		if full == nil {
			t.Fatalf("%s: a third place", name)
		}
		f, err := a.Admit(from(1), &carrier{})
		if err != nil {
			t.Fatalf("%s: who has a place: %v", name, err)
		}
		if _, still := d.Reserve(); still == nil {
			t.Errorf("%s: a third place, as one is in use", name)
		}
		b.Release()
		<-full
		c, full := d.Reserve()
		if full != nil {
			t.Fatalf("%s: no place although one was given back", name)
		}
		c.Release()
		f.Done(ByClient)
		checkNothingCounted(t, d)
		if d.taken.Load() != 0 {
			t.Errorf("%s: %d places are reserved at the end", name, d.taken.Load())
		}
	}
}

// A client that is refused gives its place back at once.
func TestRefusedClientsHaveNoPlace(t *testing.T) {
	cfg := config(1)
	cfg.ConnMax, cfg.ClientACL, cfg.Limits.ClientConns = 2, 1, 1
	cfg.ACLs.List[1] = acl.List{{Addr: from(9).Addr(), Mask: 1<<32 - 1}}
	d := New(cfg, (&clock{}).now)
	place := func() Place {
		t.Helper()
		p, full := d.Reserve()
		if full != nil {
			t.Fatal("no place")
		}
		return p
	}
	one, err := place().Admit(from(1), &carrier{})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := place().Admit(from(9), &carrier{}); !errors.Is(err, ErrDenied) {
			t.Errorf("a client that is denied: %v", err)
		}
		if _, err := place().Admit(from(1), &carrier{}); !errors.Is(err, ErrLimited) {
			t.Errorf("a client over its limit: %v", err)
		}
	}
	two, err := place().Admit(from(2), &carrier{})
	if err != nil {
		t.Fatal(err)
	}
	// Where all places are taken, nobody needs to make room for these.
	if _, err := d.Admit(from(9), &carrier{}); !errors.Is(err, ErrDenied) {
		t.Errorf("a client that is denied, without a place: %v", err)
	}
	if _, err := d.Admit(from(1), &carrier{}); !errors.Is(err, ErrLimited) {
		t.Errorf("a client over its limit, without a place: %v", err)
	}
	if _, err := d.Admit(from(3), &carrier{}); !errors.Is(err, ErrFull) {
		t.Errorf("a client without a place: %v", err)
	}
	one.Done(ByClient)
	two.Done(ByClient)
	checkNothingCounted(t, d)
}

// One client can't have all places for connections that say nothing.
func TestUnidentifiedConnectionsOfOneClientAreBounded(t *testing.T) {
	cfg := config(1)
	cfg.ConnMax = 40
	d := New(cfg, (&clock{}).now)
	open := func(n int) (*Flow, error) {
		t.Helper()
		p, full := d.Reserve()
		if full != nil {
			t.Fatal("no place")
		}
		f := p.Open(&carrier{})
		err := f.Admit(from(n))
		if err != nil {
			f.Done(ByClient)
		}
		return f, err
	}
	var silent []*Flow
	for range 20 {
		f, err := open(1)
		if err != nil {
			t.Fatalf("after %d: %v", len(silent), err)
		}
		silent = append(silent, f)
	}
	if _, err := open(1); !errors.Is(err, ErrLimited) {
		t.Errorf("one more of the same client: %v", err)
	}
	other, err := open(2)
	if err != nil {
		t.Errorf("another client: %v", err)
	}
	silent[0].Next() // that one has said what it wants
	again, err := open(1)
	if err != nil {
		t.Errorf("where one of them goes on: %v", err)
	}
	for _, f := range append(silent, other, again) {
		f.Done(ByClient)
	}
	if len(d.unidentified) != 0 {
		t.Errorf("unidentified at the end: %v", d.unidentified)
	}
	checkNothingCounted(t, d)
}

// A connection that goes to another service is judged there, takes its part of
// the budget along, and waits where there is no place.
func TestMove(t *testing.T) {
	budget := NewBudget(4)
	service := func(most int) *Dispatcher {
		cfg := config(1)
		cfg.ConnMax, cfg.Budget, cfg.FlowCost, cfg.ClientACL = most, budget, 2, 1
		cfg.ACLs.List[1] = acl.List{{Addr: from(9).Addr(), Mask: 1<<32 - 1}}
		return New(cfg, (&clock{}).now)
	}
	front, back := service(9), service(1)
	open := func(n int) *Flow {
		t.Helper()
		p, full := front.Reserve()
		if full != nil {
			t.Fatal("no place")
		}
		f := p.Open(&carrier{})
		if n != 9 {
			if err := f.Admit(from(n)); err != nil {
				t.Fatal(err)
			}
		}
		return f
	}
	a, b := open(1), open(2)
	moved, full, err := a.Move(back, from(1), &carrier{})
	if err != nil || full != nil {
		t.Fatalf("with the budget spent: %v, full: %v", err, full != nil)
	}
	again, full, err := b.Move(back, from(2), &carrier{})
	if again != nil || full == nil || err != nil {
		t.Fatalf("to a full service: %v, %v, full: %v", again, err, full != nil)
	}
	moved.Done(ByClient)
	<-full
	denied := open(9)
	if _, _, err := denied.Move(back, from(9), &carrier{}); !errors.Is(err, ErrDenied) {
		t.Errorf("a client that the other service denies: %v", err)
	}
	denied.Done(ByClient)
	if again, _, err = b.Move(back, from(2), &carrier{}); err != nil || again == nil {
		t.Fatalf("where there is a place again: %v, %v", again, err)
	}
	again.Done(ByClient)
	checkNothingCounted(t, front)
	checkNothingCounted(t, back)
	if budget.left != 4 {
		t.Errorf("%d of the budget left at the end, want 4", budget.left)
	}
}
