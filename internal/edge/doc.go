// Package edge is what stands at the ends of a connection, between a socket and
// the bytes that are relayed: the PROXY header and TLS towards a server, and TLS
// towards a client. Planes and health checks open connections with it alike.
package edge

import (
	"net"
	"net/netip"
	"time"
)

// HandshakeTime is how long a client may take for its TLS handshake, and
// HeaderTime for a PROXY header or a ClientHello. The specification of the PROXY
// protocol asks for 3 seconds at least. HeadTime is how long it may take, from
// the first byte on, for the head of an HTTP request or a line within its body.
const (
	HandshakeTime = 10 * time.Second
	HeaderTime    = 5 * time.Second
	HeadTime      = 60 * time.Second
)

// Within replaces the deadline of a connection: what it does next must be over
// in this time; 0 is any time. A deadline is never taken away but here and in
// WriteWithin, where the last phase that has one is over.
func Within(c net.Conn, d time.Duration) {
	if d == 0 {
		c.SetDeadline(time.Time{})
		return
	}
	c.SetDeadline(time.Now().Add(d))
}

// WriteWithin replaces the deadline of what is written only, for a phase within
// the relaying of bytes, where others set the one of what is read.
func WriteWithin(c interface{ SetWriteDeadline(time.Time) error }, d time.Duration) {
	if d == 0 {
		c.SetWriteDeadline(time.Time{})
		return
	}
	c.SetWriteDeadline(time.Now().Add(d))
}

// Contains reports whether an address is in one of some networks.
func Contains(networks []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range networks {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
