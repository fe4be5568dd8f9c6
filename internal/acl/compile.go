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

// compiled is a list for look-ups in O(log n).
type compiled struct {
	v4        ranges[uint32]
	v6        ranges[netip.Addr]
	residue   []int          // IPv4 entries whose masks have holes
	countries map[string]int // first entry of each
	country   int            // the first entry by country, or none
}

// ranges cover a family of addresses, in order. A range ends where the next one begins.
type ranges[A any] struct {
	begins  []A
	entries []int // the first one that matches the range, or none
}

// at returns the entry of the range in which an address is, as found by a binary search
// in begins.
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

// address is the inverse of number.
func address(n uint32) netip.Addr {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], n)
	return netip.AddrFrom4(a)
}

// firstRange returns the first entry by address that matches an address, or none.
func (c *compiled) firstRange(addr netip.Addr) int {
	if addr.Is4() {
		return c.v4.at(slices.BinarySearch(c.v4.begins, number(addr)))
	}
	return c.v6.at(slices.BinarySearchFunc(c.v6.begins, addr, netip.Addr.Compare))
}

func compile(l List) *compiled {
	c := &compiled{countries: map[string]int{}, country: none}
	var v4, v6 []bound
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
				v4 = appendBounds(v4, netip.PrefixFrom(e.Addr, bits.OnesCount32(e.Mask)), i)
			}
		case e.Addr.Is6():
			v6 = appendBounds(v6, netip.PrefixFrom(e.Addr, e.Bits), i)
		}
	}
	eachRange(v4, func(begin netip.Addr, entry int) { c.v4.add(number(begin), entry) })
	eachRange(v6, c.v6.add)
	return c
}

// A bound is the first address of an entry, or the first one after it.
type bound struct {
	at    netip.Addr
	entry int
	after bool
}

func appendBounds(to []bound, p netip.Prefix, entry int) []bound {
	to = append(to, bound{p.Masked().Addr(), entry, false})
	if after := last(p).Next(); after.IsValid() {
		to = append(to, bound{after, entry, true})
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

// eachRange walks over all addresses once and calls f at the begin of each range, with
// the first entry that matches there. A heap has the entries that match.
func eachRange(bounds []bound, f func(begin netip.Addr, entry int)) {
	slices.SortFunc(bounds, func(a, b bound) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.entry, b.entry)) })
	open := heap.New(func(a, b int) bool { return a < b }, nil)
	over := map[int]bool{}
	for i, b := range bounds {
		if b.after {
			over[b.entry] = true
		} else {
			open.Push(b.entry)
		}
		if i+1 < len(bounds) && bounds[i+1].at == b.at {
			continue
		}
		for open.Len() > 0 && over[open.First()] {
			open.Pop()
		}
		first := none
		if open.Len() > 0 {
			first = open.First()
		}
		f(b.at, first)
	}
}

// appendPrefixes appends the prefixes of the ranges whose entries are wanted.
func appendPrefixes(to []netip.Prefix, begins []netip.Addr, entries []int, wanted func(entry int) bool) []netip.Prefix {
	for i := 0; i < len(begins); i++ {
		if !wanted(entries[i]) {
			continue
		}
		begin := begins[i]
		for i+1 < len(begins) && wanted(entries[i+1]) {
			i++
		}
		end := last(netip.PrefixFrom(begin, 0))
		if i+1 < len(begins) {
			end = begins[i+1].Prev()
		}
		for begin.IsValid() && begin.Compare(end) <= 0 {
			p := largest(begin, end)
			to = append(to, p)
			begin = last(p).Next()
		}
	}
	return to
}

// largest returns the largest network that begins at an address and does not go beyond
// another one.
func largest(begin, end netip.Addr) netip.Prefix {
	p := netip.PrefixFrom(begin, begin.BitLen())
	for n := p.Bits() - 1; n >= 0; n-- {
		next := netip.PrefixFrom(begin, n)
		if next.Masked() != next || last(next).Compare(end) > 0 {
			break
		}
		p = next
	}
	return p
}
