package names

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// A place is one of those that the answers to a query have: a server, or free.
type place struct {
	target string // the server's name, of a service only
	Answer
}

// A server is who a place of a service is kept for. Its address may change.
type server struct {
	target string
	port   uint16
}

func (p place) server() server { return server{p.target, p.Port} }

func (p place) free() bool { return !p.Addr.IsValid() }

func answers(places []place) []Answer {
	list := make([]Answer, len(places))
	for i, p := range places {
		list[i] = p.Answer
	}
	return list
}

// service finds the servers of a service and their addresses, one after the
// other. Those that have a place keep it; the others take free ones.
func (r *resolver) service(ctx context.Context, q Query, held []place) outcome {
	all, ttl, err := r.serviceByDNS(ctx, q.Name)
	if err != nil {
		return outcome{err: err}
	}
	places := make([]place, q.Places)
	out := outcome{ttl: ttl}
	hosts := map[string]hostAnswer{} // of this look-up
	find := func(p place, old netip.Addr) place {
		found, ok := hosts[p.target]
		if !ok {
			var err error
			if found, err = r.host(ctx, p.target); err != nil {
				found = hostAnswer{ttl: math.MaxInt64, missing: err}
			}
			hosts[p.target] = found
			out.ttl = min(out.ttl, found.ttl)
		}
		if found.missing != nil {
			out.err = fmt.Errorf("server %s: %w", p.target, found.missing)
		}
		p.Addr = old
		if len(found.addrs) > 0 {
			p.Addr = r.choose(found, old)
		}
		return p
	}
	all = slices.DeleteFunc(all, func(p place) bool {
		i := slices.IndexFunc(held, func(h place) bool { return !h.free() && h.server() == p.server() })
		if i >= 0 {
			places[i] = find(p, held[i].Addr)
		}
		return i >= 0
	})
	for i := range places {
		for places[i].free() && len(all) > 0 {
			places[i] = find(all[0], netip.Addr{})
			all = all[1:]
		}
		if places[i].free() {
			places[i] = place{}
		}
	}
	if !slices.ContainsFunc(places, func(p place) bool { return !p.free() }) {
		return outcome{err: out.err}
	}
	out.places, out.surplus = places, len(all)
	return out
}

// serviceByDNS returns the servers of a service, at least one.
func (r *resolver) serviceByDNS(ctx context.Context, name string) ([]place, time.Duration, error) {
	conf := r.conf.get()
	err := errNoName
	for _, candidate := range conf.candidates(name) {
		list, ttl, rerr := r.records(ctx, &conf, candidate, dns.TypeSRV)
		if unknown(rerr) {
			return nil, 0, rerr
		}
		if all := targets(list); len(all) > 0 {
			return all, ttl, nil
		}
		if !errors.Is(rerr, errNoName) {
			err = errEmpty
		}
	}
	return nil, 0, err
}

// choose returns the address to use: the one in use while it is among those
// found, or its family is missing; else the first of the best kind.
func (r *resolver) choose(found hostAnswer, old netip.Addr) netip.Addr {
	lost := found.missing != nil && old.IsValid() && old.Is4() == found.missing4
	if lost || slices.Contains(found.addrs, old) {
		return old
	}
	best, lowest := netip.Addr{}, math.MaxInt
	for _, addr := range found.addrs {
		if n := r.rank(addr); n < lowest {
			best, lowest = addr, n
		}
	}
	return best
}

// rank is lower for addresses that are better: those that this machine has a
// route to, and of these IPv6 before IPv4 before IPv6 of the site. That is what
// Go's resolver does by and large (RFC 6724, section 2.1).
func (r *resolver) rank(addr netip.Addr) int {
	n := 0
	switch {
	case addr.Is4():
		n = 1
	case addr.IsPrivate():
		n = 2
	}
	if !r.usable(addr) {
		n += 3
	}
	return n
}

// hasRoute reports whether this machine has a route to an address, and one of
// its own of the same kind to come from. It sends nothing.
func hasRoute(addr netip.Addr) bool {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 9)))
	if err != nil {
		return false
	}
	defer c.Close()
	source := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	return addr.Is4() || source.IsPrivate() == addr.IsPrivate() && source.IsLinkLocalUnicast() == addr.IsLinkLocalUnicast()
}
