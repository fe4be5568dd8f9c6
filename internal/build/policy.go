package build

import (
	"net/netip"
	"time"

	"pen/internal/config"
	"pen/internal/dispatch"
	"pen/internal/pool"
)

// policy makes the policy of one service.
func (b *Builder) policy(in inputs, tls TLS) dispatch.Config {
	s, o := &in.service, &observer{opt: &b.opt, inputs: in}
	out := dispatch.Config{
		Observer:       o,
		Watch:          o.watch(),
		ACLs:           in.acls,
		ClientACL:      s.ClientACL,
		NoTracking:     s.RoundRobin,
		PerDatagram:    PerDatagram(*s),
		Stubborn:       s.Stubborn,
		Tracking:       s.Tracking,
		ClientsMax:     s.ClientsMax,
		ConnMax:        b.opt.Files.ConnMax(*s, in.shared),
		PendingMax:     s.PendingMax,
		ConnectTimeout: s.Timeout,
		Dummy:          s.Dummy,
		KeepAlive:      s.KeepAlive,
		Transparent:    s.Transparent,
		EndWithClient:  s.FastClose == "down" || s.FastClose == "both",
		EndWithServer:  s.FastClose == "up" || s.FastClose == "both",
		Idlers:         s.Idlers,
		IdleTimeout:    IdleTimeout(s),
		MaxAge:         s.MaxAge,
		CloseDown:      s.CloseDown,
		Rebalance:      s.Rebalance,
		FlowCost:       flowCost(*s),
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
		Algorithm: algorithm(*s), Bound: s.Bound, Blacklist: s.Blacklist, SlowStart: s.SlowStart, Panic: s.Panic,
		Outlier: pool.Outlier{Failures: s.Outlier.Failures, Resets: s.Outlier.Resets, Max: s.Outlier.Max, Share: s.Outlier.Share},
	}
	out.Pool.Servers = make([]pool.Config, 0, len(s.Servers))
	for slot := range s.Servers {
		out.Pool.Servers = append(out.Pool.Servers, in.servers.at(slot, s.Servers[slot], tls.preamble(s, &s.Servers[slot])))
	}
	if out.Pool.Algorithm == pool.Maglev {
		out.Pool.Maglev = pool.NewMaglev(out.Pool.Servers)
	}
	for i := range s.Emergency {
		out.Pool.Emergency = append(out.Pool.Emergency, in.servers.at(pool.EmergencySlotOf(i), s.Emergency[i], tls.preamble(s, &s.Emergency[i])))
	}
	out.Pool.Abuse = in.servers.at(pool.AbuseSlot, s.Abuse, tls.preamble(s, &s.Abuse))
	return out
}

// flowTimeout is when a UDP flow is over, which has no other end, unless the
// user says otherwise.
const flowTimeout = 30 * time.Second

// IdleTimeout is how long a connection may go without a byte before it is closed; 0
// is for ever.
func IdleTimeout(s *config.Service) time.Duration {
	if s.UDP && s.IdleTimeout == 0 {
		return flowTimeout
	}
	return s.IdleTimeout
}

// PerDatagram reports whether a server is chosen for each datagram.
func PerDatagram(s config.Service) bool { return s.UDP && (s.PerDatagram || s.UDPPerPacket) }

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
