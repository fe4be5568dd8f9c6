package names

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	maxAliases = 16  // one after the other (CNAME)
	maxAddrs   = 256 // of a host
	// hostsTTL is the TTL of what /etc/hosts says.
	hostsTTL = 5 * time.Second
)

// What DNS may reply instead of an answer.
var (
	errNoName = errors.New("no such name")
	errEmpty  = errors.New("no answer that is of use")
)

// errNoReply is the error of a query without a reply so far.
var errNoReply = errors.New("no reply yet")

// A resolver resolves queries. It may be used from any goroutine.
type resolver struct {
	exchange Exchange
	usable   func(netip.Addr) bool
	servers  []string // instead of those of resolv.conf
	hosts    *file[hosts]
	conf     *file[resolvConf]
}

// An outcome is the result of a look-up. places is nil if nothing was found. err is what was
// missing; it may be set although places is not nil.
type outcome struct {
	places  []place
	ttl     time.Duration
	surplus int // servers of a service for which there is no place
	err     error
}

// resolve looks a query up. held is the answer in use, or nil. It blocks at most until ctx
// is done.
func (r *resolver) resolve(ctx context.Context, q Query, held []place) outcome {
	if q.IsService() {
		return r.service(ctx, q, held)
	}
	found, err := r.host(ctx, q.Name, candidate(held))
	if err != nil {
		return outcome{err: err}
	}
	if q.Places > 0 {
		return r.spread(found, q, held)
	}
	p := place{from: found.from}
	if held != nil {
		p.Answer = held[0].Answer
	}
	p.Addr, p.Others = r.chooseAll(found, p.Answer)
	return outcome{places: []place{p}, ttl: found.ttl, err: found.missing}
}

// A hostAnswer is what was found of a host: at least one address.
type hostAnswer struct {
	addrs []netip.Addr
	ttl   time.Duration
	from  string // the candidate name that has them
	// missing is why one family could not be resolved, IPv4 if missing4 is set; nil if
	// both could.
	missing  error
	missing4 bool
}

// host returns the addresses of a host. before is the candidate name that had them the last
// time.
func (r *resolver) host(ctx context.Context, name, before string) (found hostAnswer, err error) {
	if addrs := r.hosts.get()[canonical(name)]; len(addrs) > 0 {
		return hostAnswer{addrs: addrs, ttl: hostsTTL}, nil
	}
	conf := r.conf.get()
	from, err := firstOf(ctx, conf.candidates(name), before, func(ctx context.Context, candidate string) (err error) {
		found, err = r.hostByDNS(ctx, &conf, candidate)
		return err
	})
	found.from = from
	return found, err
}

// firstOf returns the first candidate name for which ask has an answer. One that can't be
// resolved, as in a search domain whose servers fail, is passed over, as in glibc and Go;
// but not the one that had the answer before, since another candidate is another host.
// Each gets an equal share of the time.
func firstOf(ctx context.Context, candidates []string, before string, ask func(ctx context.Context, candidate string) error) (string, error) {
	err := errNoName
	for i, candidate := range candidates {
		limited, cancel := context.WithCancel(ctx)
		if end, ok := ctx.Deadline(); ok {
			cancel()
			limited, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(len(candidates)-i))
		}
		aerr := ask(limited, candidate)
		cancel()
		switch {
		case aerr == nil:
			return candidate, nil
		case unresolved(aerr) && candidate == before, ctx.Err() != nil:
			return "", aerr
		case !unresolved(err) && !errors.Is(aerr, errNoName):
			err = aerr
		}
	}
	return "", err
}

