package build

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"pen/internal/config"
	"pen/internal/sock"
)

// An ownListener is a claim with one of the addresses that it means.
type ownListener struct {
	Claim
	addr netip.Addr // unspecified: all of its family
	both bool       // all of both families
}

// ownListeners are all of a configuration: those of connections and datagrams by port,
// and those of Unix sockets.
type ownListeners struct {
	tcp, udp map[uint16][]ownListener
	unix     []Claim
	local    func() sock.Addrs
}

// ownListenersOf returns the addresses that Pen listens on with a configuration; bound
// is where it does already, or nil. It may look up names, until ctx is done.
func ownListenersOf(ctx context.Context, cfg config.Config, bound func(service, addr string) net.Addr) ownListeners {
	out := ownListeners{tcp: map[uint16][]ownListener{}, udp: map[uint16][]ownListener{}, local: sync.OnceValue(sock.LocalAddrs)}
	claims, _ := Claims(cfg) // to listen will say what is wrong with others
	for _, c := range claims {
		if c.Network == "unix" {
			out.unix = append(out.unix, c)
			continue
		}
		if at := sock.AddrPort(bound(c.Service, c.Text)); at.IsValid() {
			c.Host, c.Port = at.Addr().String(), int(at.Port())
		}
		out.add(ctx, c)
	}
	return out
}

func (o *ownListeners) add(ctx context.Context, c Claim) {
	if c.Port == 0 {
		return
	}
	addrs := []netip.Addr{netip.IPv6Unspecified()}
	if c.Host != "" {
		limited, cancel := context.WithTimeout(ctx, resolveTime)
		defer cancel()
		addrs, _ = net.DefaultResolver.LookupNetIP(limited, "ip", c.Host) // to listen will say why
	}
	by, port := o.by(c.Network == "udp"), uint16(c.Port)
	for _, addr := range addrs {
		l := ownListener{c, addr.Unmap().WithZone(""), addr.Is6() && addr.IsUnspecified()}
		by[port] = append(by[port], l)
	}
}

func (o *ownListeners) by(udp bool) map[uint16][]ownListener {
	if udp {
		return o.udp
	}
	return o.tcp
}

// behind returns the listeners that a connection or datagram to an address comes to.
func (o *ownListeners) behind(udp bool, to netip.AddrPort) (out []Claim) {
	addr := to.Addr().Unmap().WithZone("")
	for _, l := range o.by(udp)[to.Port()] {
		same := l.addr == addr || addr.IsUnspecified() && l.addr.IsLoopback()
		if same || l.addr.IsUnspecified() && (l.both || l.addr.Is4() == addr.Is4()) && o.local().Has(addr) {
			out = append(out, l.Claim)
		}
	}
	return out
}

// listensAt reports whether there is any listener at a port.
func (o *ownListeners) listensAt(port uint16) bool { return o.tcp[port] != nil || o.udp[port] != nil }

// behindPath is behind for the path of a Unix socket.
func (o *ownListeners) behindPath(path string) (out []Claim) {
	for _, c := range o.unix {
		if c.Host == filepath.Clean(path) || sameFile(c.Host, path) {
			out = append(out, c)
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
	var all []Claim
	at := path
	if path != "" {
		all = c.behindPath(path)
	} else if all = c.behind(s.UDP, addr); all != nil {
		at = addr.String()
	}
	for _, own := range all {
		switch {
		case own.Service == "":
			return fmt.Errorf("%s is Pen's own %s socket", at, own.Who)
		case own.Service == s.Name:
			return fmt.Errorf("%s is where Pen listens for the same service: it would connect to itself", at)
		case c.reaches(own.Service, s.Name, map[string]bool{}):
			return fmt.Errorf("%s is where %s listens, which leads back here: Pen would connect to itself", at, own.Who)
		}
	}
	for _, own := range all {
		c.leads[s.Name] = append(c.leads[s.Name], own.Service)
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
