package app

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"pen/internal/acl"
	"pen/internal/config"
	"pen/internal/dispatch"
	"pen/internal/geoip"
	"pen/internal/names"
	"pen/internal/pool"
	"pen/internal/sock"
)

const (
	// reserved descriptors are for everything but connections: listeners, the
	// control socket, files, and pipes with bulk data in flight.
	reserved = 256
	// scarce is what is reserved where more would leave fewer than minConns
	// connections, what C Pen takes by default.
	scarce   = 16
	minConns = 500
)

// build makes the policies of all services from the user's configuration and
// the data base of countries, which is nil if there is none. It may block on files
// and on look-ups of names that were not resolved before.
func (a *App) build(ctx context.Context, cfg config.Config, countries *geoip.DB) (built, error) {
	if err := conflicts(cfg); err != nil {
		return built{}, err
	}
	return a.construct(ctx, cfg, countries)
}

// construct is build for a configuration that has no conflicts.
func (a *App) construct(ctx context.Context, cfg config.Config, countries *geoip.DB) (built, error) {
	out := built{made: map[string]made{}, fresh: map[string]bool{}}
	var err error
	if out.acls, err = a.acls.make(cfg, countries); err != nil {
		return out, err
	}
	if err := cfg.CheckEdges(); err != nil {
		return out, err
	}
	if err := cfg.CheckControl(); err != nil {
		return out, err
	}
	if out.edges, err = a.edges.prepare(a, cfg); err != nil {
		return out, err
	}
	all := cfg.Services
	found := make([]servers, len(all))
	for i, s := range all {
		found[i].names = namesOf(s)
		for _, n := range found[i].names {
			out.queries = append(out.queries, n.query)
		}
	}
	answers, err := a.lookUp(ctx, out.queries)
	if err != nil {
		return out, err
	}
	for i, s := range all {
		if err := found[i].find(s, answers); err != nil {
			return out, config.InService(s.Name, err)
		}
	}
	shared := isShared(cfg)
	out.itself = circlesOf(a.doorsOf(ctx, cfg), cfg).refuse(all, found)
	for i, s := range all {
		in := inputs{service: s, servers: found[i], shared: shared && s.UDP, acls: out.acls.lists, log: cfg.Log != "", dump: cfg.Debug >= dumpLevel, ascii: cfg.ASCII}
		m, ok := a.made[s.Name]
		if !ok || !m.inputs.equal(in) {
			m = made{in, a.policy(in, out.edges)}
			out.fresh[s.Name] = true
		}
		out.made[s.Name] = m
		out.policies = append(out.policies, m.policy)
	}
	return out, nil
}

