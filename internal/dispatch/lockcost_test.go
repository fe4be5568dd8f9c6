package dispatch

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pen/internal/acl"
)

// denials is a list of n entries, none of which matches the clients of tests.
func denials(n int) acl.List {
	var l acl.List
	for i := range n {
		l = append(l, acl.Entry{Addr: netip.AddrFrom4([4]byte{192, byte(i >> 15), byte(i >> 7), byte(i << 1)}), Mask: 1<<32 - 1})
	}
	return l
}

// BenchmarkConnections shows what a connection costs from Reserve to Done, without and
// with an access list of 10,000 entries. Run it with -cpu 1,2,8.
func BenchmarkConnections(b *testing.B) {
	for _, entries := range []int{0, 10_000} {
		b.Run(map[int]string{0: "plain", 10_000: "acl10000"}[entries], func(b *testing.B) {
			cfg := config(100)
			cfg.ACLs = &acl.Lists{List: [acl.Count]acl.List{denials(entries)}}
			cfg.ACLs.Compile()
			cfg.Budget, cfg.FlowCost = NewBudget(10_000), 2
			d := New(cfg, (&clock{}).now)
			var worker atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				who, c := from(int(worker.Add(1))), &carrier{}
				for pb.Next() {
					connection(d, who, c)
				}
			})
		})
	}
}

func connection(d *Dispatcher, who netip.AddrPort, c Carrier) {
	p, full := d.Reserve()
	if full != nil {
		panic("no place")
	}
	s, err := p.Begin(who, c)
	if err != nil || !s.Found {
		panic(err)
	}
	s.Flow.Up()
	s.Flow.Done(ByClient)
}

// BenchmarkKnownDatagrams shows what the Dispatcher costs a datagram of a known flow.
func BenchmarkKnownDatagrams(b *testing.B) {
	d := New(config(100), (&clock{}).now)
	var worker atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		f, target := knownFlow(b, d, int(worker.Add(1)))
		for pb.Next() {
			if f.Rule(&target) != Stay || f.Turn() != None {
				panic("it must go elsewhere")
			}
		}
		f.Done(ByClient)
	})
}

// BenchmarkSweepHolds shows for how long a sweep of a million flows holds the lock at a
// time: from the first flow that is visited in one hold to the first one in the next.
// On a machine that does other work, that includes when this process does not run: the
// median tells more than the longest.
func BenchmarkSweepHolds(b *testing.B) {
	const n = 1_000_000
	cfg := config(100)
	cfg.ConnMax, cfg.ClientsMax, cfg.IdleTimeout, cfg.MaxAge = n, 100, time.Hour, time.Hour
	d := New(cfg, (&clock{}).now)
	var hold uint64
	var begins []time.Time
	c := &traced{visit: func() {
		if hold != d.mu.locked {
			hold, begins = d.mu.locked, append(begins, time.Now())
		}
	}}
	for i := range n {
		f, err := d.Admit(from(i), c)
		if err != nil {
			b.Fatal(err)
		}
		f.Next()
		f.Up()
	}
	var took []time.Duration
	for b.Loop() {
		begins = begins[:0]
		d.Sweep()
		for i := 1; i < len(begins); i++ {
			took = append(took, begins[i].Sub(begins[i-1]))
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1000, "us/median-hold")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1000, "us/99th-hold")
}
