// Package health asks servers whether they work, and tells who wants to know
// when the answer changes. What to ask, and what to conclude, is decided by
// package check.
//
// A failure counts against a server only if it is the server's: not when this
// process was stopped or starved while it waited, and not when this machine
// lacked what a check needs.
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
	Host string         // the server's name, where that has several addresses
	Spec check.Spec
	// Preamble is what the server expects on a connection before anything else.
	Preamble edge.Preamble
}

// at is where the check connects to.
func (k Key) at() netip.AddrPort {
	if k.Spec.Port != 0 {
		return netip.AddrPortFrom(k.Addr.Addr(), uint16(k.Spec.Port))
	}
	return k.Addr
}

// address is at, or the path, for people.
func (k Key) address() string {
	if k.Path != "" {
		return k.Path
	}
	return k.at().String()
}

// A Subscriber is a server of a service, under its names there.
type Subscriber struct {
	Service, Server string
}

// A Target is a check with those who share it.
type Target struct {
	Key
	// Others are more addresses of the same server, with Key's port: it works if
	// one of them does.
	Others      []netip.Addr
	Subscribers []Subscriber
}

// services are the names of the services, separated by commas; that of the
// service without a name is default.
func (t Target) services() string {
	return join(t.Subscribers, func(s Subscriber) string { return cmp.Or(s.Service, "default") })
}

// servers are the server's names in them, likewise.
func (t Target) servers() string {
	return join(t.Subscribers, func(s Subscriber) string { return s.Server })
}

// join writes names, each once.
func join(all []Subscriber, name func(Subscriber) string) string {
	var names []string
	for _, s := range all {
		if n := name(s); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return strings.Join(names, ",")
}
