package datagram

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
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
	ports  map[uint16][]netip.Addr
	local  []net.Addr // of this machine
	readAt time.Time
}

func (o *own) add(a net.Addr) {
	u, ok := a.(*net.UDPAddr)
	if !ok {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ports == nil {
		o.ports = map[uint16][]netip.Addr{}
	}
	at := u.AddrPort()
	o.ports[at.Port()] = append(o.ports[at.Port()], at.Addr().Unmap())
}

func (o *own) remove(a net.Addr) {
	u, ok := a.(*net.UDPAddr)
	if !ok {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	at := u.AddrPort()
	all := o.ports[at.Port()]
	if i := slices.Index(all, at.Addr().Unmap()); i >= 0 {
		all = slices.Delete(all, i, i+1)
	}
	if o.ports[at.Port()] = all; len(all) == 0 {
		delete(o.ports, at.Port())
	}
}

// has reports whether an address is one that we listen on.
func (o *own) has(from netip.AddrPort) bool {
	if !from.IsValid() {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	addr := from.Addr().Unmap().WithZone("")
	return slices.ContainsFunc(o.ports[from.Port()], func(a netip.Addr) bool {
		return a.WithZone("") == addr || a.IsUnspecified() && o.isLocal(addr)
	})
}

// isLocal reports whether an address is this machine's.
func (o *own) isLocal(addr netip.Addr) bool {
	if addr.IsLoopback() {
		return true
	}
	if now := time.Now(); now.Sub(o.readAt) > addressesFor {
		o.local, _ = net.InterfaceAddrs()
		o.readAt = now
	}
	return slices.ContainsFunc(o.local, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		if !ok {
			return false
		}
		own, ok := netip.AddrFromSlice(n.IP)
		return ok && own.Unmap() == addr
	})
}
