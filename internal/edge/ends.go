package edge

import (
	"net/netip"

	"pen/internal/dispatch"
	"pen/internal/tlsterm"
)

// Ends are what a plane does before and behind the relaying of bytes. They are data,
// and not changed once a plane has them. The zero Ends have connections relayed as
// they are.
type Ends struct {
	Proxies Proxies
	// Routes give connections to other services, by what their ClientHello asks for,
	// unless it is nil. Where no route matches the connection stays.
	Routes *Routes[Service]
	// TLS ends the client's TLS, unless it is nil.
	TLS *tlsterm.Server
	// HTTP tells servers about the client in each HTTP request, unless it is nil.
	HTTP *HTTP
	// Preambles says that connections to some servers begin with a Preamble.
	Preambles bool
	// Datagrams are the rules for flows of datagrams; nil: there are connections.
	Datagrams *Datagrams
}

// A Service is where a connection belongs: a policy, and the Ends that apply to its
// connections. Proxies and Routes are those of the service that listens.
type Service struct {
	Dispatcher *dispatch.Dispatcher
	Ends       *Ends
}

// Proxies are the clients that begin each connection, or each datagram, with a PROXY
// header, which names the real client. Nobody else may send one.
type Proxies struct {
	Networks []netip.Prefix
	Unix     bool // all clients of a Unix socket
	// First says that only the first datagram of a flow has a header, and that all
	// datagrams from one port of a proxy are one flow.
	First bool
}

// Include reports whether a client is one of them. The zero address is that of a
// client of a Unix socket.
func (p *Proxies) Include(client netip.Addr) bool {
	if !client.IsValid() {
		return p.Unix
	}
	return Contains(p.Networks, client)
}

// HTTP says how requests tell their servers about the client.
type HTTP struct {
	Forwarded bool           // in the field of RFC 7239 as well
	Trust     []netip.Prefix // clients that are proxies, whose own fields are kept
	MaxHead   int            // bytes of a request's head; 0 is [wire.DefaultHead]
}

// Datagrams are the operator's rules for flows of datagrams.
type Datagrams struct {
	// Unproven bounds the flows that have no answer yet, and likewise those whose
	// client has not come back after one; 0: no bound.
	Unproven int
	// Responses is how many answers each datagram gets: a flow that has all of them
	// ends. Negative: nobody knows.
	Responses int
	// Requests is after how many datagrams of a client a flow takes no more: the next
	// one begins another flow; 0: never.
	Requests int
	// PerDatagram has the datagrams of a client go to servers in turn, even where they
	// are answered; see [dispatch.Config].
	PerDatagram bool
}

// Extra names something that the Ends ask for beyond relaying the bytes of connections
// as they are, or is empty.
func (e *Ends) Extra() string {
	switch {
	case e.Datagrams != nil:
		return "datagrams"
	case e.TLS != nil:
		return "TLS with clients"
	case e.HTTP != nil:
		return "HTTP fields about the client"
	case e.Routes != nil:
		return "routes"
	case len(e.Proxies.Networks) > 0 || e.Proxies.Unix:
		return "PROXY headers of clients"
	case e.Preambles:
		return "PROXY headers and TLS for servers"
	}
	return ""
}
