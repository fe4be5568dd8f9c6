package heap

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

// A random sequence of operations, compared with a sorted slice.
func TestHeap(t *testing.T) {
	type item struct{ key, index int }
	rng := rand.New(rand.NewPCG(1, 2))
	h := New(func(a, b *item) bool { return a.key < b.key }, func(x *item, i int) { x.index = i })
	var all []*item
	for range 20_000 {
		switch op := rng.IntN(10); {
		case op < 4 || len(all) == 0:
			x := &item{rng.IntN(100), -1}
			all = append(all, x)
			h.Push(x)
		case op < 6:
			x := h.Pop()
			all = slices.DeleteFunc(all, func(y *item) bool { return x == y })
			if x.index != -1 {
				t.Fatalf("a popped item has index %d", x.index)
			}
		case op < 8:
			n := rng.IntN(len(all))
			h.Remove(all[n].index)
			all = slices.Delete(all, n, n+1)
		case op < 9:
			x := all[rng.IntN(len(all))]
			x.key = rng.IntN(100)
			h.Fix(x.index)
		default:
			for _, x := range h.Items() {
				x.key = rng.IntN(100)
			}
			h.Init()
		}
		if h.Len() != len(all) {
			t.Fatalf("%d items, want %d", h.Len(), len(all))
		}
		if len(all) == 0 {
			if h.First() != nil {
				t.Fatal("an empty heap has a first item")
			}
			continue
		}
		if least := slices.MinFunc(all, func(a, b *item) int { return cmp.Compare(a.key, b.key) }); h.First().key != least.key {
			t.Fatalf("first is %d, want %d", h.First().key, least.key)
		}
		for i, x := range h.Items() {
			if x.index != i {
				t.Fatalf("item %d has index %d", i, x.index)
			}
		}
	}
}
