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
	f.Done(ByClient)
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

// balances are the words of the balance verb, and of the flags.
var balances = []struct {
	name      string
	algorithm pool.Algorithm
}{
	{"turns", pool.RoundRobin},
	{"hashed", pool.Hash},
	{"hashedport", pool.HashPort},
	{"weight", pool.Weight},
	{"prio", pool.Prio},
	{"roundrobin", pool.SmoothRoundRobin},
	{"leastconn", pool.LeastConn},
	{"p2c", pool.PowerOfTwo},
	{"random", pool.Random},
	{"hash", pool.StaticHash},
	{"maglev", pool.Maglev},
	{"first", pool.First},
	{"least_time", pool.LeastTime},
}

// BenchmarkPick shows what a client costs that is not remembered.
func BenchmarkPick(b *testing.B) {
	for _, balance := range balances {
		for _, n := range []int{1, 100, 10_000} {
			b.Run(fmt.Sprintf("%s/%d", balance.name, n), func(b *testing.B) {
				cfg := config(n)
				cfg.Pool.Algorithm = balance.algorithm
				cfg.NoTracking = true
				benchmarkFlows(b, New(cfg, (&clock{}).now), 50)
			})
		}
	}
}

// BenchmarkQuestions shows how long new flows wait while somebody asks about ten
// thousand servers and as many flows: all of it, but for the client table, is
// done under the Dispatcher's lock.
func BenchmarkQuestions(b *testing.B) {
	const n = 10_000
	cfg := config(n)
	cfg.ConnMax, cfg.ClientsMax = n+1, n
	d := New(cfg, (&clock{}).now)
	for i := range n {
		f, err := d.Admit(from(i), &carrier{})
		if err != nil {
			b.Fatal(err)
		}
		f.Next()
		f.Up()
	}
	for _, q := range []struct {
		name string
		ask  func()
	}{
		{"numbers", func() { d.Numbers() }},
		{"servers", func() { d.Servers() }},
		{"clients", func() { d.Clients() }}, // without that lock; a part of status
		{"status", func() { d.Status() }},
		{"view", func() { d.View() }},
		{"explain", func() { d.Explain(from(n + 1)) }},
		{"sweep", d.Sweep},
		{"configure", func() { d.Configure(cfg) }},
	} {
		b.Run(q.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				q.ask()
			}
		})
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

// BenchmarkObserver shows what it costs to be observed, and that it costs nothing not to
// be.
func BenchmarkObserver(b *testing.B) {
	for name, watch := range map[string]Watch{"nothing": 0, "records": WatchRecords} {
		b.Run(name, func(b *testing.B) {
			cfg := config(100)
			cfg.Observer, cfg.Watch = NoObserver{}, watch
			benchmarkFlows(b, New(cfg, (&clock{}).now), 50)
		})
	}
}
