package pool

import (
	"fmt"
	"hash/fnv"
	"math"
	"net/netip"
	"slices"
	"testing"
)

// load is how many places each slot has.
func load(t *MaglevTable, n int) []int {
	out := make([]int, n)
	for _, slot := range t.slots {
		out[slot]++
	}
	return out
}

// The most and the fewest places of a server, by the average, as computed for
// the algorithm with 65537 places: the deviation may be 30 % more.
func TestMaglevBalance(t *testing.T) {
	for _, tt := range []struct {
		n        int
		max, min float64
	}{{3, 1.0000, 1.0000}, {10, 1.0000, 0.9999}, {100, 1.0010, 0.9994}, {1000, 1.0071, 0.9918}} {
		got := load(NewMaglev(farm(tt.n)), tt.n)
		average := float64(maglevSize) / float64(tt.n)
		high, low := float64(slices.Max(got))/average, float64(slices.Min(got))/average
		const rounding = 0.00005 // of the computed figures
		if high > 1+1.3*(tt.max-1)+rounding || low < 1-1.3*(1-tt.min)-rounding {
			t.Errorf("%d servers: from %.4f to %.4f of the average", tt.n, low, high)
		}
	}
}

// How many places move of servers that stay when others are removed, as
// computed for the algorithm with 65537 places, within 30 %.
func TestMaglevDisruption(t *testing.T) {
	for _, tt := range []struct {
		n, removed int
		want       float64 // percent
	}{
		{3, 1, 0.03},
		{10, 1, 0.26},
		{100, 1, 0.57},
		{100, 5, 0.93},
		{100, 10, 1.17},
		{1000, 1, 0.57},
		{1000, 10, 2.38},
		{1000, 50, 3.44},
		{1000, 100, 3.97},
	} {
		rounds := max(3, 300/tt.n)
		moved := 0
		for round := range rounds {
			all := farm(tt.n)
			for i := range all { // others each time
				all[i].Addr = netip.AddrPortFrom(all[i].Addr.Addr(), uint16(80+round))
			}
			some := slices.Clone(all)
			for k := range tt.removed {
				some[(round+k*7)%tt.n] = Config{}
			}
			before, after := NewMaglev(all), NewMaglev(some)
			for i, slot := range before.slots {
				if some[slot].Used() && after.slots[i] != slot {
					moved++
				}
			}
		}
		got := 100 * float64(moved) / float64(rounds*maglevSize)
		if got > 1.3*tt.want || got < 0.7*tt.want {
			t.Errorf("%d of %d removed: %.3f %% moved without need, want %.2f", tt.removed, tt.n, got, tt.want)
		}
	}
}

func TestMaglevWeights(t *testing.T) {
	all := weighted(1, 2, 3, 0, 94)
	got := load(NewMaglev(all), len(all))
	for i, c := range all {
		if want := maglevSize * float64(c.Weight) / 100; math.Abs(float64(got[i])-want) > 2 {
			t.Errorf("server %d has %d places, want %.0f", i, got[i], want)
		}
	}
	// One weight among thousands of others is no trouble.
	all = farm(10_000)
	all[0].Weight = 1 << 30
	if got := load(NewMaglev(all), len(all)); got[0] < maglevSize-10_000 {
		t.Errorf("the heavy one has %d places", got[0])
	}
}

// Peers number their servers as they like.
func TestMaglevIgnoresSlots(t *testing.T) {
	all := farm(50)
	all[3].Addr, all[3].Path = all[0].Addr, "/run/server"
	all[10].Weight = 7
	all[20].Addr = all[21].Addr // twice the same
	reversed := slices.Clone(all)
	slices.Reverse(reversed)
	a, b := NewMaglev(all), NewMaglev(reversed)
	for i := range a.slots {
		if x, y := all[a.slots[i]].address(), reversed[b.slots[i]].address(); x != y {
			t.Fatalf("place %d: %s and %s", i, x, y)
		}
	}
}

// A table must not change: peers of another version have it as well.
func TestMaglevGolden(t *testing.T) {
	h := fnv.New64a()
	for _, slot := range NewMaglev(weighted(1, 2, 3, 4, 5, 6, 7)).slots {
		fmt.Fprintln(h, slot)
	}
	if got, want := h.Sum64(), uint64(0x4daba203e700f934); got != want {
		t.Errorf("%#x, want %#x", got, want)
	}
}

// When a server takes nobody, its clients and no others move, evenly.
func TestMaglevPassesOver(t *testing.T) {
	const clients = 50_000
	p := newPool(Maglev, farm(10))
	before := make([]int, clients)
	for i := range before {
		before[i] = p.Pick(from(i), 0)
	}
	p.SetHealth(4, HealthDown, 0)
	var got [10]int
	gone := 0
	for i, was := range before {
		is := p.Pick(from(i), 0)
		switch {
		case was == 4:
			gone++
			got[is]++
		case is != was:
			t.Fatalf("client %d moved from %d to %d", i, was, is)
		}
	}
	for slot, n := range got {
		want, off := float64(gone)/9, 4*math.Sqrt(float64(gone)/9)
		if slot == 4 {
			want, off = 0, 0
		}
		if math.Abs(float64(n)-want) > off {
			t.Errorf("server %d got %d of %d clients, want %.0f", slot, n, gone, want)
		}
	}
}

// A table that was made for other servers does no harm.
func TestMaglevOfOthers(t *testing.T) {
	p := New()
	p.Configure(Settings{Servers: farm(3), Algorithm: Maglev, Maglev: NewMaglev(farm(1000))}, 0)
	for i := range 1000 {
		if slot := p.Pick(from(i), 0); p.At(slot) == nil {
			t.Fatalf("chose %d of 3", slot)
		}
	}
	p.Configure(Settings{Servers: farm(3), Algorithm: Maglev, Maglev: NewMaglev(nil)}, 0)
	if slot := p.Pick(client, 0); p.At(slot) == nil {
		t.Errorf("chose %d", slot)
	}
}