// What is built is a configuration as it is used.
type built struct {
	policies []dispatch.Config // of cfg.Services
	queries  []names.Query     // the names in it
	edges    edges
	acls     access
	made     map[string]made // by service
	fresh    map[string]bool // services whose policies are new
	// itself is a server, given by address, that is Pen itself. Nothing connects
	// to it.
	itself error
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

// tellOf returns what logs changes of a service's servers.
func (a *App) tellOf(service string) func(dispatch.Target, string) {
	return func(t dispatch.Target, what string) {
		a.opt.Log.Warn("server "+what, "service", service, "server", t.Slot, "address", t)
	}
}

// policy makes the policy of one service.
func (a *App) policy(in inputs, e edges) dispatch.Config {
	s := in.service
	out := dispatch.Config{
		ACLs:           in.acls,
		Tell:           a.tellOf(s.Name),
		Lost:           a.lostOf(in.servers.names),
		ClientACL:      s.ClientACL,
		NoTracking:     s.RoundRobin,
		PerDatagram:    perDatagram(s),
		Stubborn:       s.Stubborn,
		Tracking:       s.Tracking,
		ClientsMax:     s.ClientsMax,
		ConnMax:        a.connMax(s, in.shared),
		PendingMax:     s.PendingMax,
		ConnectTimeout: s.Timeout,
		Dummy:          s.Dummy,
		KeepAlive:      s.KeepAlive,
		Transparent:    s.Transparent,
		EndWithClient:  s.FastClose == "down" || s.FastClose == "both",
		EndWithServer:  s.FastClose == "up" || s.FastClose == "both",
		Idlers:         s.Idlers,
		IdleTimeout:    idleTimeout(s),
		MaxAge:         s.MaxAge,
		CloseDown:      s.CloseDown,
		Rebalance:      s.Rebalance,
		FlowCost:       flowCost(s),
		Limits:         dispatch.Limits(s.Limits),
		Prefix4:        s.Prefix4,
		Prefix6:        s.Prefix6,
		Queue:          s.Queue,
		QueueTime:      s.QueueTime,
		EarlyEnd:       s.Outlier.Within,
	}
	if s.Source != "" {
		out.Source, _ = netip.ParseAddr(s.Source) // checked when it was set
	}
	out.Pool = pool.Settings{
		Algorithm: algorithm(s), Bound: s.Bound, Blacklist: s.Blacklist, SlowStart: s.SlowStart, Panic: s.Panic,
		Outlier: pool.Outlier{Failures: s.Outlier.Failures, Resets: s.Outlier.Resets, Max: s.Outlier.Max, Share: s.Outlier.Share},
	}
	if in.log {
		out.Log = a.logRequest
	}
	if in.dump {
		out.Dump = a.dump(in.ascii)
	}
	for slot, server := range s.Servers {
		out.Pool.Servers = append(out.Pool.Servers, in.servers.at(slot, server, e.preamble(s, server)))
	}
	if out.Pool.Algorithm == pool.Maglev {
		out.Pool.Maglev = pool.NewMaglev(out.Pool.Servers)
	}
	for i, server := range s.Emergencies() {
		out.Pool.Emergency = append(out.Pool.Emergency, in.servers.at(pool.EmergencySlotOf(i), server, e.preamble(s, server)))
	}
	out.Pool.Abuse = in.servers.at(pool.AbuseSlot, s.Abuse, e.preamble(s, s.Abuse))
	return out
}

// lostOf returns what asks DNS again for a server that can't be connected to.
func (a *App) lostOf(of serverNames) func(slot int) {
	return func(slot int) {
		if n, ok := of[slot]; ok {
			a.names.Refresh(n.query)
		}
	}
}

// flowTimeout is when a UDP flow is over, which has no other end, unless the
// user says otherwise.
const flowTimeout = 30 * time.Second

// idleTimeout is after what time without a byte a connection is ended; 0 means
// never.
func idleTimeout(s config.Service) time.Duration {
	if s.UDP && s.IdleTimeout == 0 {
		return flowTimeout
	}
	return s.IdleTimeout
}

// mayServe reports what this process may not do for a configuration. Settings
// are checked where they are made: later each connection would fail.
func mayServe(cfg config.Config) error {
	if !cfg.AnyTransparent() {
		return nil
	}
	if err := sock.CheckTransparent(); err != nil {
		return fmt.Errorf("transparent: %w", err)
	}
	return nil
}

// perDatagram reports whether a server is chosen for each datagram.
func perDatagram(s config.Service) bool { return s.UDP && (s.PerDatagram || s.UDPPerPacket) }

// flowCost is how many descriptors a connection takes, or a UDP flow.
func flowCost(s config.Service) int {
	if s.UDP {
		return 1
	}
	return 2
}

// descriptors is how many there are for connections.
func (a *App) descriptors() int {
	files := int(min(a.nofile, math.MaxInt32))
	return max(files-reserved, min(2*minConns, files-scarce), 2)
}

// connMax is how many connections a service may have: as many as the
// descriptors allow, unless the user wants fewer. UDP flows, which anybody may
// begin in any name, get half of that where there are connections as well, unless
// the user says how many.
func (a *App) connMax(s config.Service, shared bool) int {
	files, each := int(min(a.nofile, math.MaxInt32)), flowCost(s)
	files -= min(s.Idlers, files/2)
	possible := max((files-reserved)/each, min(minConns, (files-scarce)/each), 1)
	switch {
	case s.ConnMax == 0 && s.UDP && shared:
		return max(possible/2, 1)
	case s.ConnMax == 0:
		return possible
	}
	return min(s.ConnMax, possible)
}

// isShared reports whether connections and UDP flows share the descriptors.
func isShared(cfg config.Config) bool {
	tcp := func(s config.Service) bool { return !s.UDP && s.Listen != "" }
	udp := func(s config.Service) bool { return s.UDP && s.Listen != "" }
	all := cfg.Services
	return slices.ContainsFunc(all, tcp) && slices.ContainsFunc(all, udp)
}

// budgetOf is what the flows of a service take their descriptors of. The share of
// UDP is one for all of its services.
func (a *App) budgetOf(s config.Service, shared bool) *dispatch.Budget {
	if s.UDP && s.ConnMax == 0 && shared {
		return a.budgetUDP
	}
	return a.budget
}

// sayLimit warns of fewer connections than the user wants or may expect.
func (a *App) sayLimit(cfg config.Config) {
	for _, s := range cfg.Services {
		want := s.ConnMax
		if want == 0 {
			want = minConns
		}
		if n := a.connMax(s, isShared(cfg)); n < want {
			a.opt.Log.Warn("the limit of open files allows fewer connections than wanted; raise it with ulimit -n",
				"files", a.nofile, "wanted", want, "connections", n)
			return
		}
	}
}

// algorithms are the words of the balance verb.
var algorithms = map[string]pool.Algorithm{
	"roundrobin": pool.SmoothRoundRobin, "leastconn": pool.LeastConn, "p2c": pool.PowerOfTwo, "random": pool.Random,
	"hash": pool.StaticHash, "maglev": pool.Maglev, "first": pool.First, "least_time": pool.LeastTime,
}

// algorithm is the one that balance names, or else that the flags select: prio
// before weight before hash before round-robin.
func algorithm(cfg config.Service) pool.Algorithm {
	switch {
	case cfg.Balance != "":
		return algorithms[cfg.Balance]
	case cfg.Prio:
		return pool.Prio
	case cfg.Weight:
		return pool.Weight
	case cfg.Hash && cfg.RoundRobin:
		return pool.HashPort
	case cfg.Hash:
		return pool.Hash
	}
	return pool.RoundRobin
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
