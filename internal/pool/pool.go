// Package pool knows the servers: their addresses, limits, weights, states and
// counts, and the algorithms that choose one of them.
//
// A Pool is plain data without a lock of its own; the dispatcher's lock guards
// it. Time is passed in, on any clock that never goes back. Every choice costs
// O(1) for round-robin and hash, O(log n) for weight and prio.
package pool

import (
	"container/heap"
	"net/netip"
	"time"
)

// Slots of servers that are not in the table.
const (
	None          = -3
	AbuseSlot     = -2
	EmergencySlot = -1
)

// An Algorithm is how the first server of a client that is not remembered is
// chosen (specification, section 6).
type Algorithm int

const (
	// RoundRobin takes the available servers in turn, from slot 0.
	RoundRobin Algorithm = iota
	// Hash takes slot (client address mod slots), whatever its state.
	Hash
	// HashPort is Hash with the client's port mixed into an IPv4 address.
	HashPort
	// Weight takes the available server with the fewest connections for its
	// weight (weighted least connections); the first one among equals.
	Weight
	// Prio takes the available server with the lowest prio number; the first
	// one among equals.
	Prio
)

// A Config is what the operator says of one server.
type Config struct {
	Addr   netip.AddrPort // port 0: the slot is not used
	Path   string         // of a Unix socket, instead of Addr
	Max    int            // connections for new clients; 0 is unlimited
	Hard   int            // connections for returning clients, where above Max
	Weight int            // 0: no new clients while Weight chooses
	Prio   int
	ACL    int // number of the access list for its clients
}

// Used reports whether there is a server at all.
func (c Config) Used() bool { return c.Path != "" || c.Addr.IsValid() && c.Addr.Port() != 0 }

// Settings is everything that the operator says of a pool.
type Settings struct {
	Servers          []Config // by slot
	Emergency, Abuse Config
	Algorithm        Algorithm
	Blacklist        time.Duration // how long a failed server is left alone
}

// A Server is one server and its state. Its identity is its slot.
type Server struct {
	Slot int
	Config

	conns          int
	sent, received uint64

	failed   bool          // since the last success
	failedAt time.Duration // if failed
	until    time.Duration // blacklisted before this, if failed

	inRank, inExpiry int // its index in these heaps, or -1
}

// Status is a copy of a server's configuration and state.
type Status struct {
	Slot int
	Config
	Conns          int
	Sent, Received uint64 // bytes read from clients for it; bytes read from it
	Failed         bool
	FailedAt       time.Duration // the last failure since the last success
}

// A Pool is the table of servers with the emergency and the abuse server.
type Pool struct {
	algorithm Algorithm
	blacklist time.Duration
	servers   []*Server

	emergency, abuse *Server

	turn      int    // slot of the last round-robin choice
	available bitset // used and not blacklisted
	rank      rank   // the available servers, best first, where Algorithm has an order
	expiry    expiry // the blacklisted servers, first to return first
}

// New returns a pool without servers.
func New() *Pool {
	return &Pool{
		turn:      -1,
		emergency: newServer(EmergencySlot),
		abuse:     newServer(AbuseSlot),
	}
}

func newServer(slot int) *Server { return &Server{Slot: slot, inRank: -1, inExpiry: -1} }

// Configure makes the settings effective. Counts, states and the turn of
// round-robin stay with their slots; a slot that is no longer used forgets its
// bytes and its failure.
func (p *Pool) Configure(s Settings, now time.Duration) {
	p.algorithm = s.Algorithm
	for len(p.servers) < len(s.Servers) {
		p.servers = append(p.servers, newServer(len(p.servers)))
	}
	for _, gone := range p.servers[len(s.Servers):] {
		gone.configure(Config{}) // flows may still hold it
	}
	p.servers = p.servers[:len(s.Servers):len(s.Servers)]
	for i, c := range s.Servers {
		p.servers[i].configure(c)
	}
	p.emergency.configure(s.Emergency)
	p.abuse.configure(s.Abuse)
	if p.blacklist != s.Blacklist {
		// The stamps stay, so a changed time moves the end.
		for _, sv := range append(p.servers, p.emergency, p.abuse) {
			sv.until = sv.failedAt + s.Blacklist
		}
		p.blacklist = s.Blacklist
	}
	p.rebuild(now)
}

func (s *Server) configure(c Config) {
	s.Config = c
	if !c.Used() {
		s.sent, s.received, s.failed = 0, 0, false
	}
}

// rebuild makes the indices from the servers.
func (p *Pool) rebuild(now time.Duration) {
	for _, s := range append(p.rank.servers, p.expiry...) {
		s.inRank, s.inExpiry = -1, -1
	}
	p.available = newBitset(len(p.servers))
	p.rank = rank{algorithm: p.algorithm}
	p.expiry = nil
	for _, s := range p.servers {
		p.place(s, now)
	}
}

// place puts a server where its state belongs: among the available ones, among
// the blacklisted ones, or nowhere.
func (p *Pool) place(s *Server, now time.Duration) {
	if s.Slot < 0 || s.Slot >= len(p.servers) || p.servers[s.Slot] != s {
		return
	}
	blacklisted := s.blacklisted(now)
	available := s.Used() && !blacklisted
	p.available.set(s.Slot, available)

	ranked := available && (p.algorithm == Prio || p.algorithm == Weight && s.Weight > 0)
	keep(&p.rank, s, s.inRank, ranked)
	keep(&p.expiry, s, s.inExpiry, s.Used() && blacklisted)
}

// keep has s in the heap, at its right place, or not in it.
func keep(h heap.Interface, s *Server, at int, in bool) {
	switch {
	case in && at < 0:
		heap.Push(h, s)
	case in:
		heap.Fix(h, at)
	case at >= 0:
		heap.Remove(h, at)
	}
}

func (s *Server) blacklisted(now time.Duration) bool { return s.failed && now < s.until }

// Conns is how many connections are counted.
func (s *Server) Conns() int { return s.conns }

// Blacklisted reports whether a server is left alone for now.
func (p *Pool) Blacklisted(s *Server, now time.Duration) bool { return s.blacklisted(now) }

// Len is the number of slots, unused ones included.
func (p *Pool) Len() int { return len(p.servers) }

// Numbers returns how many slots have a server, and how many of these are
// available now.
func (p *Pool) Numbers(now time.Duration) (used, available int) {
	p.expire(now)
	for _, s := range p.servers {
		if s.Used() {
			used++
		}
	}
	for slot := p.available.next(0); slot >= 0; slot = p.available.next(slot + 1) {
		available++
	}
	return used, available
}

// At returns the server of a slot, or nil where no server is.
func (p *Pool) At(slot int) *Server {
	if slot < 0 || slot >= len(p.servers) || !p.servers[slot].Used() {
		return nil
	}
	return p.servers[slot]
}

// Emergency returns the server of last resort, or nil.
func (p *Pool) Emergency() *Server { return used(p.emergency) }

// Abuse returns the server for clients that are denied, or nil.
func (p *Pool) Abuse() *Server { return used(p.abuse) }

func used(s *Server) *Server {
	if s.Used() {
		return s
	}
	return nil
}

// Status returns all slots of the table in order.
func (p *Pool) Status() []Status {
	all := make([]Status, len(p.servers))
	for i, s := range p.servers {
		all[i] = Status{
			Slot: s.Slot, Config: s.Config, Conns: s.conns, Sent: s.sent, Received: s.received,
			Failed: s.failed, FailedAt: s.failedAt,
		}
	}
	return all
}
