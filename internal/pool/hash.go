package pool

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/bits"
	"net/netip"
)

// scramble is a bijection that spreads every bit of x over the result: the finalizer
// of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
func scramble(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// golden is 2^64 divided by the golden ratio, SplitMix64's step between inputs of
// scramble.
const golden = 0x9e3779b97f4a7c15

// hashClient must not change between machines or versions: peers choose alike, and
// clients keep their servers over an upgrade. An IPv4 address hashes as its IPv6-mapped
// form.
func hashClient(addr netip.Addr) uint64 {
	b := addr.As16()
	h := scramble(binary.BigEndian.Uint64(b[:8]) + golden)
	return scramble(h ^ binary.BigEndian.Uint64(b[8:]))
}

// hashName is the same for names of servers. The number tells servers of one name
// apart.
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

// probes is how often a client is hashed again before the order of slots decides. With
// half of the servers down, 1 client in 2^32 gets that far.
const probes = 32

// pickByHash chooses for StaticHash and Maglev. If a server can't take the client, it
// hashes again, so that the server's clients spread over all others.
func (p *Pool) pickByHash(client netip.Addr) int {
	h := hashClient(client)
	again := h
	for probe := range probes {
		slot := p.homeOf(again)
		if slot == None {
			break
		}
		if p.accepts(slot, probe == 0) {
			return slot
		}
		again = scramble(again + golden)
	}
	if p.settings.Bound > 0 {
		return slotOf(p.rank.First()) // the least loaded one is within any bound
	}
	return p.open.from(int(reduce(h, uint64(len(p.servers)))))
}

// homeOf is the slot that a hash belongs to, or None.
func (p *Pool) homeOf(h uint64) int {
	if p.algorithm == Maglev {
		return p.settings.Maglev.at(h)
	}
	total := p.static.total()
	if total == 0 {
		return None
	}
	return p.static.find(reduce(h, total))
}

// accepts reports whether a hash may choose the server of a slot.
func (p *Pool) accepts(slot int, first bool) bool {
	if slot >= len(p.servers) {
		return false // the table is of other servers
	}
	if !p.open.has(slot) {
		return first && p.algorithm == StaticHash && !p.servers[slot].excluded
	}
	return p.settings.Bound == 0 || p.withinBound(p.servers[slot])
}

// withinBound reports whether a server stays within its bounded share of all
// connections with one more (consistent hashing with bounded loads; Mirrokni, Thorup
// and Zadimoghaddam, SODA 2018).
func (p *Pool) withinBound(s *Server) bool {
	share := float64(s.openWeight) / float64(p.weights.total())
	return float64(s.conns+1) <= math.Ceil(max(p.settings.Bound, 1)*float64(p.conns+1)*share)
}
