// Package names resolves the names of servers and keeps their addresses up to date. It
// reads /etc/hosts, and queries the DNS servers of /etc/resolv.conf itself, since the
// system's resolver does not return TTLs.
//
// A name that has been resolved once keeps its last good answer for as long as DNS does
// not reply, reports that there is no such name, or replies with nothing useful. And an
// address in use stays in use while DNS lists it, so that a DNS server that shuffles its
// replies does not move connections.
package names

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"pen/internal/wire"
)

const maxPlaces = 4096

// A Query is a name to resolve.
type Query struct {
	// Name is the name of a host, such as web.example.org, or of a service (RFC 2782),
	// such as _http._tcp.example.org, whose first two labels start with an underscore.
	// A literal address is its own answer.
	Name string
	// Places is how many servers are wanted, 1 to 4096: servers of a service, or
	// addresses of a host, one in each place. 0 is for a host that is one server with
	// all its addresses.
	Places int
}

// An Answer is a server that a name stands for.
type Answer struct {
	Addr netip.Addr // invalid: the place is free
	// Others are the other addresses of the same server, the best first.
	Others []netip.Addr
	// Of a service only (RFC 2782): the lowest priority is used first, weights are
	// relative within a priority.
	Port, Priority, Weight uint16
}

func (a Answer) equal(b Answer) bool {
	return a.Addr == b.Addr && a.Port == b.Port && a.Priority == b.Priority && a.Weight == b.Weight && slices.Equal(a.Others, b.Others)
}

// IsService reports whether the name is the name of a service.
func (q Query) IsService() bool {
	_, proto, ok := strings.Cut(q.Name, ".")
	return ok && strings.HasPrefix(q.Name, "_") && strings.HasPrefix(proto, "_")
}

// Check returns the error of a query that can have no answer.
func (q Query) Check() error {
	switch _, literal := q.literal(); {
	case !literal && !isName(q.Name):
		return fmt.Errorf("%q is no name of a host or service", shorten(q.Name))
	case q.IsService() && q.Places == 0, q.Places < 0, q.Places > maxPlaces:
		return fmt.Errorf("%s: %d places, want 1 to %d", q.Name, q.Places, maxPlaces)
	}
	return nil
}

// literal returns the address that is given instead of a name.
func (q Query) literal() (netip.Addr, bool) {
	addr, err := netip.ParseAddr(q.Name)
	return addr.Unmap(), err == nil
}

// isName reports whether a text is the name of a host or a service. DNS is in the hands
// of others: no other name is taken from a reply, queried, or logged.
func isName(s string) bool {
	_, ok := wire.HostName(s)
	return ok
}

func shorten(s string) string {
	if len(s) > 300 {
		return s[:300] + "..."
	}
	return s
}

// canonical is the form in which names are compared.
func canonical(name string) string { return dns.CanonicalName(name) }
