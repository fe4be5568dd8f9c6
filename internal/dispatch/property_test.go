package dispatch

import (
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pen/internal/pool"
)

// Under any interleaving of refuse, time out, abort and succeed, limits hold
// at every moment, every usable server is offered exactly once before the
// emergency server, and all counts return to zero.
func TestAnyInterleaving(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string, low, high int) int { return rapid.IntRange(low, high).Draw(t, name) }
		clk := &clock{}
		cfg := config(draw("servers", 0, 6))
		cfg.ClientsMax = draw("clients", 1, 8)
		cfg.Pool.Algorithm = pool.Algorithm(draw("algorithm", 0, 4))
		cfg.Pool.Blacklist = time.Duration(draw("blacklist", 0, 8))
		cfg.NoTracking = rapid.Bool().Draw(t, "-r")
		for i := range cfg.Pool.Servers {
			s := &cfg.Pool.Servers[i]
			s.Max, s.Hard, s.Weight, s.Prio = draw("max", 0, 3), draw("hard", 0, 4), draw("weight", 0, 2), draw("prio", 0, 2)
		}
		if rapid.Bool().Draw(t, "emergency") {
			cfg.Pool.Emergency = []pool.Config{server("192.0.2.9:1")}
			cfg.Pool.Emergency[0].Max = draw("emergency max", 0, 2)
		}
		d := New(cfg, clk.now)
		type journey struct {
			f       *Flow
			offered map[int]bool
			pending bool // a target is being connected to
		}
		var live []*journey
		failed := map[int]bool{} // servers that refused once
		remove := func(j *journey) {
			j.f.Done(ByClient)
			live = slices.DeleteFunc(live, func(o *journey) bool { return o == j })
		}
		for range draw("steps", 1, 80) {
			clk.t += time.Duration(draw("time", 0, 3))
			if len(live) == 0 || draw("new", 0, 2) == 0 {
				f, err := d.Admit(from(draw("client", 1, 10)), &carrier{})
				if err != nil {
					t.Fatal(err)
				}
				live = append(live, &journey{f: f, offered: map[int]bool{}})
				continue
			}
			j := live[draw("flow", 0, len(live)-1)]
			switch {
			case j.f.isUp():
				remove(j)
			case !j.pending:
				target, ok := j.f.Next()
				if !ok {
					checkExhausted(t, d, cfg, j.f, j.offered, failed)
					remove(j)
					break
				}
				if j.offered[target.Slot] {
					t.Fatalf("server %d offered twice", target.Slot)
				}
				if target.Slot == emergency {
					checkExhausted(t, d, cfg, j.f, j.offered, failed)
				}
				j.offered[target.Slot] = true
				j.pending = true
			default:
				j.pending = false
				switch draw("outcome", 0, 3) {
				case 0: // refused, or timed out
					failed[j.f.server.Slot] = true
					j.f.Failed(errRefused)
				case 1: // our own fault
					j.f.Failed(ErrLocal)
				case 2: // the client went away
					remove(j)
				case 3:
					j.f.Up()
				}
			}
			checkLimits(t, d, cfg)
		}
		for len(live) > 0 {
			remove(live[0])
		}
		for _, s := range append(d.pool.AppendStatus(nil), pool.Status{Conns: d.flows.used}, pool.Status{Conns: int(d.pending.Load())}) {
			if s.Conns != 0 {
				t.Fatalf("%d connections left on server %d", s.Conns, s.Slot)
			}
		}
	})
}

func checkLimits(t *rapid.T, d *Dispatcher, cfg Config) {
	for _, s := range d.pool.AppendStatus(nil) {
		limit := max(s.Max, s.Hard)
		if s.Conns < 0 || s.Max > 0 && s.Conns > limit {
			t.Fatalf("server %d has %d connections, max %d hard %d", s.Slot, s.Conns, s.Max, s.Hard)
		}
	}
}

// checkExhausted fails if a server that would take the client was never
// offered although a first one was chosen.
func checkExhausted(t *rapid.T, d *Dispatcher, cfg Config, f *Flow, offered, failed map[int]bool) {
	if f.first == pool.None {
		return
	}
	for slot := range cfg.Pool.Servers {
		s := d.pool.At(slot)
		if s == nil || offered[slot] {
			continue
		}
		// The scan may have passed it while it was full or blacklisted, so
		// only one that was usable all the time is a witness.
		if !failed[slot] && s.Max == 0 && (cfg.Pool.Algorithm != pool.Weight || s.Weight > 0) {
			t.Fatalf("server %d was usable and not offered; offered %v", slot, offered)
		}
	}
}

// The same with real concurrency, for the race detector.
func TestConcurrentFlows(t *testing.T) {
	var tick sync.Mutex
	clk := &clock{}
	now := func() time.Duration {
		tick.Lock()
		defer tick.Unlock()
		clk.t++
		return clk.t
	}
	cfg := config(4)
	cfg.Pool.Blacklist = 5
	cfg.Pool.Servers[2].Max = 2
	d := New(cfg, now)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				f, err := d.Admit(from(w*31+i%50), &carrier{})
				if err != nil {
					t.Error(err)
					return
				}
				for k := 0; ; k++ {
					_, ok := f.Next()
					if !ok || (i+k)%7 == 0 {
						break
					}
					if (i+k)%3 != 0 {
						f.Up()
						break
					}
					f.Failed(errRefused)
				}
				f.Done(ByClient)
			}
		})
	}
	for i := range 200 {
		cfg.ClientsMax = 20 + i
		cfg.Pool.Algorithm = pool.Algorithm(i % 5)
		d.Configure(cfg)
		d.Status()
	}
	wg.Wait()
	st := d.Status()
	for _, s := range st.Servers {
		if s.Conns != 0 {
			t.Errorf("server %d has %d connections left", s.Slot, s.Conns)
		}
	}
	if len(st.Flows) != 0 {
		t.Errorf("%d flows left", len(st.Flows))
	}
}
