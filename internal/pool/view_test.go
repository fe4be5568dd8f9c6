package pool

import (
	"net/netip"
	"slices"
	"testing"
)

// The places of a view are the choices that the pool makes next.
func TestPlacesAreTheNextChoices(t *testing.T) {
	for _, a := range []Algorithm{RoundRobin, SmoothRoundRobin, Prio, First} {
		p := New()
		p.Configure(Settings{Servers: weighted(3, 0, 6, 9, 1), Algorithm: a}, 0)
		for range 7 {
			p.Pick(netip.AddrPort{}, 0)
		}
		v := p.View(0)
		var want []int32
		for range v.Places() {
			want = append(want, int32(p.Pick(netip.AddrPort{}, 0)))
		}
		if len(want) == 0 || !slices.Equal(v.Places(), want) {
			t.Errorf("%d: places %v, the pool chose %v", a, v.Places(), want)
		}
		if again := p.View(0).Places(); !slices.Equal(again, want) {
			t.Errorf("%d: after a period %v, want %v again", a, again, want)
		}
	}
}

// A draw among the places is a draw by weight.
func TestPlacesByWeight(t *testing.T) {
	p := New()
	p.Configure(Settings{Servers: weighted(4, 0, 2, 6), Algorithm: Random}, 0)
	times := make([]int, 4)
	for _, slot := range p.View(0).Places() {
		times[slot]++
	}
	if !slices.Equal(times, []int{2, 0, 1, 3}) {
		t.Errorf("servers of weight 4, 0, 2, 6 have %v places", times)
	}
}

func TestPlacesOfHashes(t *testing.T) {
	for _, a := range []Algorithm{Hash, HashPort, StaticHash, Maglev} {
		p := New()
		p.Configure(Settings{Servers: weighted(4, 0, 2, 6, 40), Algorithm: a}, 0)
		p.Blacklist(p.At(2), 1, 0)
		v := p.View(0)
		asked := 0
		for n := range 2000 {
			client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), byte(7 * n)}), uint16(n))
			got, ok := v.Pick(client)
			if !ok {
				asked++
			} else if want := p.Pick(client, 0); got != want {
				t.Fatalf("%d: %v at %d, the pool chose %d", a, client, got, want)
			}
		}
		if asked == 0 || asked > 1000 {
			t.Errorf("%d: asked for %d of 2000 clients", a, asked)
		}
	}
	p := New()
	p.Configure(Settings{Servers: weighted(100_000, 1), Algorithm: StaticHash}, 0)
	if v := p.View(0); v.Places() != nil {
		t.Errorf("%d places", len(v.Places()))
	}
}
