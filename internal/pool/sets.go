package pool

import (
	"math/bits"
	"slices"
)

// A bitset finds the next set bit in O(log64 n): each level has a bit for
// every word of the level below that is not zero.
type bitset [][]uint64

func newBitset(n int) bitset {
	var b bitset
	for {
		n = (n + 63) / 64
		b = append(b, make([]uint64, n))
		if n <= 1 {
			return b
		}
	}
}

func (b bitset) set(i int, on bool) {
	for _, level := range b {
		w := &level[i/64]
		if on {
			*w |= 1 << (i % 64)
		} else {
			*w &^= 1 << (i % 64)
		}
		on = *w != 0
		i /= 64
	}
}

// next returns the first set bit at or after i, or -1.
func (b bitset) next(i int) int {
	for l := 0; l < len(b); l++ {
		if i/64 >= len(b[l]) {
			return -1
		}
		if w := b[l][i/64] >> (i % 64); w != 0 {
			i += bits.TrailingZeros64(w)
			for ; l > 0; l-- { // down to the first set bit below
				i = i*64 + bits.TrailingZeros64(b[l-1][i])
			}
			return i
		}
		i = i/64 + 1
	}
	return -1
}

func (b bitset) has(i int) bool { return b[0][i/64]>>(i%64)&1 != 0 }

// from is next with wrap-around. It returns None if no bit is set.
func (b bitset) from(i int) int {
	if n := b.next(i); n >= 0 {
		return n
	}
	if n := b.next(0); n >= 0 {
		return n
	}
	return None
}

func (b bitset) clone() bitset {
	c := make(bitset, len(b))
	for i, level := range b {
		c[i] = slices.Clone(level)
	}
	return c
}

// A fenwick tree holds a number for each slot, adds them up and finds the slot at a
// point of the sum, in O(log n) (Fenwick, Software: Practice and Experience, 1994).
// Element i, from 1, is the sum of the last i & -i numbers up to slot i-1; element 0
// is the sum of all.
type fenwick []uint64

func newFenwick(n int) fenwick { return make(fenwick, n+1) }

func (t fenwick) add(slot int, n uint64) {
	t[0] += n
	for i := slot + 1; i < len(t); i += i & -i {
		t[i] += n
	}
}

func (t fenwick) total() uint64 { return t[0] }

// before is the sum of the numbers below a slot's.
func (t fenwick) before(slot int) uint64 {
	var sum uint64
	for i := slot; i > 0; i &= i - 1 {
		sum += t[i]
	}
	return sum
}

// find returns the slot whose part of the sum contains a point below the total.
func (t fenwick) find(at uint64) int {
	i := 0
	for step := 1 << bits.Len(uint(len(t)-1)); step > 0; step /= 2 {
		if next := i + step; next < len(t) && t[next] <= at {
			at -= t[next]
			i = next
		}
	}
	return i
}

func (t fenwick) clone() fenwick { return slices.Clone(t) }
