package app

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net"
	"net/netip"
	"runtime"
	"time"

	"pen/internal/acl"
	"pen/internal/config"
	"pen/internal/dispatch"
	"pen/internal/geoip"
	"pen/internal/plane"
	"pen/internal/plane/datagram"
	"pen/internal/plane/loop"
	"pen/internal/plane/stream"
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

// resolveTime bounds the look-up of one name.
const resolveTime = 10 * time.Second

// UsesLoops reports whether connections are carried by event loops.
func UsesLoops(cfg config.Config) bool {
	return !cfg.UDP && (cfg.Plane == "loop" || cfg.Plane == "" && runtime.GOOS == "linux")
}

func (a *App) listen(cfg config.Config) (plane.Plane, error) {
	log := a.opt.Log
	if cfg.UDP {
		return datagram.Listen(cfg.Listen, log)
	}
	if UsesLoops(cfg) {
		return loop.Listen(cfg.Listen, cfg.Backlog, cmp.Or(a.opt.Loops, max(1, runtime.GOMAXPROCS(0)-1)), log)
	}
	return stream.Listen(cfg.Listen, cfg.Backlog, log)
}

// build makes the policy's configuration from the user's and the data base of
// countries, which is nil if there is none. It may block on look-ups of names
// that were not resolved before.
func (a *App) build(cfg config.Config, countries *geoip.DB) (dispatch.Config, error) {
	out := dispatch.Config{
		ClientACL:      cfg.ClientACL,
		NoTracking:     cfg.RoundRobin,
		Stubborn:       cfg.Stubborn,
		Tracking:       cfg.Tracking,
		ClientsMax:     cfg.ClientsMax,
		ConnMax:        a.connMax(cfg),
		PendingMax:     cfg.PendingMax,
		ConnectTimeout: cfg.Timeout,
		Dummy:          cfg.Dummy,
		KeepAlive:      cfg.KeepAlive,
		Transparent:    cfg.Transparent,
		EndWithClient:  cfg.FastClose == "down" || cfg.FastClose == "both",
		EndWithServer:  cfg.FastClose == "up" || cfg.FastClose == "both",
		Idlers:         cfg.Idlers,
		IdleTimeout:    idleTimeout(cfg),
	}
	if cfg.Log != "" {
		out.Log = a.logRequest
	}
	if cfg.Debug >= dumpLevel {
		out.Dump = a.dump(cfg.ASCII)
	}
	if cfg.Source != "" {
		out.Source, _ = netip.ParseAddr(cfg.Source) // checked when it was set
	}
	out.Pool.Algorithm = algorithm(cfg)
	out.Pool.Blacklist = cfg.Blacklist
	var err error
	if out.ACLs, err = lists(cfg, countries); err != nil {
		return out, err
	}
	port, err := defaultPort(cfg)
	if err != nil {
		return out, err
	}
	for slot, s := range cfg.Servers {
		c, err := a.server(s, port)
		if err != nil {
			return out, fmt.Errorf("server %d: %w", slot, err)
		}
		out.Pool.Servers = append(out.Pool.Servers, c)
	}
	if out.Pool.Emergency, err = a.server(cfg.Emergency, port); err != nil {
		return out, fmt.Errorf("emergency server: %w", err)
	}
	if out.Pool.Abuse, err = a.server(cfg.Abuse, port); err != nil {
		return out, fmt.Errorf("abuse server: %w", err)
	}
	return out, nil
}

// flowTimeout is when a UDP flow is over, which has no other end, unless the
// user says otherwise.
const flowTimeout = 30 * time.Second

// idleTimeout is after what time without a byte a connection is ended; 0 means
// never.
func idleTimeout(cfg config.Config) time.Duration {
	if cfg.UDP && cfg.IdleTimeout == 0 {
		return flowTimeout
	}
	return cfg.IdleTimeout
}

// mayServe reports what this process may not do for a configuration. Settings
// are checked where they are made: later each connection would fail.
func mayServe(cfg config.Config) error {
	if !cfg.Transparent {
		return nil
	}
	if err := sock.CheckTransparent(); err != nil {
		return fmt.Errorf("transparent: %w", err)
	}
	return nil
}

// connMax is how many connections there may be: as many as the descriptors
// allow, two each or one for a UDP flow, unless the user wants fewer.
func (a *App) connMax(cfg config.Config) int {
	files, each := int(min(a.nofile, math.MaxInt32)), 2
	if cfg.UDP {
		each = 1
	}
	files -= min(cfg.Idlers, files/2)
	possible := max((files-reserved)/each, min(minConns, (files-scarce)/each), 1)
	if cfg.ConnMax == 0 {
		return possible
	}
	return min(cfg.ConnMax, possible)
}

// sayLimit warns of fewer connections than the user wants or may expect.
func (a *App) sayLimit(cfg config.Config) {
	want := cfg.ConnMax
	if want == 0 {
		want = minConns
	}
	if n := a.connMax(cfg); n < want {
		a.opt.Log.Warn("the limit of open files allows fewer connections than wanted; raise it with ulimit -n",
			"files", a.nofile, "wanted", want, "connections", n)
	}
}

// algorithm is the one that the flags select: prio before weight before hash
// before round-robin.
func algorithm(cfg config.Config) pool.Algorithm {
	switch {
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
	return out, nil
}

// defaultPort is the port of servers for which none is given: the listener's,
// or 0 if that is a Unix socket.
func defaultPort(cfg config.Config) (int, error) {
	network, address, err := sock.Split(cfg.Listen)
	if err != nil || network == "unix" {
		return 0, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0, err
	}
	return sock.LookupPort(port)
}

// server makes the pool's view of a server; an unused one stays so.
func (a *App) server(s config.Server, port int) (pool.Config, error) {
	if !s.Used() {
		return pool.Config{}, nil
	}
	c := pool.Config{Max: s.Max, Hard: s.Hard, Weight: s.EffectiveWeight(), Prio: s.Prio, ACL: s.ACL}
	if s.IsPath() {
		c.Path = s.Host
		return c, nil
	}
	addr, err := a.resolve(s.Host)
	if err != nil {
		return c, err
	}
	switch {
	case s.Service != "":
		if port, err = sock.LookupPort(s.Service); err != nil {
			return c, err
		}
	case s.Port != 0:
		port = s.Port
	}
	if port == 0 {
		return c, fmt.Errorf("%s has no port, and the listener has none to give", s.Host)
	}
	c.Addr = netip.AddrPortFrom(addr, uint16(port))
	return c, nil
}

// resolve looks up a name, once: the answer holds until the name is forgotten.
func (a *App) resolve(host string) (netip.Addr, error) {
	if addr, ok := a.names[host]; ok {
		return addr, nil
	}
	ctx, cancel := context.WithTimeout(a.stopping, resolveTime)
	defer cancel()
	addr, err := sock.Resolve(ctx, host)
	if err == nil {
		a.names[host] = addr
	}
	return addr, err
}
