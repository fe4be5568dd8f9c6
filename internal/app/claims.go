package app

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"

	"pen/internal/config"
	"pen/internal/sock"
)

// A claim is an address that a configuration binds.
type claim struct {
	who     string // wants it
	text    string // as it was written
	network string // "tcp", "udp" or "unix"
	host    string // or the path of a Unix socket
	port    int
}

// conflicts reports all addresses and files that two parts of a configuration
// want at once. It asks nobody: what other programs have is found by binding.
func conflicts(cfg config.Config) error {
	claims, errs := claimsOf(cfg)
	type place struct {
		network string
		port    int
	}
	taken := map[place][]claim{}
	for _, c := range claims {
		at := place{c.network, c.port}
		for _, other := range taken[at] {
			if c.overlaps(other) {
				errs = append(errs, fmt.Errorf("%s: %s: %s has %s already", c.who, c.text, other.who, other.text))
				break
			}
		}
		taken[at] = append(taken[at], c)
	}
	files := map[string]string{}
	for _, s := range cfg.Services {
		if s.TableFile == "" {
			continue
		}
		file := filepath.Clean(s.TableFile)
		if other, ok := files[file]; ok {
			errs = append(errs, fmt.Errorf("%s: table_file %s: %s has it already, want another file", called(s.Name), s.TableFile, other))
			continue
		}
		files[file] = called(s.Name)
	}
	return errors.Join(errs...)
}

// called is what a service is called in errors that are about several.
func called(service string) string {
	if service == config.DefaultService {
		return "default service"
	}
	return "service " + service
}

// claimsOf are the addresses that a configuration binds, and what is wrong with
// others.
func claimsOf(cfg config.Config) (claims []claim, errs []error) {
	add := func(who, network, text string) {
		kind, address, err := sock.Split(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", who, err))
			return
		}
		c := claim{who: who, text: text, network: network}
		if kind == "unix" {
			c.network, c.host = kind, filepath.Clean(address)
		} else {
			host, port, _ := net.SplitHostPort(address)
			c.host = host
			c.port, _ = strconv.Atoi(port) // as Split wrote it
		}
		claims = append(claims, c)
	}
	for _, s := range cfg.Services {
		network := "tcp"
		if s.UDP {
			network = "udp"
		}
		for _, addr := range s.Listeners() {
			add(called(s.Name), network, addr)
		}
	}
	if cfg.Control != "" && opensControl(cfg) {
		add("control", "tcp", sock.OnLoopback(cfg.Control))
	}
	if cfg.AgentListen != "" {
		add("agent_listen", "tcp", sock.OnLoopback(cfg.AgentListen))
	}
	return claims, errs
}

// opensControl reports whether the control socket is opened: as root, without
// another user, no port is. What is wrong with its address is for others to say.
func opensControl(cfg config.Config) bool {
	network, _, err := sock.Split(cfg.Control)
	return err != nil || network == "unix" || cfg.User != "" || os.Getuid() != 0
}

// overlaps reports whether the kernel refuses one address where the other is
// bound, both of the same network and port.
func (c claim) overlaps(other claim) bool {
	if c.network == "unix" {
		return c.host == other.host
	}
	if c.port == 0 { // any port that is free
		return false
	}
	if cmp.Or(c.host, "::") == cmp.Or(other.host, "::") {
		return true
	}
	a, aerr := netip.ParseAddr(cmp.Or(c.host, "::"))
	b, berr := netip.ParseAddr(cmp.Or(other.host, "::"))
	if aerr != nil || berr != nil { // a name may be any of this host's addresses, but is seldom all
		return false
	}
	a, b = a.Unmap(), b.Unmap()
	return a == b || covers(a, b) || covers(b, a)
}

// covers reports whether an address is that of all interfaces, and the other one
// of one of them. That of IPv6 is of IPv4 as well.
func covers(all, one netip.Addr) bool {
	return all.IsUnspecified() && (all.Is6() || one.Is4())
}
