package build

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"pen/internal/config"
	"pen/internal/names"
	"pen/internal/pool"
	"pen/internal/sock"
)

// servers are what was found of a service's servers, by slot.
type servers struct {
	names   serverNames
	found   map[int]names.Answer // of those that are given by name and known
	missing map[int]string       // why there is no address of the others
	port    int                  // of those without one of their own
}

func (s servers) equal(t servers) bool {
	same := func(a, b names.Answer) bool {
		return a.Addr == b.Addr && a.Port == b.Port && a.Priority == b.Priority && a.Weight == b.Weight && slices.Equal(a.Others, b.Others)
	}
	return s.port == t.port && maps.Equal(s.names, t.names) && maps.EqualFunc(s.found, t.found, same) && maps.Equal(s.missing, t.missing)
}

// find takes the answers to the service's names. A name that is not known keeps
// nothing from starting; the error is a server that can't be one.
func (s *servers) find(c config.Service, answers map[names.Query]answer) error {
	var err error
	if s.port, err = defaultPort(c); err != nil {
		return err
	}
	s.found, s.missing = map[int]names.Answer{}, map[int]string{}
	for slot, n := range s.names {
		switch a := answers[n.query]; {
		case a.err != nil:
			s.missing[slot] = "name unknown: " + a.err.Error()
		case a.list[n.place].Addr.IsValid():
			s.found[slot] = a.list[n.place]
		}
	}
	eachSlot(&c, func(slot int, server *config.Server) {
		if _, perr := s.portOf(slot, server); perr != nil && err == nil {
			err = fmt.Errorf("%s: %w", whichServer(slot), perr)
		}
	})
	return err
}

// portOf is the port of a server that is reached by address.
func (s *servers) portOf(slot int, server *config.Server) (port int, err error) {
	switch {
	case !server.Used() || server.IsPath():
		return 0, nil
	case server.Service != "":
		return sock.LookupPort(server.Service)
	case server.Port != 0:
		return server.Port, nil
	case isListed(server.Host):
		return int(s.found[slot].Port), nil
	case s.port == 0:
		return 0, fmt.Errorf("%s has no port, and the listener has none to give", server.Host)
	}
	return s.port, nil
}

// addrs are the addresses of a server, none where none is known.
func (s *servers) addrs(slot int, server *config.Server) []netip.AddrPort {
	if !server.Used() || server.IsPath() {
		return nil
	}
	n, err := s.portOf(slot, server)
	if err != nil || n == 0 {
		return nil // find has said so
	}
	if _, named := s.names[slot]; !named {
		addr, err := netip.ParseAddr(server.Host)
		if err != nil {
			return nil // is a name, see isNamed
		}
		return []netip.AddrPort{netip.AddrPortFrom(addr.Unmap(), uint16(n))}
	}
	a, ok := s.found[slot]
	if !ok {
		return nil
	}
	out := []netip.AddrPort{netip.AddrPortFrom(a.Addr, uint16(n))}
	for _, other := range a.Others {
		out = append(out, netip.AddrPortFrom(other, uint16(n)))
	}
	return out
}

// Warnings says which servers would be down because their names are not known.
func (b *Built) Warnings(cfg config.Config) (out []string) {
	for _, s := range cfg.Services {
		in := b.made[s.Name].inputs.servers
		eachSlot(&s, func(slot int, server *config.Server) {
			if _, named := in.names[slot]; named && in.missing[slot] != "" {
				out = append(out, config.InService(s.Name, fmt.Errorf("%s: %s is down: %s", whichServer(slot), server.Host, in.missing[slot])).Error())
			}
		})
	}
	return out
}

// whichServer is what a server is called in messages.
func whichServer(slot int) string {
	switch {
	case pool.IsEmergency(slot):
		return "emergency server"
	case slot == pool.AbuseSlot:
		return "abuse server"
	}
	return fmt.Sprintf("server %d", slot)
}

// eachSlot calls f with all servers of a service.
func eachSlot(s *config.Service, f func(slot int, server *config.Server)) {
	for slot := range s.Servers {
		f(slot, &s.Servers[slot])
	}
	for i := range s.Emergency {
		f(pool.EmergencySlotOf(i), &s.Emergency[i])
	}
	f(pool.AbuseSlot, &s.Abuse)
}

// admins are the words of a server's state.
var admins = map[config.State]pool.Admin{config.Enabled: pool.Enabled, config.Draining: pool.Draining, config.Disabled: pool.Disabled}

// at makes the pool's view of a server. One that is not used stays so, and one
// that has no address is not used until it has one.
func (s *servers) at(slot int, server config.Server, preamble pool.Preamble) pool.Config {
	if !server.Used() {
		return pool.Config{}
	}
	why, missing := s.missing[slot]
	a, known := s.found[slot]
	if _, named := s.names[slot]; named && !known && !missing {
		return pool.Config{Identity: server.Identity()} // DNS has no more of them
	}
	if isListed(server.Host) {
		server = listed(server, a)
	}
	c := pool.Config{
		Max: server.Max, Hard: server.Hard, Weight: server.EffectiveWeight(), Prio: server.Prio, ACL: server.ACL,
		Name: server.Name, Identity: server.Identity(), Admin: admins[server.State], Preamble: preamble,
	}
	switch addrs := s.addrs(slot, &server); {
	case missing:
		c.Host, c.Missing = server.Host, why
	case server.IsPath():
		c.Path = server.Host
	case len(addrs) > 0:
		c.Addr = addrs[0]
		if len(addrs) > 1 {
			c.Others, c.Host = addrs[1:], server.Host
		}
	}
	return c
}

// refuse takes away the addresses of servers that are Pen itself. The error is
// one that is given by address: what DNS says may change, and is asked for again.
// Names come last, so that it is theirs that is refused in a circle of several
// services.
func (c *circles) refuse(all []config.Service, found []servers) (err error) {
	for _, named := range []bool{false, true} {
		for i := range all {
			s := &all[i]
			eachSlot(s, func(slot int, server *config.Server) {
				if rerr := found[i].refuse(c, s, slot, server, named); rerr != nil && err == nil {
					err = config.InService(s.Name, fmt.Errorf("%s: %w", whichServer(slot), rerr))
				}
			})
		}
	}
	return err
}

// refuse takes away the addresses of one server, if it is one of the kind. It
// returns why it did of one that has no name.
func (s *servers) refuse(c *circles, of *config.Service, slot int, server *config.Server, named bool) error {
	if _, is := s.names[slot]; is != named || !server.Used() {
		return nil
	}
	if server.IsPath() {
		err := c.add(of, netip.AddrPort{}, server.Host)
		if err != nil {
			s.missing[slot] = err.Error()
		}
		return err
	}
	if n, err := s.portOf(slot, server); err != nil || !c.listensAt(uint16(n)) {
		return nil
	}
	var err error
	var keep []netip.Addr
	addrs := s.addrs(slot, server)
	for _, addr := range addrs {
		if aerr := c.add(of, addr, ""); aerr != nil {
			err = aerr
			continue
		}
		keep = append(keep, addr.Addr())
	}
	switch {
	case err == nil:
		return nil
	case len(keep) == 0:
		s.missing[slot] = err.Error()
		delete(s.found, slot)
	default:
		a := s.found[slot]
		a.Addr, a.Others = keep[0], keep[1:]
		s.found[slot] = a
	}
	if named {
		return nil
	}
	return err
}
