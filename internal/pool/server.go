package pool

import (
	"net/netip"
	"time"
)

// A Config is what the operator configures of one server.
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
	// Identity is where the server is, as the operator writes it, or empty. Client tables
	// know a server by its name and this.
	Identity string
	// Missing says why the slot is unused although the operator named a server, Host,
	// whose name does not resolve. Both are for messages.
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

// A Server is one server and its state. Its slot identifies it.
type Server struct {
	Slot int
	Config
	configured *Config // Config before Prefer

	conns          int
	sent, received uint64

	health Health
	agent  Agent

	failed   bool          // since the last success
	failedAt time.Duration // if failed

	// See outlier.go.
	ejection  ejection
	since     time.Duration // start of the ejection, if ejected
	until     time.Duration // end of its time out of rotation, if ejected; then it is on trial
	trial     bool          // a flow tries it
	failures  int           // failed connects in a row
	attempts  int           // failed attempts in a row that clients may have caused
	resets    int           // connections in a row that ended at once
	ejections int           // ejections in a row
	wellSince time.Duration // when the last ejection ended

	attemptsOf, resetsOf *witnesses // clients that saw these

	warmth    int           // percentage of its weight, see slowstart.go
	warmSince time.Duration // if below 100

	observed   bool          // a connect was timed: see Observe
	average    float64       // of connect times, in ns, if observed
	observedAt time.Duration // the last one, if observed

	outlook    outlook  // in the current revision
	standing   standing // as counted in Pool.census
	openWeight uint64   // its effective weight while it is open, as counted in Pool.weights
	deadline   uint64   // when smooth round-robin wants it next
	picked     uint64   // the number of LeastConn's last choice of it

	excluded bool // from the current choice, see PickOther

	inRank, inExpiry int // index in these heaps, or -1
}

func newServer(slot int) *Server {
	s := &Server{Slot: slot, configured: &Config{}, inRank: -1, inExpiry: -1}
	s.forget()
	return s
}

// forget resets all that was found out about the server. Counts and places in the
// indices stay.
func (s *Server) forget() {
	s.health, s.agent = HealthUnknown, Agent{Weight: -1}
	s.failed, s.failedAt = false, 0
	s.ejection, s.since, s.until, s.trial = notEjected, 0, 0, false
	s.failures, s.attempts, s.resets, s.ejections, s.wellSince = 0, 0, 0, 0, 0
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

// weightUnit is a weight of 1 in the unit of effectiveWeight, which makes percentages
// of percentages exact.
const weightUnit = 100 * 100

// effectiveWeight is the configured weight, scaled by the agent and by slow start.
func (s *Server) effectiveWeight() uint64 {
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
	Until       time.Duration // end of StateBlacklisted or StateEjected
	Share       float64       // the effective weight, in the unit of Config.Weight
	Health      Health
	Agent       Agent
	Failures    int           // failed connects in a row
	Attempts    int           // failed attempts in a row that clients may have caused
	Resets      int           // connections in a row that the server ended at once
	Ejections   int           // ejections in a row
	ConnectTime time.Duration // the average that LeastTime compares; 0: not measured
}

// AppendStatus appends the status of all slots in order, at the latest time that any
// method was given. The caller can make room before it takes the lock.
func (p *Pool) AppendStatus(all []Status) []Status {
	for _, s := range p.servers {
		status := Status{
			Slot: s.Slot, Config: s.Config, Conns: s.conns, Sent: s.sent, Received: s.received,
			Failed: s.failed, FailedAt: s.failedAt,
			State: p.state(s), Share: float64(s.effectiveWeight()) / weightUnit, Health: s.health, Agent: s.agent,
			Failures: s.failures, Attempts: s.attempts, Resets: s.resets, Ejections: s.ejections, ConnectTime: time.Duration(s.connectTime(p.now)),
		}
		if s.shunned(p.now) {
			status.Until = s.until
		}
		all = append(all, status)
	}
	return all
}
