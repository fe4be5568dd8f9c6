// Package acl says whether an address is permitted by an access list.
//
// There are ten lists, numbered 0 to 9, all empty at first; an empty list
// permits everybody. The first entry that matches decides. If none does, the
// outcome is the opposite of the last entry's: a list of permits denies the
// rest, a list of denies permits it.
package acl

import (
	"net/netip"
	"sync/atomic"
)

// Count is how many access lists there are.
const Count = 10

// An Entry permits or denies the addresses that it matches: those of a country,
// or those that Addr stands for.
type Entry struct {
	Permit bool
	// Addr is compared with the client's address under Mask (IPv4) or over the
	// first Bits bits (IPv6). An IPv4 Addr with bits outside of Mask matches
	// nobody: dotted masks are taken as written.
	Addr netip.Addr
	Mask uint32 // IPv4
	Bits int    // IPv6
	// Country is two capital letters, as Lists.Country returns them; "" is an
	// entry by address.
	Country string
}

// A List is an ordered sequence of entries. The zero List permits everybody.
type List []Entry

// Lists are the ten access lists. They are not changed after the first call of
// Permits, and not copied after it.
type Lists struct {
	List [Count]List
	// Country returns the country of an address, or "" if it is in none. It is
	// called at most once for an answer, and only where an entry by country is
	// reached; the caller of Permits may hold locks, so it must not block. Nil
	// knows of no country.
	Country func(netip.Addr) string

	compiled [Count]atomic.Pointer[compiled]
}

// Compile makes the lists ready, which takes a while if they are long: otherwise
// the first call of Permits does, for its list.
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

// Permits reports whether list number n permits the address. A number outside
// of the lists denies everybody. An invalid address is a client without one
// (a Unix socket's) and always permitted. Its cost grows with the logarithm of
// the list's length, and with the number of IPv4 masks that have holes.
func (ls *Lists) Permits(n int, addr netip.Addr) bool {
	if n < 0 || n >= Count {
		return false
	}
	l := ls.List[n]
	if len(l) == 0 || !addr.IsValid() {
		return true
	}
	first := ls.ready(n).first(l, addr.Unmap().WithZone(""), ls.Country)
	if first == none {
		return !l[len(l)-1].Permit
	}
	return l[first].Permit
}

// first returns the first entry that matches an address, or none.
func (c *compiled) first(l List, addr netip.Addr, country func(netip.Addr) string) int {
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
	if c.country < first && country != nil {
		if i, ok := c.countries[country(addr)]; ok {
			first = min(first, i)
		}
	}
	return first
}

// matches is for an entry with an IPv4 mask.
func (e *Entry) matches(addr netip.Addr) bool {
	return number(addr)&e.Mask == number(e.Addr)
}
