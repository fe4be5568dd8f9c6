package acl

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"

	"pen/internal/heap"
)

// none is the index of no entry: it comes after all others.
const none = int(^uint(0) >> 1)

// compiled is a list made for look-ups: the first entry that matches an address is
// found in O(log n), whatever its length.
type compiled struct {
	v4        ranges[uint32]
	v6        ranges[netip.Addr]
	residue   []int          // IPv4 entries whose masks have holes
	countries map[string]int // first entry of each
	country   int            // the first entry by country, or none
}

// ranges cover a family of addresses, in order. A range ends where the next one
// begins, and has the first entry that matches it.
type ranges[A any] struct {
	begins  []A
	entries []int
}

// at returns the entry of the range at a place where an address was looked for,
// or of the one before.
func (r *ranges[A]) at(i int, found bool) int {
	if !found {
		i--
	}
	if i < 0 {
		return none
	}
	return r.entries[i]
}

func (r *ranges[A]) add(begin A, entry int) {
	if n := len(r.entries); n > 0 && r.entries[n-1] == entry {
		return
	}
	r.begins, r.entries = append(r.begins, begin), append(r.entries, entry)
}

// number is an IPv4 address as a number, which compares faster.
func number(addr netip.Addr) uint32 {
	a := addr.As4()
	return binary.BigEndian.Uint32(a[:])
}

// firstRange returns the first entry by address that matches one, or none.
func (c *compiled) firstRange(addr netip.Addr) int {
	if addr.Is4() {
		return c.v4.at(slices.BinarySearch(c.v4.begins, number(addr)))
	}
	return c.v6.at(slices.BinarySearchFunc(c.v6.begins, addr, netip.Addr.Compare))
}

func compile(l List) *compiled {
	c := &compiled{countries: map[string]int{}, country: none}
	var v4, v6 []edge
	for i := range l {
		e := &l[i]
		switch {
		case e.Country != "":
			if _, ok := c.countries[e.Country]; !ok {
				c.countries[e.Country] = i
			}
			c.country = min(c.country, i)
		case e.Addr.Is4() && ^e.Mask&(^e.Mask+1) != 0:
			c.residue = append(c.residue, i)
		case e.Addr.Is4():
			if number(e.Addr)&^e.Mask == 0 { // otherwise it matches nobody
				v4 = appendEdges(v4, netip.PrefixFrom(e.Addr, bits.OnesCount32(e.Mask)), i)
			}
		case e.Addr.Is6():
			v6 = appendEdges(v6, netip.PrefixFrom(e.Addr, e.Bits), i)
		}
	}
	cover(v4, func(begin netip.Addr, entry int) { c.v4.add(number(begin), entry) })
	cover(v6, c.v6.add)
	return c
}

// An edge is where an entry's addresses begin or, if it is over, are over.
type edge struct {
	at    netip.Addr
	entry int
	over  bool
}

func appendEdges(to []edge, p netip.Prefix, entry int) []edge {
	to = append(to, edge{p.Masked().Addr(), entry, false})
	if after := last(p).Next(); after.IsValid() {
		to = append(to, edge{after, entry, true})
	}
	return to
}

// last is the last address of a network.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	addr, _ := netip.AddrFromSlice(b)
	return addr
}

// cover goes over all addresses once, and says from where on which entry is the
// first one. It keeps the entries that match in a heap.
func cover(edges []edge, from func(begin netip.Addr, entry int)) {
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.entry, b.entry)) })
	open := heap.New(func(a, b int) bool { return a < b }, nil)
	over := map[int]bool{}
	for i, e := range edges {
		if e.over {
			over[e.entry] = true
		} else {
			open.Push(e.entry)
		}
		if i+1 < len(edges) && edges[i+1].at == e.at {
			continue
		}
		for open.Len() > 0 && over[open.First()] {
			open.Pop()
		}
		first := none
		if open.Len() > 0 {
			first = open.First()
		}
		from(e.at, first)
	}
}
