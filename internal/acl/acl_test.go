package acl

import (
	"net/netip"
	"testing"
)

func v4(permit bool, addr string, mask uint32) Entry {
	return Entry{Permit: permit, Addr: netip.MustParseAddr(addr), Mask: mask}
}

func v6(permit bool, addr string, bits int) Entry {
	return Entry{Permit: permit, Addr: netip.MustParseAddr(addr), Bits: bits}
}

func by(permit bool, country string) Entry { return Entry{Permit: permit, Country: country} }

const host = 0xffffffff

// The first six rows are the specification's vectors (sections 10 and 25).
func TestPermits(t *testing.T) {
	for _, tt := range []struct {
		name string
		list List
		addr string
		want bool
	}{
		{"empty permits", nil, "10.0.0.1", true},
		{"permit 10/8, inside", List{v4(true, "10.0.0.0", 0xff000000)}, "10.9.8.7", true},
		{"permit 10/8, outside", List{v4(true, "10.0.0.0", 0xff000000)}, "11.0.0.1", false},
		{"deny one, that one", List{v4(false, "10.0.0.1", host)}, "10.0.0.1", false},
		{"deny one, another", List{v4(false, "10.0.0.1", host)}, "10.0.0.2", true},
		{"permit X, deny Y, other", List{v4(true, "1.1.1.1", host), v4(false, "2.2.2.2", host)}, "3.3.3.3", true},

		{"first match wins", List{v4(false, "10.0.0.1", host), v4(true, "10.0.0.0", 0xff000000)}, "10.0.0.1", false},
		{"host bits under the mask never match", List{v4(true, "10.0.0.1", 0xff000000)}, "10.0.0.1", false},
		{"mask with a hole", List{v4(true, "10.0.0.7", 0xff0000ff)}, "10.3.9.7", true},
		{"other family is skipped, still last", List{v4(true, "10.0.0.1", host), v6(false, "::1", 128)}, "10.0.0.2", true},
		{"IPv6 prefix, inside", List{v6(true, "2001:db8::", 32)}, "2001:db8:1::7", true},
		{"IPv6 prefix, outside", List{v6(true, "2001:db8::", 32)}, "2001:db9::", false},
		{"IPv6 zone is no part of the address", List{v6(true, "fe80::1", 128)}, "fe80::1%eth0", true},
		{"an IPv4 client of a dual-stack listener", List{v4(false, "10.0.0.1", host)}, "::ffff:10.0.0.1", false},
	} {
		ls := Lists{List: [Count]List{tt.list}}
		if got := ls.Permits(0, netip.MustParseAddr(tt.addr)); got != tt.want {
			t.Errorf("%s: Permits(%s) = %v, want %v", tt.name, tt.addr, got, tt.want)
		}
	}
}

func TestUnixClientsArePermitted(t *testing.T) {
	ls := Lists{List: [Count]List{{v4(true, "10.0.0.1", host)}, {by(true, "SE")}}}
	for n := range 2 {
		if !ls.Permits(n, netip.Addr{}) {
			t.Errorf("list %d: a client without an address was denied", n)
		}
	}
}

// The country is asked for once, and only if an entry needs it.
func TestCountry(t *testing.T) {
	countries := map[string]string{"10.0.0.1": "SE", "10.0.0.2": "DE", "2001:db8::1": "SE"}
	for _, tt := range []struct {
		name  string
		list  List
		addr  string
		want  bool
		asked int
	}{
		{"permit, in it", List{by(true, "SE")}, "10.0.0.1", true, 1},
		{"permit, in another", List{by(true, "SE")}, "10.0.0.2", false, 1},
		{"permit, in none", List{by(true, "SE")}, "10.0.0.3", false, 1},
		{"deny, in it", List{by(false, "SE")}, "10.0.0.1", false, 1},
		{"deny, in none", List{by(false, "SE")}, "10.0.0.3", true, 1},
		{"IPv6", List{by(false, "SE")}, "2001:db8::1", false, 1},
		{"an IPv4 client of a dual-stack listener", List{by(false, "SE")}, "::ffff:10.0.0.1", false, 1},
		{"several", List{by(true, "DE"), by(true, "FR"), by(true, "SE")}, "10.0.0.1", true, 1},
		{"an address before it", List{v4(false, "10.0.0.1", host), by(true, "SE")}, "10.0.0.1", false, 0},
		{"an address after it", List{by(true, "SE"), v4(false, "10.0.0.1", host)}, "10.0.0.1", true, 1},
		{"the last entry is one by country", List{v4(true, "10.0.0.9", host), by(false, "SE")}, "10.0.0.3", true, 1},
		{"none by country", List{v4(true, "10.0.0.9", host)}, "10.0.0.1", false, 0},
	} {
		asked := 0
		ls := Lists{List: [Count]List{tt.list}, Country: func(a netip.Addr) string {
			asked++
			return countries[a.String()]
		}}
		if got := ls.Permits(0, netip.MustParseAddr(tt.addr)); got != tt.want || asked != tt.asked {
			t.Errorf("%s: %v, want %v; asked %d times, want %d", tt.name, got, tt.want, asked, tt.asked)
		}
	}
	unknown := Lists{List: [Count]List{{by(true, "SE")}}}
	if unknown.Permits(0, netip.MustParseAddr("10.0.0.1")) {
		t.Error("permitted by country where nothing knows of countries")
	}
}

func TestListNumbers(t *testing.T) {
	var ls Lists
	ls.List[3] = List{v4(false, "10.0.0.1", host)}
	for n, want := range map[int]bool{-1: false, 0: true, 3: false, 9: true, 10: false} {
		if got := ls.Permits(n, netip.MustParseAddr("10.0.0.1")); got != want {
			t.Errorf("list %d: %v, want %v", n, got, want)
		}
	}
}

func TestPermitsDoesNotAllocate(t *testing.T) {
	ls := Lists{
		List:    [Count]List{{v4(true, "1.1.1.1", host), v6(true, "2001:db8::", 32), by(false, "DE"), v4(false, "2.2.2.2", host)}},
		Country: func(netip.Addr) string { return "SE" },
	}
	addr := netip.MustParseAddr("10.0.0.1")
	if n := testing.AllocsPerRun(100, func() { ls.Permits(0, addr) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
