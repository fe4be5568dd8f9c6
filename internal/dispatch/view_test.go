package dispatch

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pen/internal/pool"
)

// What a View decides is what the Dispatcher decides, in random states of everything.
func TestViewAgreesWithExplain(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	decided := map[pool.Choice]int{}
	fates := map[Fate]int{}
	for range 1000 {
		w := newWorld(r)
		if r.IntN(4) > 0 { // rules that leave something to a View
			cfg := *w.d.cfg
			cfg.Limits, cfg.Queue = Limits{}, 0
			w.d.Configure(cfg)
		}
		for range 15 {
			w.step(r)
			v := w.d.View()
			w.agreeOnServers(t, v)
			for n := range 12 {
				fate, known := w.agreeOnClient(t, v, n)
				if fates[fate]++; fate == Assign && !known {
					decided[v.Choice]++
				}
			}
		}
		if t.Failed() {
			return
		}
	}
	for _, choice := range []pool.Choice{pool.InTurn, pool.AtRandom, pool.Fixed, pool.ByHash, pool.ByPenHash, pool.ByPenHashPort} {
		if decided[choice] < 100 {
			t.Errorf("choice %d decided %d times", choice, decided[choice])
		}
	}
	if decided[pool.MustAsk] > 0 || fates[Deny] < 100 || fates[Ask] < 100 {
		t.Errorf("decided %v, fates %v", decided, fates)
	}
}

// agreeOnServers compares which servers a View finds usable with the admission test.
func (w *world) agreeOnServers(t *testing.T, v *View) {
	t.Helper()
	for slot := range w.d.cfg.Pool.Servers {
		s := w.d.pool.At(slot)
		if s == nil {
			continue
		}
		seen := &v.Servers[slot]
		for _, returning := range []bool{false, true} {
			verdict := w.d.pool.Admit(s, returning, w.c.t)
			if got, want := seen.Takes(returning) && seen.Room(returning) != 0, verdict == pool.Admitted && !w.d.pool.HalfOpen(s); got != want {
				t.Errorf("server %d, returning %v: usable %v, but the verdict is %v: %+v", slot, returning, got, verdict, seen)
			}
		}
	}
}

// agreeOnClient compares where a client would go. It reports what the View says, and
// whether the client was remembered.
func (w *world) agreeOnClient(t *testing.T, v *View, n int) (Fate, bool) {
	t.Helper()
	who := from(n)
	e := w.d.Explain(who)
	turn := pool.None
	switch places := v.Places(); {
	case v.Choice == pool.InTurn && len(places) > 0:
		turn = int(places[0])
	case v.Choice == pool.AtRandom:
		if known := e.Chose == e.Remembered; e.Chose != pool.None && !known && !slices.Contains(places, int32(e.Chose)) {
			t.Errorf("%d was drawn, not one of %v", e.Chose, places)
		}
		turn = e.Chose
	}
	fate, slot := v.Decide(who, e.Remembered, turn)
	switch {
	case fate == Deny && (!e.Denied || e.Goes), fate == Assign && (!e.Goes || e.Steps[0].Slot != slot || e.Steps[0].Verdict != pool.Admitted):
		t.Errorf("%v: the view of %d servers says %v, %d, explained as %+v", who, len(v.Servers), fate, slot, e)
	}
	return fate, slot == e.Remembered
}

func TestChanged(t *testing.T) {
	clk := &clock{}
	cfg := config(2)
	d := New(cfg, clk.now)
	isClosed := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	for _, tt := range []struct {
		name string
		do   func()
	}{
		{"a failed connect", func() { visit(t, d, from(1), 0, 1) }},
		{"time, and a sweep", func() { clk.t += 31 * time.Second; d.Sweep() }},
		{"the operator", func() { d.Blacklist(1, time.Minute) }},
		{"a check", func() { d.SetHealth(0, pool.HealthDown) }},
		{"an agent", func() { d.SetAgent(0, pool.Agent{Weight: 50}) }},
		{"a configuration", func() { d.Configure(cfg) }},
	} {
		v := d.View()
		changed := d.Changed(v.Revision)
		visit(t, d, from(9)) // nothing changes by that
		if isClosed(changed) {
			t.Errorf("before %s: changed", tt.name)
		}
		if tt.do(); !isClosed(changed) || !isClosed(d.Changed(v.Revision)) || d.View().Revision == v.Revision {
			t.Errorf("%s: not changed", tt.name)
		}
	}
	if v := d.View(); !v.Ends || v.Until != clk.t+time.Minute {
		t.Errorf("time changes it at %v (%v), want at the end of the blacklisting", v.Until, v.Ends)
	}
}

func TestAsks(t *testing.T) {
	for _, tt := range []struct {
		set  func(*Config)
		asks bool
	}{
		{func(*Config) {}, false},
		{func(c *Config) { c.Limits.Bandwidth = 1000 }, false},
		{func(c *Config) { c.Dummy = true }, true},
		{func(c *Config) { c.PerDatagram = true }, true},
		{func(c *Config) { c.Limits.ClientConns = 1 }, true},
		{func(c *Config) { c.Limits.Rate = 1 }, true},
		{func(c *Config) { c.Limits.ServerRate = 1 }, true},
		{func(c *Config) { c.Limits.Conns = 1 }, true},
		{func(c *Config) { c.Queue = 1 }, true},
	} {
		cfg := config(2)
		tt.set(&cfg)
		v := New(cfg, (&clock{}).now).View()
		if got := v.Asks(); (got != "") != tt.asks {
			t.Errorf("%+v: asks: %q, want %v", cfg, got, tt.asks)
		}
	}
}
