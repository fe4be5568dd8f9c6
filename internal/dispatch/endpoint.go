package dispatch

import "net/netip"

// An endpoint is an address without a zone, and a port, in 20 bytes, where a
// [netip.AddrPort] takes 32. The zero one is invalid.
type endpoint struct {
	bytes  [16]byte
	port   uint16
	family family
}

type family uint8

const (
	noAddress family = iota
	ipv4
	ipv6
)

func endpointOf(a netip.AddrPort) endpoint {
	e := endpoint{port: a.Port()}
	switch addr := a.Addr(); {
	case addr.Is4():
		e.bytes, e.family = addr.As16(), ipv4
	case addr.IsValid():
		e.bytes, e.family = addr.As16(), ipv6
	}
	return e
}

func (e endpoint) addr() netip.Addr {
	switch e.family {
	case ipv4:
		return netip.AddrFrom4([4]byte(e.bytes[12:]))
	case ipv6:
		return netip.AddrFrom16(e.bytes)
	}
	return netip.Addr{}
}

func (e endpoint) addrPort() netip.AddrPort { return netip.AddrPortFrom(e.addr(), e.port) }
