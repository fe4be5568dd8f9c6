package build

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

// A Claim is an address that a configuration binds.
type Claim struct {
	Service string // wants it; "" is Pen itself
	Who     string // in words
	Text    string // as it was written
	Network string // "tcp", "udp" or "unix"
	Host    string // or the path of a Unix socket
	Port    int
}

// Conflicts reports all addresses and files that two parts of a configuration
// want at once. It asks nobody: what other programs have is found by binding.
func Conflicts(cfg config.Config) error {
	claims, errs := Claims(cfg)
	type place struct {
		network string
		port    int
	}
	taken := map[place][]Claim{}
	for _, c := range claims {
		at := place{c.Network, c.Port}
		for _, other := range taken[at] {
			if c.overlaps(other) {
				errs = append(errs, fmt.Errorf("%s: %s: %s has %s already", c.Who, c.Text, other.Who, other.Text))
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
			errs = append(errs, fmt.Errorf("%s: table_file %s: %s has it already, want another file", config.Describe(s.Name), s.TableFile, other))
			continue
		}
		files[file] = config.Describe(s.Name)
	}
	return errors.Join(errs...)
}

// Claims are the addresses that a configuration binds, and what is wrong with
// others.
func Claims(cfg config.Config) (claims []Claim, errs []error) {
	add := func(service, who, network, text string) {
		kind, address, err := sock.Split(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", who, err))
			return
		}
		c := Claim{Service: service, Who: who, Text: text, Network: network}
		if kind == "unix" {
			c.Network, c.Host = kind, filepath.Clean(address)
		} else {
			host, port, _ := net.SplitHostPort(address)
			c.Host = host
			c.Port, _ = strconv.Atoi(port) // as Split wrote it
		}
		claims = append(claims, c)
	}
	for _, s := range cfg.Services {
		network := "tcp"
		if s.UDP {
			network = "udp"
		}
		for _, addr := range s.Listeners() {
			add(s.Name, config.Describe(s.Name), network, addr)
		}
	}
	if cfg.Control != "" && opensControl(cfg) {
		add("", "control", "tcp", sock.OnLoopback(cfg.Control))
	}
	if cfg.AgentListen != "" {
		add("", "agent_listen", "tcp", sock.OnLoopback(cfg.AgentListen))
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
func (c Claim) overlaps(other Claim) bool {
	if c.Network == "unix" {
		return c.Host == other.Host
	}
	if c.Port == 0 { // any port that is free
		return false
	}
	if cmp.Or(c.Host, "::") == cmp.Or(other.Host, "::") {
		return true
	}
	a, aerr := netip.ParseAddr(cmp.Or(c.Host, "::"))
	b, berr := netip.ParseAddr(cmp.Or(other.Host, "::"))
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
