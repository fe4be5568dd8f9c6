// Package health runs the health checks of servers and reports changes of their state.
// Package check decides what a check sends and what its result means.
//
// A failed check counts against a server only if the server is at fault: not when this
// process was stopped or starved while it waited, and not when this machine lacked
// something that the check needs.
package health

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"pen/internal/check"
	"pen/internal/edge"
)

// A Key is one check of one server. Services whose keys are equal share it.
type Key struct {
	Addr netip.AddrPort // where Path is empty
	Path string         // of a Unix socket
	Host string         // the server's name, if that has several addresses
	Spec check.Spec
	// Preamble is what the server expects first on a connection.
	Preamble edge.Preamble
}

// at is the address that the check connects to.
func (k Key) at() netip.AddrPort {
	if k.Spec.Port != 0 {
		return netip.AddrPortFrom(k.Addr.Addr(), uint16(k.Spec.Port))
	}
	return k.Addr
}

// address is at, or the path, for messages.
func (k Key) address() string {
	if k.Path != "" {
		return k.Path
	}
	return k.at().String()
}

// A Subscriber is a server of a service, by its names there.
type Subscriber struct {
	Service, Server string
}

// A Target is a check and the servers that share it.
type Target struct {
	Key
	// Others are more addresses of the same server, at Key's port: the server is up if
	// one of them answers.
	Others      []netip.Addr
	Subscribers []Subscriber
}

// services are the names of the services, separated by commas; the one without a name is
// called default.
func (t Target) services() string {
	return join(t.Subscribers, func(s Subscriber) string { return cmp.Or(s.Service, "default") })
}

// servers are the server's names in the services, separated by commas.
func (t Target) servers() string {
	return join(t.Subscribers, func(s Subscriber) string { return s.Server })
}

// join lists names, each once.
func join(all []Subscriber, name func(Subscriber) string) string {
	var names []string
	for _, s := range all {
		if n := name(s); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return strings.Join(names, ",")
}
