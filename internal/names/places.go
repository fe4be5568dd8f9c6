package names

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// A place holds one answer to a query: a server, or nothing.
type place struct {
	target string // the server's name, of a service only
	from   string // the candidate name that had the answer
	Answer
}

// candidate is the name that had the answer before, or "" if there was none.
func candidate(held []place) string {
	for _, p := range held {
		if p.from != "" {
			return p.from
		}
	}
	return ""
}

// A server identifies a server of a service, which keeps its place even if its address
// changes.
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

// service resolves the servers of a service and then their addresses, one after the other.
// Servers that have a place keep it; the others get free places.
func (r *resolver) service(ctx context.Context, q Query, held []place) outcome {
	all, ttl, err := r.serviceByDNS(ctx, q.Name, candidate(held))
	if err != nil {
		return outcome{err: err}
	}
	places := make([]place, q.Places)
	out := outcome{ttl: ttl}
	hosts := map[string]hostAnswer{} // of this look-up
	find := func(p place, old Answer) place {
		found, ok := hosts[p.target]
		if !ok {
			var err error
			if found, err = r.host(ctx, p.target, ""); err != nil {
				found = hostAnswer{ttl: math.MaxInt64, missing: err}
			}
			hosts[p.target] = found
			out.ttl = min(out.ttl, found.ttl)
		}
		if found.missing != nil {
			out.err = fmt.Errorf("server %s: %w", p.target, found.missing)
		}
		p.Addr, p.Others = old.Addr, old.Others
		if len(found.addrs) > 0 {
			p.Addr, p.Others = r.chooseAll(found, old)
		}
		return p
	}
	all = slices.DeleteFunc(all, func(p place) bool {
		i := slices.IndexFunc(held, func(h place) bool { return !h.free() && h.server() == p.server() })
		if i >= 0 {
			places[i] = find(p, held[i].Answer)
		}
		return i >= 0
	})
	for i := range places {
		for places[i].free() && len(all) > 0 {
			places[i] = find(all[0], Answer{})
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

// serviceByDNS returns the servers of a service, at least one, or an error.
func (r *resolver) serviceByDNS(ctx context.Context, name, before string) (all []place, ttl time.Duration, err error) {
	conf := r.conf.get()
	from, err := firstOf(ctx, conf.candidates(name), before, func(ctx context.Context, candidate string) error {
		list, holds, err := r.records(ctx, &conf, candidate, dns.TypeSRV)
		if err != nil {
			return err
		}
		if all, ttl = targets(list), holds; len(all) == 0 {
			return errEmpty
		}
		return nil
	})
	for i := range all {
		all[i].from = from
	}
	return all, ttl, err
}

// spread gives each place one address of a host. Addresses that have a place keep it while
// DNS lists them, or while their family could not be resolved.
func (r *resolver) spread(found hostAnswer, q Query, held []place) outcome {
	list := r.sorted(found.addrs)
	if reachable := slices.IndexFunc(list, func(a netip.Addr) bool { return !r.usable(a) }); reachable > 0 {
		list = list[:reachable]
	}
	out := outcome{places: make([]place, q.Places), ttl: found.ttl, err: found.missing}
	for i, h := range held {
		if at := slices.Index(list, h.Addr); at >= 0 {
			list = slices.Delete(list, at, at+1)
		} else if h.free() || found.missing == nil || h.Addr.Is4() != found.missing4 {
			continue
		}
		out.places[i] = place{from: found.from, Answer: Answer{Addr: h.Addr}}
	}
	for i := range out.places {
		if out.places[i].free() && len(list) > 0 {
			out.places[i] = place{from: found.from, Answer: Answer{Addr: list[0]}}
			list = list[1:]
		}
	}
	out.surplus = len(list)
	return out
}

// sorted returns addresses, the best first, in an order that does not depend on the order
// of the reply.
func (r *resolver) sorted(addrs []netip.Addr) []netip.Addr {
	type ranked struct {
		addr netip.Addr
		rank int
	}
	var all []ranked
	for _, a := range addrs {
		all = append(all, ranked{a, r.rank(a)})
	}
	slices.SortFunc(all, func(a, b ranked) int { return cmp.Or(a.rank-b.rank, a.addr.Compare(b.addr)) })
	out := make([]netip.Addr, len(all))
	for i, a := range all {
		out[i] = a.addr
	}
	return out
}

// chooseAll returns the address to use and the others, the best first. Old addresses of a
// family that could not be resolved stay.
func (r *resolver) chooseAll(found hostAnswer, old Answer) (netip.Addr, []netip.Addr) {
	first := r.choose(found, old.Addr)
	all := slices.Clone(found.addrs)
	for _, a := range old.Others {
		if found.missing != nil && a.Is4() == found.missing4 && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	others := slices.DeleteFunc(r.sorted(all), func(a netip.Addr) bool { return a == first })
	if len(others) == 0 {
		return first, nil
	}
	return first, others
}

// choose returns the address to use: the old one if DNS still lists it or could not
// resolve its family, or else the first of the best kind.
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

// rank is lower for better addresses: first those that this machine has a route to, and
// among them IPv6 before IPv4 before private IPv6. That is roughly what Go's resolver does
// (RFC 6724, section 2.1).
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

// hasRoute reports whether this machine has a route to an address, and a source address of
// the same kind. It sends nothing.
func hasRoute(addr netip.Addr) bool {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 9)))
	if err != nil {
		return false
	}
	defer c.Close()
	source := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	return addr.Is4() || source.IsPrivate() == addr.IsPrivate() && source.IsLinkLocalUnicast() == addr.IsLinkLocalUnicast()
}
