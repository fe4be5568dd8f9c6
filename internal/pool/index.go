package pool

import "math/bits"

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

// A rank is a heap of servers, the one to choose first on top.
type rank struct {
	algorithm Algorithm
	servers   []*Server
}

func (r *rank) first() *Server {
	if len(r.servers) == 0 {
		return nil
	}
	return r.servers[0]
}

func (r *rank) Len() int { return len(r.servers) }

func (r *rank) Less(i, j int) bool {
	a, b := r.servers[i], r.servers[j]
	x, y := int64(a.Prio), int64(b.Prio)
	if r.algorithm == Weight {
		// conns/weight, compared without dividing
		x, y = int64(a.conns)*int64(b.Weight), int64(b.conns)*int64(a.Weight)
	}
	return x < y || x == y && a.Slot < b.Slot
}

func (r *rank) Swap(i, j int) {
	s := r.servers
	s[i], s[j] = s[j], s[i]
	s[i].inRank, s[j].inRank = i, j
}

func (r *rank) Push(x any) {
	s := x.(*Server)
	s.inRank = len(r.servers)
	r.servers = append(r.servers, s)
}

func (r *rank) Pop() any {
	n := len(r.servers) - 1
	s := r.servers[n]
	s.inRank = -1
	r.servers = r.servers[:n]
	return s
}

// An expiry is a heap of blacklisted servers, the first to return on top.
type expiry []*Server

func (e expiry) Len() int           { return len(e) }
func (e expiry) Less(i, j int) bool { return e[i].until < e[j].until }

func (e expiry) Swap(i, j int) {
	e[i], e[j] = e[j], e[i]
	e[i].inExpiry, e[j].inExpiry = i, j
}

func (e *expiry) Push(x any) {
	s := x.(*Server)
	s.inExpiry = len(*e)
	*e = append(*e, s)
}

func (e *expiry) Pop() any {
	n := len(*e) - 1
	s := (*e)[n]
	s.inExpiry = -1
	*e = (*e)[:n]
	return s
}
