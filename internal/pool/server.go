package pool

import (
	"net/netip"
	"time"
)

// A Config is what the operator says of one server.
type Config struct {
	Addr   netip.AddrPort   // port 0: the slot is not used
	Others []netip.AddrPort // more addresses of the same server, which are tried after Addr
	Path   string           // of a Unix socket, instead of Addr
	Max    int              // connections for new clients; 0 is unlimited
	Hard   int              // connections for returning clients, where above Max
	Weight int              // 0: no new clients where the algorithm weighs
	Prio   int
	ACL    int    // number of the access list for its clients
	Name   string // for the operator; may be empty
	// Missing is why the slot is not used although the operator names a server,
	// Host: its name is not known. Both are for people.
	Missing, Host string
	Admin         Admin
	Preamble      Preamble // what precedes the client's bytes on a connection to it; nil: nothing
}

// A Preamble is data for planes, which the policy only passes on: a PROXY header, a
// TLS handshake. It is an edge.Preamble.
type Preamble interface{ IsPreamble() }

// Used reports whether there is a server at all.
func (c Config) Used() bool { return c.Path != "" || c.Addr.IsValid() && c.Addr.Port() != 0 }

// address is the name that other machines know the server by as well.
func (c Config) address() string {
	if c.Path != "" {
		return c.Path
	}
	return c.Addr.String()
}

// A Server is one server and its state. Its identity is its slot.
type Server struct {
	Slot int
	Config

	conns          int
	sent, received uint64

	health Health
	agent  Agent

	failed   bool          // since the last success
	failedAt time.Duration // if failed

	// See outlier.go.
	absence   absence
	since     time.Duration // its time away counts from here, if absent
	until     time.Duration // it is left alone before this, if absent
	trial     bool          // a flow tries it, if absent
	failures  int           // failed connects in a row
	attempts  int           // failed attempts in a row for which clients may be to blame
	resets    int           // connections in a row that ended at once
	level     int           // ejections in a row
	wellSince time.Duration // when the last absence ended

	attemptsOf, resetsOf *witnesses // clients that saw these

	warmth    int           // percent of its weight that it has, see warm.go
	warmSince time.Duration // if below 100

	observed   bool          // a connect was timed, see Observe
	average    float64       // of connect times, in ns, if observed
	observedAt time.Duration // the last one, if observed

	standing standing // as it is in the Pool's tally
	drawn    uint64   // its share in the Pool's weights
	deadline uint64   // when smooth round-robin wants it next
	picked   uint64   // the number of LeastConn's last choice of it

	leftOut bool // of the choice that is being made, see PickOther

	inRank, inExpiry int // its index in these heaps, or -1
}

func newServer(slot int) *Server {
	s := &Server{Slot: slot, inRank: -1, inExpiry: -1}
	s.forget()
	return s
}

// forget drops all that was learnt of the server; counts and places in the
// indices stay.
func (s *Server) forget() {
	s.health, s.agent = HealthUnknown, Agent{Weight: -1}
	s.failed, s.failedAt = false, 0
	s.absence, s.since, s.until, s.trial = present, 0, 0, false
	s.failures, s.attempts, s.resets, s.level, s.wellSince = 0, 0, 0, 0, 0
	s.attemptsOf, s.resetsOf = nil, nil
	s.warmth, s.warmSince = 100, 0
	s.observed, s.average, s.observedAt = false, 0, 0
}

func (s *Server) clone() *Server {
	c := *s
	return &c
}

// Conns is how many connections are counted.
func (s *Server) Conns() int { return s.conns }

// A share is a weight in units of a hundredth of a percent of a weight of 1,
// so that a part of a weight is exact.
const wholeShare = 100 * 100

// share is the weight that counts: the configured one, as far as the agent and
// slow start let it.
func (s *Server) share() uint64 {
	agent := s.agent.Weight
	if agent < 0 {
		agent = 100
	}
	return uint64(max(s.Weight, 0)) * uint64(min(agent, maxAgentWeight)) * uint64(s.warmth)
}

// full reports whether the limit for new clients is reached.
func (s *Server) full() bool { return s.Max > 0 && s.conns >= s.Max }

// Status is a copy of a server's configuration and state.
type Status struct {
	Slot int
	Config
	Conns          int
	Sent, Received uint64 // bytes read from clients for it; bytes read from it
	Failed         bool
	FailedAt       time.Duration // the last failure since the last success

	State       State
	Until       time.Duration // the end of StateBlacklisted or StateEjected
	Share       float64       // the weight that counts now, in the unit of Config.Weight
	Health      Health
	Agent       Agent
	Failures    int           // failed connects in a row
	Attempts    int           // failed attempts in a row for which clients may be to blame
	Resets      int           // connections in a row that the server ended at once
	Ejections   int           // ejections in a row
	ConnectTime time.Duration // the average that LeastTime goes by; 0: not measured
}

// Status returns all slots of the table in order. The states are those of the
// latest time that any method was given.
func (p *Pool) Status() []Status { return p.AppendStatus(make([]Status, 0, len(p.servers))) }

// AppendStatus appends what Status returns, for whoever makes room for it before
// the lock is held.
func (p *Pool) AppendStatus(all []Status) []Status {
	for _, s := range p.servers {
		status := Status{
			Slot: s.Slot, Config: s.Config, Conns: s.conns, Sent: s.sent, Received: s.received,
			Failed: s.failed, FailedAt: s.failedAt,
			State: p.state(s), Share: float64(s.share()) / wholeShare, Health: s.health, Agent: s.agent,
			Failures: s.failures, Attempts: s.attempts, Resets: s.resets, Ejections: s.level, ConnectTime: time.Duration(s.connectTime(p.now)),
		}
		if s.away(p.now) {
			status.Until = s.until
		}
		all = append(all, status)
	}
	return all
}
