package sock

import (
	"maps"
	"net"
	"net/netip"
)

// Addrs are addresses of this machine.
type Addrs map[netip.Addr]bool

// LocalAddrs returns the addresses of this machine's interfaces.
func LocalAddrs() Addrs {
	out := Addrs{}
	all, _ := net.InterfaceAddrs() // without them loopback is left
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(n.IP); ok {
				out[addr.Unmap()] = true
			}
		}
	}
	return out
}

// Equal reports whether two sets are the same.
func (s Addrs) Equal(t Addrs) bool { return maps.Equal(s, t) }

// Has reports whether a connection to an address comes to this machine.
func (s Addrs) Has(addr netip.Addr) bool {
	return addr.IsLoopback() || addr.IsUnspecified() || s[addr]
}
