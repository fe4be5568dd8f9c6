// Package acl decides whether an address is permitted by an access list.
//
// There are ten lists, numbered 0 to 9, all empty at first; an empty list permits
// everybody. The first entry that matches decides. If none does, the outcome is the
// opposite of the last entry's: a list of permits denies the rest, a list of denies
// permits it.
//
// A list is compiled into ordered ranges of addresses, so that a look-up costs O(log n).
// [Lists.Prefixes] returns them as prefixes, for planes that have tables of their own.
package acl

import (
	"fmt"
	"math/bits"
	"net/netip"
	"sync/atomic"
)

// Count is how many access lists there are.
const Count = 10

// An Entry permits or denies the addresses of a country, or those that Addr stands for.
type Entry struct {
	Permit bool
	// Addr is compared with the client's address under Mask (IPv4) or over the first
	// Bits bits (IPv6). An IPv4 Addr with bits outside of Mask matches nobody: dotted
	// masks are taken as written.
	Addr netip.Addr
	Mask uint32 // IPv4
	Bits int    // IPv6
	// Country is two capital letters, as Lists.Country returns them; "" is an entry by
	// address.
	Country string
}

// A List is an ordered sequence of entries. The zero List permits everybody.
type List []Entry

// Lists are the ten access lists. They must not be changed or copied after the first
// call of a method. They are safe for concurrent use.
type Lists struct {
	List [Count]List
	// Country returns the country of an address, or "" if it has none. It is called at
	// most once for an answer, and only if an entry by country is reached. It must not
	// block. Nil knows no country.
	Country func(netip.Addr) string

	compiled [Count]atomic.Pointer[compiled]
}

// Compile compiles all lists, which takes a while if they are long. Otherwise the first
// look-up compiles its list.
func (ls *Lists) Compile() {
	for n := range ls.List {
		ls.ready(n)
	}
}

func (ls *Lists) ready(n int) *compiled {
	c := ls.compiled[n].Load()
	if c == nil {
		c = compile(ls.List[n])
		ls.compiled[n].Store(c)
	}
	return c
}

// Permits reports whether list number n permits the address. A number out of range
// denies everybody. An invalid address is a client without one (of a Unix socket) and
// always permitted. It costs O(log n), plus O(1) for each IPv4 mask with holes.
func (ls *Lists) Permits(n int, addr netip.Addr) bool {
	return ls.Permitting(SetOf(n), addr) != 0
}

// A Set is a set of access lists, by number.
type Set uint16

// SetOf returns a set of one list. A number out of range gives the empty set.
func SetOf(n int) Set {
	if n < 0 || n >= Count {
		return 0
	}
	return 1 << n
}

// Permitting returns those of some lists that permit an address, as Permits.
func (ls *Lists) Permitting(some Set, addr netip.Addr) Set {
	if !addr.IsValid() {
		return some
	}
	addr = addr.Unmap().WithZone("")
	country, isKnown := "", false
	lookup := func() string {
		if !isKnown && ls.Country != nil {
			country = ls.Country(addr)
		}
		isKnown = true
		return country
	}
	for left := some; left != 0; left &= left - 1 {
		n := bits.TrailingZeros16(uint16(left))
		l := ls.List[n]
		if len(l) == 0 {
			continue
		}
		first, permit := ls.ready(n).first(l, addr, lookup), !l[len(l)-1].Permit
		if first != none {
			permit = l[first].Permit
		}
		if !permit {
			some &^= 1 << n
		}
	}
	return some
}

// first returns the first entry that matches an address, or none.
func (c *compiled) first(l List, addr netip.Addr, country func() string) int {
	first := c.firstRange(addr)
	if addr.Is4() {
		for _, i := range c.residue {
			if i >= first {
				break
			}
			if l[i].matches(addr) {
				first = i
			}
		}
	}
	if c.country < first {
		if i, ok := c.countries[country()]; ok {
			first = min(first, i)
		}
	}
	return first
}

// matches is for an entry with an IPv4 mask.
func (e *Entry) matches(addr netip.Addr) bool {
	return number(addr)&e.Mask == number(e.Addr)
}

// Prefixes are a list as a table of longest prefixes has it.
type Prefixes struct {
	Permit bool // all addresses but those of Except
	// Except are disjoint and in order, IPv4 before IPv6. The list decides the opposite
	// of Permit for their addresses.
	Except []netip.Prefix
}

// Prefixes returns list number n as prefixes. It fails if the list has an entry that
// prefixes can't express: a country, or an IPv4 mask with holes.
func (ls *Lists) Prefixes(n int) (Prefixes, error) {
	if SetOf(n) == 0 {
		return Prefixes{}, nil
	}
	l, c := ls.List[n], ls.ready(n)
	if len(l) == 0 {
		return Prefixes{Permit: true}, nil
	}
	if c.country != none {
		return Prefixes{}, fmt.Errorf("access list %d, entry %d: country %s can't be written as prefixes", n, c.country, l[c.country].Country)
	}
	if len(c.residue) > 0 {
		return Prefixes{}, fmt.Errorf("access list %d, entry %d: mask %08x can't be written as prefixes", n, c.residue[0], l[c.residue[0]].Mask)
	}
	p := Prefixes{Permit: !l[len(l)-1].Permit}
	excepts := func(entry int) bool { return entry != none && l[entry].Permit != p.Permit }
	v4 := make([]netip.Addr, len(c.v4.begins))
	for i, begin := range c.v4.begins {
		v4[i] = address(begin)
	}
	p.Except = appendPrefixes(p.Except, v4, c.v4.entries, excepts)
	p.Except = appendPrefixes(p.Except, c.v6.begins, c.v6.entries, excepts)
	return p, nil
}