// hostByDNS queries both families at once.
func (r *resolver) hostByDNS(ctx context.Context, conf *resolvConf, name string) (hostAnswer, error) {
	kinds := [2]uint16{dns.TypeAAAA, dns.TypeA}
	var lists [2][]dns.RR
	var ttls [2]time.Duration
	var errs [2]error
	var both sync.WaitGroup
	for i, kind := range kinds {
		both.Go(func() { lists[i], ttls[i], errs[i] = r.records(ctx, conf, name, kind) })
	}
	both.Wait()
	found := hostAnswer{ttl: math.MaxInt64}
	for i := range kinds {
		addrs := addresses(lists[i])
		if len(addrs) > 0 {
			found.addrs = append(found.addrs, addrs...)
			found.ttl = min(found.ttl, ttls[i])
		}
		if unresolved(errs[i]) {
			found.missing = fmt.Errorf("%s: %w", dns.TypeToString[kinds[i]], errs[i])
			found.missing4 = kinds[i] == dns.TypeA
		}
	}
	switch {
	case len(found.addrs) > 0:
		return found, nil
	case found.missing != nil:
		return hostAnswer{}, found.missing
	}
	for _, err := range errs {
		if !errors.Is(err, errNoName) {
			return hostAnswer{}, cmp.Or(err, errEmpty)
		}
	}
	return hostAnswer{}, errNoName
}

// unresolved reports whether an error means that no server gave an answer either way.
func unresolved(err error) bool {
	return err != nil && !errors.Is(err, errNoName) && !errors.Is(err, errEmpty)
}

// records returns the records of a name, at least one, and their TTL.
func (r *resolver) records(ctx context.Context, conf *resolvConf, name string, kind uint16) ([]dns.RR, time.Duration, error) {
	m, err := r.ask(ctx, conf, name, kind)
	if err != nil {
		return nil, 0, err
	}
	return records(m, name, kind)
}

// records follows aliases within a reply, and ignores records of other names.
func records(m *dns.Msg, name string, kind uint16) ([]dns.RR, time.Duration, error) {
	ttl := time.Duration(math.MaxInt64)
	for range maxAliases {
		var list []dns.RR
		var alias *dns.CNAME
		for _, rr := range m.Answer {
			h := rr.Header()
			if h.Class != dns.ClassINET || !strings.EqualFold(h.Name, name) {
				continue
			}
			if h.Rrtype == kind {
				list = append(list, rr)
				ttl = min(ttl, ttlOf(rr))
			} else if c, ok := rr.(*dns.CNAME); ok && alias == nil {
				alias = c
			}
		}
		if len(list) > 0 {
			return list, ttl, nil
		}
		if alias == nil {
			return nil, 0, errEmpty
		}
		ttl = min(ttl, ttlOf(alias))
		name = alias.Target
	}
	return nil, 0, fmt.Errorf("%w: more than %d aliases, or a circle of them", errEmpty, maxAliases)
}

// ttlOf is the TTL of a record; a number with its first bit set counts as zero (RFC 2181,
// section 8).
func ttlOf(rr dns.RR) time.Duration {
	s := rr.Header().Ttl
	if s > math.MaxInt32 {
		s = 0
	}
	return time.Duration(s) * time.Second
}

// addresses returns the addresses that a connection can be made to, each once. The
// unspecified address would lead to this machine.
func addresses(list []dns.RR) []netip.Addr {
	var addrs []netip.Addr
	for _, rr := range list {
		var addr netip.Addr
		switch rr := rr.(type) {
		case *dns.A:
			addr, _ = netip.AddrFromSlice(rr.A)
		case *dns.AAAA:
			addr, _ = netip.AddrFromSlice(rr.AAAA)
		}
		addr = addr.Unmap()
		if addr.IsValid() && !addr.IsUnspecified() && !addr.IsMulticast() && len(addrs) < maxAddrs && !slices.Contains(addrs, addr) {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// targets returns the servers of a service, the preferred ones first, in an order that does
// not depend on the order of the reply.
func targets(list []dns.RR) []place {
	var all []place
	for _, rr := range list {
		srv, ok := rr.(*dns.SRV)
		if !ok || !isName(srv.Target) || srv.Port == 0 {
			continue // a dot as the target means that there is no such service
		}
		all = append(all, place{
			target: canonical(srv.Target),
			Answer: Answer{Port: srv.Port, Priority: srv.Priority, Weight: srv.Weight},
		})
	}
	slices.SortFunc(all, func(a, b place) int {
		return cmp.Or(
			cmp.Compare(a.Priority, b.Priority), cmp.Compare(b.Weight, a.Weight),
			cmp.Compare(a.target, b.target), cmp.Compare(a.Port, b.Port),
		)
	})
	seen := map[server]bool{}
	return slices.DeleteFunc(all, func(p place) bool {
		twice := seen[p.server()]
		seen[p.server()] = true
		return twice
	})
}
