// Package build makes what runs of a configuration: the access lists, what
// terminates and starts TLS, the addresses of servers, and the policy of each
// service. What is made of the same as before is used again, so a change costs what
// the services cost that it concerns. Nothing here runs or listens.
package build

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"slices"

	"pen/internal/acl"
	"pen/internal/config"
	"pen/internal/dispatch"
	"pen/internal/geoip"
	"pen/internal/names"
	"pen/internal/sock"
)

// Options are what a Builder needs.
type Options struct {
	Log   *slog.Logger
	Names *names.Watcher
	// Files is how many descriptors the process may open.
	Files Descriptors
	// LogRequest gets the first bytes of each connection where requests are logged.
	LogRequest func(client netip.Addr, server string, chunk []byte)
}

// A Builder builds configurations. It must not be used by two goroutines at a time.
type Builder struct {
	opt  Options
	used Built
}

// New returns a Builder.
func New(opt Options) *Builder { return &Builder{opt: opt} }

// Built is a configuration as it is used.
type Built struct {
	// Policies are those of the services, in their order. They have no client table
	// and no budget yet.
	Policies []dispatch.Config
	// Fresh has the services whose policies are new.
	Fresh map[string]bool
	Lists *acl.Lists
	TLS   TLS
	// Queries are the names of servers.
	Queries []names.Query
	// Itself is the error of a server, given by address, that is Pen itself. Nothing
	// connects to it: what was built may be used all the same.
	Itself error

	access access
	made   map[string]made // by service
}

// Build builds a configuration with a GeoIP database, which is nil if there is
// none. bound returns where a listener of a service is bound already, or nil. Build
// blocks on files, and on look-ups of names that were not resolved before.
func (b *Builder) Build(ctx context.Context, cfg config.Config, countries *geoip.DB, bound func(service, addr string) net.Addr) (*Built, error) {
	out := &Built{Fresh: map[string]bool{}, made: map[string]made{}}
	var err error
	if out.access, err = b.used.access.make(cfg, countries); err != nil {
		return nil, err
	}
	out.Lists = out.access.lists
	if err := cfg.CheckEdges(); err != nil {
		return nil, err
	}
	if err := cfg.CheckControl(); err != nil {
		return nil, err
	}
	if out.TLS, err = b.used.TLS.prepare(b.opt.Log, cfg); err != nil {
		return nil, err
	}
	all := cfg.Services
	found := make([]servers, len(all))
	for i, s := range all {
		found[i].names = namesOf(s)
		for _, n := range found[i].names {
			out.Queries = append(out.Queries, n.query)
		}
	}
	answers, err := b.lookUp(ctx, out.Queries)
	if err != nil {
		return nil, err
	}
	for i, s := range all {
		if err := found[i].find(s, answers); err != nil {
			return nil, config.InService(s.Name, err)
		}
	}
	out.Itself = circlesOf(ownListenersOf(ctx, cfg, bound), cfg).refuse(all, found)
	shared := IsShared(cfg)
	for i, s := range all {
		in := inputs{service: s, servers: found[i], shared: shared && s.UDP, acls: out.Lists, log: cfg.Log != "", dump: cfg.Debug >= dumpLevel, ascii: cfg.ASCII}
		if err := ctx.Err(); err != nil { // tables take long to make
			return nil, err
		}
		m, ok := b.used.made[s.Name]
		if !ok || !m.inputs.equal(in) {
			m = made{in, b.policy(in, out.TLS)}
			out.Fresh[s.Name] = true
		}
		out.made[s.Name] = m
		out.Policies = append(out.Policies, m.policy)
	}
	return out, nil
}

// Use reports that what was built is in use. The next Build uses what it has in common
// with it again.
func (b *Builder) Use(built *Built) { b.used = *built }

// Used returns what is in use.
func (b *Builder) Used() Built { return b.used }

// Refresh asks DNS again for the names of servers of a service, unless that has just
// been done. It does not wait for the answer.
func (b *Builder) Refresh(service string) {
	for _, n := range b.used.made[service].inputs.servers.names {
		b.opt.Names.Refresh(n.query)
	}
}

// inputs are all that the policy of a service is made of. Where they are equal
// the one that was made is used again: a change costs what the services cost
// that it concerns.
type inputs struct {
	service          config.Service
	servers          servers
	acls             *acl.Lists
	log, dump, ascii bool
	shared           bool // descriptors, with connections; see isShared
}

type made struct {
	inputs inputs
	policy dispatch.Config
}

func (in inputs) equal(other inputs) bool {
	if in.acls != other.acls || in.log != other.log || in.dump != other.dump || in.ascii != other.ascii || in.shared != other.shared ||
		!slices.Equal(in.service.Servers, other.service.Servers) || !in.servers.equal(other.servers) {
		return false
	}
	in.service.Servers, other.service.Servers = nil, nil // they may be many
	return reflect.DeepEqual(in.service, other.service)
}

// access are access lists, with what they are made of.
type access struct {
	entries   [config.ACLCount][]config.ACLEntry
	countries *geoip.DB
	lists     *acl.Lists
}

// make returns the lists of a configuration: the same ones where they are made of
// the same.
func (was access) make(cfg config.Config, countries *geoip.DB) (access, error) {
	same := was.lists != nil && was.countries == countries
	for i := range cfg.ACLs {
		same = same && slices.Equal(was.entries[i], cfg.ACLs[i])
	}
	if same {
		return was, nil
	}
	l, err := lists(cfg, countries)
	return access{cfg.ACLs, countries, l}, err
}

// Permitted reports what this process may not do for a configuration: later each
// connection would fail.
func Permitted(cfg config.Config) error {
	if !cfg.AnyTransparent() {
		return nil
	}
	if err := sock.CheckTransparent(); err != nil {
		return fmt.Errorf("transparent: %w", err)
	}
	return nil
}

// lists makes the policy's access lists.
func lists(cfg config.Config, countries *geoip.DB) (*acl.Lists, error) {
	out := new(acl.Lists)
	if countries != nil {
		out.Country = countries.Country
	}
	for i, list := range cfg.ACLs {
		for _, e := range list {
			if e.Country != "" && cfg.GeoIPDB == "" {
				return nil, fmt.Errorf("acl %d: country lists need a data base: geoip_db FILE", i)
			}
			out.List[i] = append(out.List[i], acl.Entry(e))
		}
	}
	out.Compile()
	return out, nil
}

// defaultPort is the port of servers for which none is given: the first
// listener's, or 0 if that is a Unix socket.
func defaultPort(s config.Service) (int, error) {
	addresses := s.Listeners()
	if len(addresses) == 0 {
		return 0, nil
	}
	network, address, err := sock.Split(addresses[0])
	if err != nil || network == "unix" {
		return 0, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0, err
	}
	return sock.LookupPort(port)
}
