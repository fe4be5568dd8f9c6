package acl

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// asWritten is the rule itself: the first entry that matches decides.
func asWritten(l List, addr netip.Addr, country string) bool {
	if len(l) == 0 {
		return true
	}
	for _, e := range l {
		var matches bool
		switch {
		case e.Country != "":
			matches = e.Country == country
		case addr.Is4() && e.Addr.Is4():
			a, b := addr.As4(), e.Addr.As4()
			matches = binary.BigEndian.Uint32(a[:])&e.Mask == binary.BigEndian.Uint32(b[:])
		case addr.Is6() && e.Addr.Is6():
			matches = netip.PrefixFrom(e.Addr, e.Bits).Contains(addr)
		}
		if matches {
			return e.Permit
		}
	}
	return !l[len(l)-1].Permit
}

// longest is a look-up in a table of prefixes.
func longest(p Prefixes, addr netip.Addr) bool {
	matches := 0
	for _, except := range p.Except {
		if except.Contains(addr) {
			matches++
		}
	}
	if matches > 1 {
		panic("prefixes overlap")
	}
	return p.Permit != (matches == 1)
}

// isOdd reports whether prefixes can't express an entry.
func isOdd(e Entry) bool {
	return e.Country != "" || e.Addr.Is4() && bits.OnesCount32(e.Mask) != bits.LeadingZeros32(^e.Mask)
}

// A set of lists is looked up as each of them is, with one look-up of the country.
func TestPermitting(t *testing.T) {
	asked := 0
	se := Entry{Permit: true, Country: "SE"}
	ls := Lists{Country: func(netip.Addr) string { asked++; return "SE" }}
	ls.List[1], ls.List[2], ls.List[3] = List{se}, List{{Country: "SE"}}, List{{Addr: netip.MustParseAddr("10.0.0.1"), Mask: host}}
	all := SetOf(0) | SetOf(1) | SetOf(2) | SetOf(3) | SetOf(Count) | SetOf(-1)
	if got, want := ls.Permitting(all, netip.MustParseAddr("10.0.0.1")), SetOf(0)|SetOf(1); got != want || asked != 1 {
		t.Errorf("permitted by %b, want %b; asked %d times", got, want, asked)
	}
	if got := ls.Permitting(all, netip.Addr{}); got != all {
		t.Errorf("without an address permitted by %b", got)
	}
}

// A compiled list says what the entries say, read one after the other. Addresses
// are few and close, so that entries overlap and end side by side.
func TestCompiledListsSayWhatIsWritten(t *testing.T) {
	bytes := rapid.SampledFrom([]byte{0, 1, 2, 127, 128, 254, 255})
	addr4 := rapid.Custom(func(t *rapid.T) netip.Addr {
		return netip.AddrFrom4([4]byte{bytes.Draw(t, "a"), 0, bytes.Draw(t, "b"), bytes.Draw(t, "c")})
	})
	addr6 := rapid.Custom(func(t *rapid.T) netip.Addr {
		b := [16]byte{0: bytes.Draw(t, "a"), 7: bytes.Draw(t, "b"), 15: bytes.Draw(t, "c")}
		return netip.AddrFrom16(b)
	})
	countries := rapid.SampledFrom([]string{"", "SE", "DE"})
	entry := rapid.Custom(func(t *rapid.T) Entry {
		e := Entry{Permit: rapid.Bool().Draw(t, "permit")}
		switch rapid.IntRange(0, 9).Draw(t, "sort") {
		case 0:
			e.Country = rapid.SampledFrom([]string{"SE", "DE", "FR"}).Draw(t, "country")
		case 1: // as written: a hole, or bits under the mask
			e.Addr, e.Mask = addr4.Draw(t, "addr"), rapid.SampledFrom([]uint32{0xff0000ff, 0x00ff00ff, 0x1, 0xff000000}).Draw(t, "mask")
		case 2, 3, 4:
			e.Bits = rapid.IntRange(0, 128).Draw(t, "bits")
			e.Addr = addr6.Draw(t, "addr")
		default:
			bits := rapid.IntRange(0, 32).Draw(t, "bits")
			e.Mask = ^uint32(1<<(32-bits) - 1)
			e.Addr = netip.PrefixFrom(addr4.Draw(t, "addr"), bits).Masked().Addr()
		}
		return e
	})
	rapid.Check(t, func(t *rapid.T) {
		l := List(rapid.SliceOfN(entry, 0, 12).Draw(t, "list"))
		country := countries.Draw(t, "country")
		ls := Lists{List: [Count]List{l}, Country: func(netip.Addr) string { return country }}
		for range 20 {
			addr := rapid.OneOf(addr4, addr6).Draw(t, "client")
			if got, want := ls.Permits(0, addr), asWritten(l, addr, country); got != want {
				t.Fatalf("%v: Permits(%v) = %v, want %v", l, addr, got, want)
			}
			prefixes, err := ls.Prefixes(0)
			if got, want := longest(prefixes, addr), asWritten(l, addr, country); err == nil && got != want {
				t.Fatalf("%v: prefixes %v permit %v: %v, want %v", l, prefixes, addr, got, want)
			}
			if odd := slices.ContainsFunc(l, isOdd); odd != (err != nil) {
				t.Fatalf("%v: prefixes with error %v", l, err)
			}
		}
	})
}

func BenchmarkPermits(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			ls := Lists{}
			for i := range n {
				ls.List[0] = append(ls.List[0], Entry{Addr: netip.AddrFrom4([4]byte{192, byte(i >> 15), byte(i >> 7), byte(i << 1)}), Mask: host})
			}
			ls.Compile()
			client := netip.MustParseAddr("10.0.0.1")
			for b.Loop() {
				ls.Permits(0, client)
			}
		})
	}
}
