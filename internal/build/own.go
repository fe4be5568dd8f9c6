package build

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"pen/internal/config"
	"pen/internal/sock"
)

// Addrs are addresses of this machine.
type Addrs map[netip.Addr]bool

// Equal reports whether two sets are the same.
func (s Addrs) Equal(t Addrs) bool { return maps.Equal(s, t) }

// has reports whether a connection to an address comes to this machine.
func (s Addrs) has(addr netip.Addr) bool {
	return addr.IsLoopback() || addr.IsUnspecified() || s[addr]
}

// LocalAddrs returns the addresses of this machine's interfaces.
func LocalAddrs() Addrs {
	out := Addrs{}
	all, _ := net.InterfaceAddrs() // without them loopback is left
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(n.IP); ok {
				out[addr.Unmap()] = true
			}
		}
	}
	return out
}

// An ownListener is an address that Pen listens on.
type ownListener struct {
	of   string         // "control", "agent_listen" or "service NAME"
	name string         // of the service
	isOf bool           // a service's
	addr netip.AddrPort // unspecified: all of its family
	both bool           // all of both families
	path string
}

// ownListeners are all of a configuration, by protocol and port, and those of Unix
// sockets.
type ownListeners struct {
	tcp, udp map[uint16][]ownListener
	unix     []ownListener
	local    func() Addrs
}

// ownListenersOf returns the addresses that Pen listens on with a configuration. It
// may look up names, until ctx is done.
func ownListenersOf(ctx context.Context, cfg config.Config, bound func(service, addr string) net.Addr) ownListeners {
	var local Addrs
	out := ownListeners{tcp: map[uint16][]ownListener{}, udp: map[uint16][]ownListener{}, local: func() Addrs {
		if local == nil {
			local = LocalAddrs()
		}
		return local
	}}
	for _, s := range cfg.Services {
		for _, text := range s.Listeners() {
			at := bound(s.Name, text)
			d := ownListener{of: "the first service", name: s.Name, isOf: true}
			if s.Name != config.DefaultService {
				d.of = "service " + s.Name
			}
			out.add(ctx, d, s.UDP, text, at)
		}
	}
	out.add(ctx, ownListener{of: "control"}, false, cfg.Control, nil)
	out.add(ctx, ownListener{of: "agent_listen"}, false, cfg.AgentListen, nil)
	return out
}

// add adds a listener by its address as it is written, or as it is bound.
func (o *ownListeners) add(ctx context.Context, d ownListener, udp bool, text string, at net.Addr) {
	if text == "" {
		return
	}
	network, address, err := sock.Split(text)
	if err != nil {
		return // to listen will say so
	}
	if network == "unix" {
		d.path = address
		o.unix = append(o.unix, d)
		return
	}
	if at != nil {
		address = at.String()
	}
	host, port, _ := net.SplitHostPort(address)
	n, err := sock.LookupPort(port)
	if err != nil || n == 0 {
		return
	}
	by := o.tcp
	if udp {
		by = o.udp
	}
	addrs := []netip.Addr{netip.IPv6Unspecified()}
	if host != "" {
		limited, cancel := context.WithTimeout(ctx, resolveTime)
		defer cancel()
		addrs, _ = net.DefaultResolver.LookupNetIP(limited, "ip", host) // to listen will say why
	}
	for _, addr := range addrs {
		d.addr = netip.AddrPortFrom(addr.Unmap().WithZone(""), uint16(n))
		d.both = addr.Is6() && addr.IsUnspecified()
		by[uint16(n)] = append(by[uint16(n)], d)
	}
}

// behind returns the listeners that a connection or datagram to an address comes to.
func (o *ownListeners) behind(udp bool, to netip.AddrPort) (out []ownListener) {
	by := o.tcp
	if udp {
		by = o.udp
	}
	addr := to.Addr().Unmap().WithZone("")
	for _, d := range by[to.Port()] {
		at := d.addr.Addr()
		switch {
		case at == addr, addr.IsUnspecified() && at.IsLoopback():
		case at.IsUnspecified() && (d.both || at.Is4() == addr.Is4()) && o.local().has(addr):
		default:
			continue
		}
		out = append(out, d)
	}
	return out
}

// listensAt reports whether there is any listener at a port.
func (o *ownListeners) listensAt(port uint16) bool { return o.tcp[port] != nil || o.udp[port] != nil }

// behindPath is behind for the path of a Unix socket.
func (o *ownListeners) behindPath(path string) (out []ownListener) {
	for _, d := range o.unix {
		if filepath.Clean(d.path) == filepath.Clean(path) || sameFile(d.path, path) {
			out = append(out, d)
		}
	}
	return out
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// circles finds servers that are Pen itself, by which a connection would come
// back to the service that makes it, again and again. A service whose server is
// another one of Pen's is none.
type circles struct {
	ownListeners
	leads map[string][]string // from a service to others
}

func circlesOf(o ownListeners, cfg config.Config) *circles {
	c := &circles{o, map[string][]string{}}
	for _, s := range cfg.Services {
		for _, r := range s.Routes {
			c.leads[s.Name] = append(c.leads[s.Name], r.Service)
		}
	}
	return c
}

// add takes the address of a service's server, and returns why it must not be
// one. An address that is refused is not taken.
func (c *circles) add(s *config.Service, addr netip.AddrPort, path string) error {
	var all []ownListener
	at := path
	if path != "" {
		all = c.behindPath(path)
	} else if all = c.behind(s.UDP, addr); all != nil {
		at = addr.String()
	}
	for _, d := range all {
		switch {
		case !d.isOf:
			return fmt.Errorf("%s is Pen's own %s socket", at, d.of)
		case d.name == s.Name:
			return fmt.Errorf("%s is where Pen listens for the same service: it would connect to itself", at)
		case c.reaches(d.name, s.Name, map[string]bool{}):
			return fmt.Errorf("%s is where %s listens, which leads back here: Pen would connect to itself", at, d.of)
		}
	}
	for _, d := range all {
		c.leads[s.Name] = append(c.leads[s.Name], d.name)
	}
	return nil
}

// reaches reports whether connections to a service may come to another one.
func (c *circles) reaches(from, to string, seen map[string]bool) bool {
	if from == to {
		return true
	}
	if seen[from] {
		return false
	}
	seen[from] = true
	return slices.ContainsFunc(c.leads[from], func(next string) bool { return c.reaches(next, to, seen) })
}
