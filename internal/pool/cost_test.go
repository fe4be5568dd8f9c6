package pool

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

var algorithmNames = [Algorithms]string{
	"roundrobin", "hash", "hashport", "weight", "prio", "smooth", "leastconn", "poweroftwo", "random",
	"statichash", "maglev", "first", "leasttime",
}

// from is the address of the n-th client.
func from(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 40000)
}

// farm returns n servers with addresses of their own.
func farm(n int) []Config {
	return servers(n, func(i int, c *Config) {
		c.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), 80)
	})
}

// A walk has connections begin and end, some of them held.
type walk struct {
	p    *Pool
	held [64]*Server
	n    int
}

func (w *walk) step() {
	now := time.Duration(w.n) * time.Microsecond
	slot := w.p.Pick(from(w.n), now)
	i := w.n % len(w.held)
	w.n++
	if s := w.held[i]; s != nil {
		w.p.Release(s, 1, 1)
	}
	s := w.p.At(slot)
	if w.held[i] = s; s == nil {
		return
	}
	w.p.Take(s)
	if w.p.Admit(s, true, now) == Admitted {
		w.p.Succeed(s, now)
		w.p.Observe(s, time.Duration(w.n%7)*time.Millisecond, now)
		w.p.WentWell(s)
	}
}

func TestNothingAllocates(t *testing.T) {
	for a := range Algorithm(Algorithms) {
		for _, bound := range []float64{0, 1.25} {
			p := New()
			p.Configure(Settings{Servers: farm(1000), Algorithm: a, Bound: bound, Blacklist: time.Second}, 0)
			p.Fail(p.At(7), 0) // it comes back on the way
			w := &walk{p: p}
			if n := testing.AllocsPerRun(3000, w.step); n != 0 {
				t.Errorf("%s: %v allocations", algorithmNames[a], n)
			}
		}
	}
}

// BenchmarkPick shows what a choice costs, and what the whole way does: the
// choice, its test and count, the connect's success and the end.
func BenchmarkPick(b *testing.B) {
	for a := range Algorithm(Algorithms) {
		for _, bound := range []float64{0, 1.25} {
			if bound > 0 && !a.hashes() {
				continue
			}
			set := Settings{Servers: farm(10_000), Algorithm: a, Bound: bound, Blacklist: time.Second}
			name := fmt.Sprintf("%s/bound=%v", algorithmNames[a], bound)
			b.Run(name+"/pick", func(b *testing.B) {
				p := New()
				p.Configure(set, 0)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					p.Pick(from(i), 0)
				}
			})
			b.Run(name+"/way", func(b *testing.B) {
				p := New()
				p.Configure(set, 0)
				w := &walk{p: p}
				b.ReportAllocs()
				for b.Loop() {
					w.step()
				}
			})
		}
	}
}

func BenchmarkNewMaglev(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			servers := farm(n)
			for b.Loop() {
				NewMaglev(servers)
			}
		})
	}
}
