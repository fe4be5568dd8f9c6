package datagram

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"pen/internal/sock"
)

// listeners are the UDP addresses that this process listens on. A datagram that
// comes from one of them was forged, or is our own: with a server that echoes,
// it would go round for ever.
var listeners own

// addressesFor is how long the addresses of this machine are taken to be the same.
const addressesFor = time.Second

// An own is addresses of ours. It is safe for concurrent use.
type own struct {
	mu     sync.Mutex // guards all below
	at     map[netip.AddrPort]int
	local  sock.Addrs // of this machine
	readAt time.Time
}

// count adds n to how many listeners there are at an address.
func (o *own) count(a net.Addr, n int) {
	at := sock.AddrPort(a)
	if !at.IsValid() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.at == nil {
		o.at = map[netip.AddrPort]int{}
	}
	at = bare(at)
	if o.at[at] += n; o.at[at] == 0 {
		delete(o.at, at)
	}
}

func bare(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// has reports whether an address is one that we listen on.
func (o *own) has(from netip.AddrPort) bool {
	if !from.IsValid() {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	from = bare(from)
	if o.at[from] > 0 {
		return true
	}
	if o.at[netip.AddrPortFrom(netip.IPv4Unspecified(), from.Port())]+o.at[netip.AddrPortFrom(netip.IPv6Unspecified(), from.Port())] == 0 {
		return false
	}
	if now := time.Now(); now.Sub(o.readAt) > addressesFor {
		o.local, o.readAt = sock.LocalAddrs(), now
	}
	return o.local.Has(from.Addr())
}
