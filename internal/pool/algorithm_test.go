package pool

import (
	"math"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

func weighted(w ...int) []Config {
	all := farm(len(w))
	for i := range all {
		all[i].Weight = w[i]
	}
	return all
}

func TestNewAlgorithmVectors(t *testing.T) {
	limited := farm(3)
	limited[0].Max, limited[1].Max = 1, 2
	for _, tt := range []struct {
		name    string
		alg     Algorithm
		servers []Config
		want    []int
	}{
		{"smooth, equal weights", SmoothRoundRobin, weighted(7, 7, 7), []int{0, 1, 2, 0, 1, 2}},
		{"smooth, 5/1/1", SmoothRoundRobin, weighted(5, 1, 1), []int{0, 0, 1, 0, 0, 2, 0, 0, 0, 1, 0, 0, 2, 0}},
		{"smooth, 1/0/1", SmoothRoundRobin, weighted(1, 0, 1), []int{0, 2, 0, 2}},
		{"least connections, equal weights", LeastConn, weighted(1, 1, 1), []int{0, 1, 2, 0, 1, 2}},
		{"least connections, 1/2", LeastConn, weighted(1, 2), []int{1, 0, 1, 1, 0, 1}},
		{"first, with limits", First, limited, []int{0, 1, 1, 2, 2}},
		{"nobody has a weight", First, weighted(0, 0), []int{None}},
		{"no server", SmoothRoundRobin, nil, []int{None}},
		{"no server", PowerOfTwo, nil, []int{None}},
		{"no server", StaticHash, nil, []int{None}},
		{"no server", Maglev, nil, []int{None}},
	} {
		p := newPool(tt.alg, tt.servers)
		for i, want := range tt.want {
			got := p.Pick(client, 0)
			if got != want {
				t.Errorf("%s: choice %d: %d, want %d", tt.name, i, got, want)
				break
			}
			if s := p.At(got); s != nil {
				p.Take(s)
			}
		}
	}
}

// Equal servers without a load take turns; Pen's weight takes the first one.
func TestEqualsTakeTurns(t *testing.T) {
	for alg, want := range map[Algorithm]int{LeastConn: 100, SmoothRoundRobin: 100, Weight: 0} {
		p := newPool(alg, farm(5))
		var got [5]int
		for range 500 {
			got[p.Pick(client, 0)]++
		}
		for i := range got[1:] {
			if got[1+i] != want {
				t.Errorf("%s: %v, want %d each after the first", algorithmNames[alg], got, want)
				break
			}
		}
	}
}

// A server that was away has its old place in the order.
func TestSmoothReturn(t *testing.T) {
	p := newPool(SmoothRoundRobin, farm(3))
	want := func(slots ...int) {
		t.Helper()
		for _, slot := range slots {
			if got := p.Pick(client, 0); got != slot {
				t.Fatalf("chose %d, want %d", got, slot)
			}
		}
	}
	want(0, 1, 2)
	p.Blacklist(p.At(1), time.Hour, 0)
	want(0, 2, 0, 2, 0)
	p.Blacklist(p.At(1), 0, 0)
	want(1, 2, 0, 1)
	p.Configure(Settings{Servers: farm(3), Algorithm: SmoothRoundRobin}, 0)
	want(2, 0, 1) // a new configuration changes no turn
}

// The clock of deadlines starts again before it overflows, and nobody notices.
func TestSmoothRestart(t *testing.T) {
	p := New()
	p.virtual = 1<<63 - 5*smoothRound/weightUnit
	p.Configure(Settings{Servers: weighted(1, 1, 2), Algorithm: SmoothRoundRobin}, 0)
	var got [3]int
	for range 4000 {
		got[p.Pick(client, 0)]++
	}
	if p.virtual >= 1<<63 {
		t.Error("the clock did not start again")
	}
	for i, want := range []float64{1000, 1000, 2000} {
		if math.Abs(float64(got[i])-want) > 3 {
			t.Errorf("%v, want %v for server %d", got, want, i)
		}
	}
}

// Shares of choices without a load, by weights of 1 to 4: exact by turns, and
// within four standard deviations by draws and hashes.
func TestDistribution(t *testing.T) {
	const n = 40000
	for _, tt := range []struct {
		alg  Algorithm
		sure bool
	}{{SmoothRoundRobin, true}, {Random, false}, {PowerOfTwo, false}, {StaticHash, false}, {Maglev, false}} {
		p := newPool(tt.alg, weighted(1, 2, 3, 4))
		p.Seed(1, 2)
		var got [4]int
		for i := range n {
			got[p.Pick(from(i), 0)]++
		}
		for i, count := range got {
			share := float64(i+1) / 10
			off := 1.0
			if !tt.sure {
				off = 4 * math.Sqrt(n*share*(1-share))
			}
			if math.Abs(float64(count)-n*share) > off {
				t.Errorf("%s: server %d was chosen %d times, want %v", algorithmNames[tt.alg], i, count, n*share)
			}
		}
	}
}

// Two choices keep the largest load near the average; one does not.
func TestTwoChoices(t *testing.T) {
	most := func(alg Algorithm) int {
		p := newPool(alg, farm(1000))
		p.Seed(3, 4)
		for i := range 10_000 {
			p.Take(p.At(p.Pick(from(i), 0)))
		}
		n := 0
		for _, s := range p.AppendStatus(nil) {
			n = max(n, s.Conns)
		}
		return n
	}
	if n := most(PowerOfTwo); n > 13 {
		t.Errorf("two choices: %d connections where 10 are the average", n)
	}
	if n := most(Random); n < 18 {
		t.Errorf("one choice: %d connections; the comparison shows nothing", n)
	}
}

func TestSeedAndClone(t *testing.T) {
	draw := func(p *Pool) (slots [20]int) {
		for i := range slots {
			slots[i] = p.Pick(client, 0)
		}
		return slots
	}
	a, b := newPool(Random, farm(100)), newPool(Random, farm(100))
	a.Seed(1, 2)
	b.Seed(1, 2)
	c := a.Clone()
	one, two, three := draw(a), draw(b), draw(c)
	if one != two || one != three {
		t.Errorf("the same seeds, other draws: %v, %v, %v", one, two, three)
	}
	if draw(newPool(Random, farm(100))) == one {
		t.Error("without a seed it draws the same")
	}

	c = a.Clone()
	before := a.AppendStatus(nil)
	for slot := range 100 {
		c.Take(c.At(slot))
		c.Fail(c.At(slot), 1)
		c.SetHealth(slot, HealthDown, 1)
	}
	c.Configure(Settings{}, 2)
	for i, s := range a.AppendStatus(nil) {
		if !reflect.DeepEqual(s, before[i]) {
			t.Fatalf("what happens to a clone changed server %d: %+v", i, s)
		}
	}
}

func TestLeastTime(t *testing.T) {
	const s = time.Second
	p := newPool(LeastTime, farm(2))
	a, b := p.At(0), p.At(1)
	always := func(what string, want int, now time.Duration) {
		t.Helper()
		for range 20 {
			if got := p.Pick(client, now); got != want {
				t.Fatalf("%s: chose %d, want %d", what, got, want)
			}
		}
	}
	p.Observe(a, 10*time.Millisecond, 0)
	always("one is not measured", 1, 0)
	p.Take(b)
	always("it is being measured", 0, 0)
	p.Release(b, 0, 0)
	p.Observe(b, 40*time.Millisecond, 0)
	always("the faster one", 0, 0)
	for range 3 {
		p.Take(a)
	}
	p.Take(b)
	p.Release(b, 0, 0)
	p.Take(a) // 5 x 10 ms with the next one
	always("the faster one is loaded", 1, 0)
	p.Observe(a, 10*time.Millisecond, 60*s)
	if st := p.AppendStatus(nil); st[1].ConnectTime > time.Millisecond {
		t.Errorf("after a minute a measurement still counts: %v", st[1].ConnectTime)
	}
	always("the slow one is tried again", 1, 60*s)
}

func TestPreferred(t *testing.T) {
	certain := []Algorithm{Hash, HashPort, Prio, StaticHash, Maglev, First}
	for a := range Algorithm(Algorithms) {
		want := false
		for _, c := range certain {
			want = want || a == c
		}
		p := newPool(a, farm(10))
		for i := range 50 {
			slot, ok := p.Preferred(from(i))
			if ok != want || ok && slot != p.Pick(from(i), 0) {
				t.Errorf("%s: %d %v", algorithmNames[a], slot, ok)
			}
		}
		p.Configure(Settings{Servers: farm(10), Algorithm: a, Bound: 2}, 0)
		if _, ok := p.Preferred(client); ok != (want && !a.hashes()) {
			t.Errorf("%s with a bound: %v", algorithmNames[a], ok)
		}
	}
	if slot, ok := newPool(Maglev, nil).Preferred(client); slot != None || !ok {
		t.Errorf("no server: %d %v", slot, ok)
	}
}

// With a bound, no server gets more than its part of the connections, though
// all clients are one.
func TestBound(t *testing.T) {
	for _, alg := range []Algorithm{StaticHash, Maglev} {
		for _, bound := range []float64{0.5, 1, 1.25, 3} {
			p := New()
			p.Configure(Settings{Servers: weighted(1, 2, 3, 4, 0), Algorithm: alg, Bound: bound}, 0)
			for n := range 300 {
				slot := p.Pick(client, 0)
				p.Take(p.At(slot))
				limit := math.Ceil(max(bound, 1) * float64(n+1) * float64(slot+1) / 10)
				if got := p.At(slot).Conns(); float64(got) > limit {
					t.Fatalf("%s, bound %v: server %d has %d of %d connections", algorithmNames[alg], bound, slot, got, n+1)
				}
			}
		}
	}
}

func TestUnusableIsNeverPicked(t *testing.T) {
	for a := RoundRobin; a < Algorithms; a++ {
		if a == Hash || a == HashPort || a == StaticHash {
			continue
		}
		p := newPool(a, farm(100))
		for slot := range 99 {
			p.SetHealth(slot, HealthDown, 0)
		}
		for i := range 100 {
			if got := p.Pick(from(i), 0); got != 99 {
				t.Fatalf("%s: chose %d", algorithmNames[a], got)
			}
		}
		p.SetHealth(99, HealthDown, 0)
		if got := p.Pick(client, 0); got != None {
			t.Errorf("%s: chose %d where none is up", algorithmNames[a], got)
		}
	}
}

// Static hash goes by the configuration, whatever the states are.
func TestStaticHashIgnoresStates(t *testing.T) {
	p := newPool(StaticHash, farm(10))
	for i := range 200 {
		before := p.Pick(from(i), 0)
		p.SetHealth(before, HealthDown, 0)
		if got := p.Pick(from(i), 0); got != before {
			t.Fatalf("client %d moved from %d to %d", i, before, got)
		}
	}
}

// Hashes are the same on every machine: these are what other machines and later
// versions must have too.
func TestHashGolden(t *testing.T) {
	for _, tt := range []struct {
		client netip.AddrPort
		hash   uint64
		maglev int
		static int
	}{
		{netip.MustParseAddrPort("192.0.2.1:1"), 0x6b390e5096f79c83, 21, 41},
		{netip.MustParseAddrPort("[::ffff:192.0.2.1]:2"), 0x6b390e5096f79c83, 21, 41},
		{netip.MustParseAddrPort("192.0.2.2:1"), 0xa6a2d0feb603e462, 3, 65},
		{netip.MustParseAddrPort("[2001:db8::1]:1"), 0x504b8dce1c938e43, 31, 31},
		{netip.MustParseAddrPort("[2001:db8:0:1::]:1"), 0xf7ce7ba948563b08, 1, 96},
	} {
		if got := hashClient(tt.client.Addr()); got != tt.hash {
			t.Errorf("%v: %#x, want %#x", tt.client, got, tt.hash)
		}
		if got := newPool(Maglev, farm(100)).Pick(tt.client, 0); got != tt.maglev {
			t.Errorf("%v: Maglev chose %d, want %d", tt.client, got, tt.maglev)
		}
		if got := newPool(StaticHash, farm(100)).Pick(tt.client, 0); got != tt.static {
			t.Errorf("%v: static hash chose %d, want %d", tt.client, got, tt.static)
		}
	}
}

// Clients without an address, as those of Unix sockets, go to all servers.
func TestClientsWithoutAddressSpread(t *testing.T) {
	for a := range Algorithm(Algorithms) {
		switch a {
		case Hash, HashPort, Weight, Prio, First: // by address, as Pen does; or by order
			continue
		}
		p := newPool(a, farm(4))
		seen := map[int]bool{}
		for range 200 {
			slot := p.Pick(netip.AddrPort{}, 0)
			if _, ok := p.Preferred(netip.AddrPort{}); ok {
				t.Errorf("%s: their server is known before", algorithmNames[a])
			}
			seen[slot] = true
			p.Take(p.At(slot))
		}
		if len(seen) != 4 {
			t.Errorf("%s: they go to %v", algorithmNames[a], seen)
		}
	}
}
