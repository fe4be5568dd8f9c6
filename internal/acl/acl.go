// Package acl says whether an address is permitted by an access list.
//
// There are ten lists, numbered 0 to 9, all empty at first; an empty list
// permits everybody. The first entry that matches decides. If none does, the
// outcome is the opposite of the last entry's: a list of permits denies the
// rest, a list of denies permits it.
package acl

import (
	"encoding/binary"
	"net/netip"
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

// Lists are the ten access lists. A Lists value is not changed after it was
// handed to a reader.
type Lists struct {
	List [Count]List
	// Country returns the country of an address, or "" if it is in none. It is
	// called at most once for an answer, and only where an entry by country is
	// reached; the caller of Permits may hold locks, so it must not block. Nil
	// knows of no country.
	Country func(netip.Addr) string
}

// Permits reports whether list number n permits the address. A number outside
// of the lists denies everybody. An invalid address is a client without one
// (a Unix socket's) and always permitted.
func (ls *Lists) Permits(n int, addr netip.Addr) bool {
	if n < 0 || n >= Count {
		return false
	}
	l := ls.List[n]
	if len(l) == 0 || !addr.IsValid() {
		return true
	}
	addr = addr.Unmap()
	country, known := "", ls.Country == nil
	for i := range l {
		e := &l[i]
		if e.Country != "" && !known {
			country, known = ls.Country(addr), true
		}
		if e.matches(addr, country) {
			return e.Permit
		}
	}
	return !l[len(l)-1].Permit
}

func (e *Entry) matches(addr netip.Addr, country string) bool {
	switch {
	case e.Country != "":
		return e.Country == country
	case addr.Is4() && e.Addr.Is4():
		a, b := addr.As4(), e.Addr.As4()
		return binary.BigEndian.Uint32(a[:])&e.Mask == binary.BigEndian.Uint32(b[:])
	case addr.Is6() && e.Addr.Is6():
		return netip.PrefixFrom(e.Addr, e.Bits).Contains(addr.WithZone(""))
	}
	return false
}
