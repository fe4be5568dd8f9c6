package build

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"pen/internal/config"
	"pen/internal/names"
	"pen/internal/pool"
)

const (
	// resolveTime is how long a change waits for names that are not known yet, all
	// together. They are asked for further then, and nobody waits.
	resolveTime = 3 * time.Second
	// lookupsAtOnce bounds how many are asked for at a time.
	lookupsAtOnce = 32
)

// A serverName is where the address of a server comes from: the answer in one
// place of a query.
type serverName struct {
	query names.Query
	place int
}

// serverNames are the names of a service's servers, by slot. Those that are
// given by address or path have none.
type serverNames map[int]serverName

// namesOf returns the names of a service's servers. Slots that name one service
// of DNS share its servers, and slots that name one host and port share the
// host's addresses: each gets one.
func namesOf(s config.Service) serverNames {
	type group struct {
		host string
		port int
		name string
	}
	var out serverNames
	add := func(slot int, host string) {
		if out == nil {
			out = serverNames{}
		}
		out[slot] = serverName{query: names.Query{Name: host}}
	}
	slots := map[group][]int{}
	for slot, server := range s.Servers {
		if !isNamed(server) {
			continue
		}
		add(slot, server.Host)
		g := group{server.Host, server.Port, server.Service}
		if isListed(server.Host) {
			g = group{host: server.Host}
		}
		slots[g] = append(slots[g], slot)
	}
	for g, at := range slots {
		if len(at) == 1 && !isListed(g.host) {
			continue
		}
		for i, slot := range at {
			out[slot] = serverName{names.Query{Name: g.host, Places: len(at)}, i}
		}
	}
	for i, server := range s.Emergency {
		if isNamed(server) {
			add(pool.EmergencySlotOf(i), server.Host)
		}
	}
	if isNamed(s.Abuse) {
		add(pool.AbuseSlot, s.Abuse.Host)
	}
	return out
}

// isNamed reports whether a server is given by name.
func isNamed(s config.Server) bool {
	if !s.Used() || s.IsPath() {
		return false
	}
	if c := s.Host[0]; c >= '0' && c <= '9' || strings.Contains(s.Host, ":") {
		_, err := netip.ParseAddr(s.Host)
		return err != nil
	}
	return true
}

// An answer is what is known of a query, or why nothing is.
type answer struct {
	list []names.Answer
	err  error
}

// lookUp returns the answers to queries. It waits for those that were not asked
// before, for resolveTime at most. The error is a name that nobody could have.
func (b *Builder) lookUp(ctx context.Context, queries []names.Query) (map[names.Query]answer, error) {
	out := map[names.Query]answer{}
	var unknown []names.Query
	for _, q := range queries {
		if _, there := out[q]; there {
			continue
		}
		if err := q.Check(); err != nil {
			return nil, fmt.Errorf("unknown or invalid address [%s]: %w", q.Name, err)
		}
		list, wanted, err := b.opt.Names.Known(q)
		out[q] = answer{list, err}
		if !wanted {
			unknown = append(unknown, q)
		}
	}
	limited, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	answers := make([]answer, len(unknown))
	free := make(chan struct{}, lookupsAtOnce)
	var all sync.WaitGroup
	for i, q := range unknown {
		free <- struct{}{}
		all.Go(func() {
			answers[i].list, answers[i].err = b.opt.Names.Lookup(limited, q)
			<-free
		})
	}
	all.Wait()
	for i, q := range unknown {
		out[q] = answers[i]
	}
	return out, ctx.Err()
}

// isListed reports whether a host is the name of a service in DNS.
func isListed(host string) bool {
	return strings.HasPrefix(host, "_") && names.Query{Name: host, Places: 1}.IsService()
}

// certificateName is what the certificate of a server must be for, unless the
// operator says otherwise: what is written, and never what DNS answers. Of a
// service that DNS lists it is the domain (RFC 6125, section 6.4).
func certificateName(s config.Server) string {
	host := s.Host
	if isListed(host) {
		for range 2 {
			_, host, _ = strings.Cut(host, ".")
		}
	}
	return host
}

// listed is a server with what DNS says of it. Where the operator gives no port,
// weight or prio, those of DNS count.
func listed(s config.Server, a names.Answer) config.Server {
	if s.Port == 0 && s.Service == "" {
		s.Port = int(a.Port)
	}
	if !s.WeightSet && a.Weight > 0 {
		s.Weight, s.WeightSet = int(a.Weight), true
	}
	s.Prio = cmp.Or(s.Prio, int(a.Priority))
	return s
}
