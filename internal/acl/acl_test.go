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
		if got := tt.list.Permits(netip.MustParseAddr(tt.addr)); got != tt.want {
			t.Errorf("%s: Permits(%s) = %v, want %v", tt.name, tt.addr, got, tt.want)
		}
	}
}

func TestUnixClientsArePermitted(t *testing.T) {
	if !(List{v4(true, "10.0.0.1", host)}).Permits(netip.Addr{}) {
		t.Error("a client without an address was denied")
	}
}

func TestListNumbers(t *testing.T) {
	var ls Lists
	ls[3] = List{v4(false, "10.0.0.1", host)}
	for n, want := range map[int]bool{-1: false, 0: true, 3: false, 9: true, 10: false} {
		if got := ls.Permits(n, netip.MustParseAddr("10.0.0.1")); got != want {
			t.Errorf("list %d: %v, want %v", n, got, want)
		}
	}
}

func TestPermitsDoesNotAllocate(t *testing.T) {
	l := List{v4(true, "1.1.1.1", host), v6(true, "2001:db8::", 32), v4(false, "2.2.2.2", host)}
	addr := netip.MustParseAddr("10.0.0.1")
	if n := testing.AllocsPerRun(100, func() { l.Permits(addr) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
