package dispatch

import (
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pen/internal/pool"
)

// Under any interleaving nobody overtakes, no limit is exceeded, no place is
// left free while somebody waits who could use it, and everything ends.
func TestAnyQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string, low, high int) int { return rapid.IntRange(low, high).Draw(t, name) }
		clk := &clock{}
		cfg := config(draw("servers", 1, 3))
		cfg.Queue, cfg.QueueTime = draw("queue", 1, 4), time.Duration(draw("time", 0, 20))
		cfg.Pool.Blacklist = time.Duration(draw("blacklist", 0, 5))
		cfg.NoTracking = true
		for i := range cfg.Pool.Servers {
			cfg.Pool.Servers[i].Max = draw("max", 1, 2)
		}
		d := New(cfg, clk.now)
		type journey struct {
			*Flow
			woken, waits bool
		}
		var live []*journey
		next := func(j *journey) {
			j.woken, j.waits = false, false
			if _, ok := j.Next(); ok {
				return
			}
			if j.waits = j.Wait(func() { j.woken = true }); !j.waits {
				j.Done(ByClient)
				live = slices.DeleteFunc(live, func(o *journey) bool { return o == j })
			}
		}
		for i := range draw("steps", 1, 100) {
			clk.t += time.Duration(draw("passes", 0, 2))
			d.Tick()
			if len(live) == 0 || draw("new", 0, 2) == 0 {
				f, err := d.Admit(from(i), &carrier{})
				if err != nil {
					t.Fatal(err)
				}
				j := &journey{Flow: f}
				live = append(live, j)
				waited := d.queue.n
				if next(j); j.server != nil && waited > 0 && d.queue.n == waited {
					t.Fatal("overtaken")
				}
				continue
			}
			j := live[draw("flow", 0, len(live)-1)]
			switch do := draw("do", 0, 2); {
			case j.woken:
				next(j)
			case do == 0 || j.waits || j.isUp():
				j.Done(ByClient)
				live = slices.DeleteFunc(live, func(o *journey) bool { return o == j })
			case do == 1:
				j.Failed(errRefused)
				next(j)
			default:
				j.Up()
			}
			d.Tick()
			checkLimits(t, d, cfg)
			for slot := range cfg.Pool.Servers {
				if s := d.pool.At(slot); d.queue.n > 0 && d.pool.Admit(s, false, clk.t) == pool.Admitted {
					t.Fatalf("server %d has room, and %d wait", slot, d.queue.n)
				}
			}
		}
		for len(live) > 0 {
			live[0].Done(ByClient)
			live = live[1:]
		}
		if d.queue.n != 0 || d.pending.Load() != 0 || d.limits.conns != 0 {
			t.Fatalf("%d wait, %d pending, %d counted", d.queue.n, d.pending.Load(), d.limits.conns)
		}
	})
}

// The same with real concurrency, for the race detector: all get through.
func TestConcurrentQueue(t *testing.T) {
	var mu sync.Mutex
	clk := &clock{}
	now := func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		clk.t++
		return clk.t
	}
	cfg := config(2)
	cfg.Queue = 8
	cfg.Pool.Servers[0].Max, cfg.Pool.Servers[1].Max = 1, 1
	d := New(cfg, now)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for range 500 {
				f, err := d.Admit(from(w), &carrier{})
				if err != nil {
					t.Error(err)
					return
				}
				for {
					if _, ok := f.Next(); ok {
						f.Up()
						break
					}
					woken := make(chan struct{})
					if !f.Wait(func() { close(woken) }) {
						t.Error("given up")
						break
					}
					<-woken
				}
				f.Done(ByClient)
			}
		})
	}
	wg.Wait()
	checkNothingCounted(t, d)
}
