package pool

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/bits"
	"net/netip"
)

// scramble spreads every bit of x over all bits of the result, which is another
// one for every x: the finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA
// 2014).
func scramble(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// golden is 2^64 divided by the golden ratio: the step from one number to be
// scrambled to the next.
const golden = 0x9e3779b97f4a7c15

// hashClient is the same on every machine and in every version: peers choose
// alike, and clients keep their servers over an upgrade. An IPv4 address is
// its IPv6-mapped form.
func hashClient(addr netip.Addr) uint64 {
	b := addr.As16()
	h := scramble(binary.BigEndian.Uint64(b[:8]) + golden)
	return scramble(h ^ binary.BigEndian.Uint64(b[8:]))
}

// hashName is likewise, for the names of servers; the number tells apart those
// of the same name.
func hashName(name string, number int) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name)) // never fails
	return scramble(h.Sum64() + uint64(number)*golden)
}

// reduce maps a hash to a number below n.
func reduce(h, n uint64) uint64 {
	high, _ := bits.Mul64(h, n)
	return high
}

// probes is how many places are looked at for a client before the order of
// slots decides: with it, half of the servers may be away and one client in
// 2^32 notices.
const probes = 32

// hashed chooses for StaticHash and Maglev. A server that cannot have the client
// is passed over by hashing again, so that its clients spread over all others.
func (p *Pool) hashed(client netip.Addr) int {
	h := hashClient(client)
	again := h
	for probe := range probes {
		slot := p.homeOf(again)
		if slot == None {
			break
		}
		if p.mayHave(slot, probe == 0) {
			return slot
		}
		again = scramble(again + golden)
	}
	if p.set.Bound > 0 {
		return slotOf(p.rank.First()) // the least loaded one is within any bound
	}
	return p.open.from(int(reduce(h, uint64(len(p.servers)))))
}

// homeOf is the slot that a hash belongs to, or None.
func (p *Pool) homeOf(h uint64) int {
	if p.algorithm == Maglev {
		return p.set.Maglev.at(h)
	}
	total := p.static.total()
	if total == 0 {
		return None
	}
	return p.static.find(reduce(h, total))
}

// mayHave reports whether the server of a slot may be chosen by its hash.
func (p *Pool) mayHave(slot int, first bool) bool {
	if slot >= len(p.servers) {
		return false // the table was made for other servers
	}
	if !p.open.has(slot) {
		return first && p.algorithm == StaticHash && !p.servers[slot].leftOut
	}
	return p.set.Bound == 0 || p.withinBound(p.servers[slot])
}

// withinBound reports whether a server has no more than its part of all
// connections if it gets one more (consistent hashing with bounded loads;
// Mirrokni, Thorup and Zadimoghaddam, SODA 2018).
func (p *Pool) withinBound(s *Server) bool {
	share := float64(s.drawn) / float64(p.weights.total())
	return float64(s.conns+1) <= math.Ceil(max(p.set.Bound, 1)*float64(p.conns+1)*share)
}
