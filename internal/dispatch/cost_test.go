package dispatch

import (
	"fmt"
	"net/netip"
	"testing"

	"pen/internal/pool"
)

func admitDone(d *Dispatcher, client netip.AddrPort, c Carrier) {
	f, err := d.Admit(client, c)
	if err != nil {
		panic(err)
	}
	if _, ok := f.Next(); !ok {
		panic("no server")
	}
	f.Up()
	f.Done()
}

func TestReturningClientDoesNotAllocate(t *testing.T) {
	for alg := pool.RoundRobin; alg <= pool.Prio; alg++ {
		cfg := config(100)
		cfg.Pool.Algorithm = alg
		d := New(cfg, (&clock{}).now)
		c := &carrier{}
		if n := testing.AllocsPerRun(1000, func() { admitDone(d, from(1), c) }); n != 0 {
			t.Errorf("algorithm %d: %v allocations", alg, n)
		}
	}
}

// BenchmarkPick shows what a client costs that is not remembered.
func BenchmarkPick(b *testing.B) {
	names := []string{"roundrobin", "hash", "hashport", "weight", "prio"}
	for alg, name := range names {
		for _, n := range []int{1, 100, 10_000} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				cfg := config(n)
				cfg.Pool.Algorithm = pool.Algorithm(alg)
				cfg.NoTracking = true
				benchmarkFlows(b, New(cfg, (&clock{}).now), 50)
			})
		}
	}
}

// BenchmarkReturning shows what a remembered client costs.
func BenchmarkReturning(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			benchmarkFlows(b, New(config(n), (&clock{}).now), 50)
		})
	}
}

// benchmarkFlows has some flows held open, so that counts differ.
func benchmarkFlows(b *testing.B, d *Dispatcher, held int) {
	c := &carrier{}
	for i := range held {
		f, err := d.Admit(from(i), c)
		if err != nil {
			b.Fatal(err)
		}
		f.Next()
		f.Up()
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		admitDone(d, from(i%64), c)
	}
}
