// Package pool knows the servers: their addresses, limits, weights, states and
// counts, and the algorithms that choose one of them.
//
// A Pool is plain data without a lock of its own; the dispatcher's lock guards
// it. Time is passed in, on any clock that begins at 0 and never goes back.
// Every choice costs O(1) or O(log n) and allocates nothing; but when a panic
// begins or ends, every server is looked at, once.
package pool

import (
	"math/rand/v2"
	"slices"
	"time"

	"pen/internal/heap"
)

// Slots of servers that are not in the table.
const (
	None          = -3
	AbuseSlot     = -2
	EmergencySlot = -1 // the first of them
)

// EmergencySlotOf is the slot of the n-th server of last resort, from 0.
func EmergencySlotOf(n int) int {
	if n == 0 {
		return EmergencySlot
	}
	return None - n
}

// IsEmergency reports whether a slot is that of a server of last resort.
func IsEmergency(slot int) bool { return slot == EmergencySlot || slot < None }

// Settings is everything that the operator says of a pool.
type Settings struct {
	Servers   []Config // by slot
	Emergency []Config // in the order in which they are tried
	Abuse     Config
	Algorithm Algorithm
	Blacklist time.Duration // how long a failed server is left alone; 0: not at all

	// Maglev is the table of NewMaglev(Servers), made outside of any lock. If it
	// is nil while Algorithm wants one, Configure takes the time to make it.
	Maglev *MaglevTable
	// Bound is how much more than its share of all connections a server gets
	// from StaticHash and Maglev: 1.25 is a quarter more. 0 is no bound, and
	// what is below 1 counts as 1.
	Bound float64
	// SlowStart is how long a server that comes back needs until it has its
	// whole weight; 0: it has it at once.
	SlowStart time.Duration
	Outlier   Outlier
	// Panic is a share in percent: where fewer of the enabled servers are well,
	// health and ejection are ignored. 0 is never.
	Panic int
}

// A Pool is the table of servers with the emergency and the abuse server.
type Pool struct {
	algorithm Algorithm
	blacklist time.Duration
	set       Settings // without Servers
	now       time.Duration
	rng       rand.PCG

	servers   []*Server
	emergency []*Server
	abuse     *Server

	tally   tally     // of the servers' standings
	panics  bool      // health and ejection are ignored
	warming []*Server // those with less than their whole weight

	turn    int    // slot of the last round-robin choice
	virtual uint64 // when it was made, in smooth round-robin's time
	picks   uint64 // choices of LeastConn, so that equals take turns
	conns   int    // of all servers in the table

	available bitset             // takes connections, as far as its state goes
	open      bitset             // the algorithm may choose it
	weights   shares             // of the open servers, in the units of Server.share
	static    shares             // of all servers, as configured
	rank      heap.Heap[*Server] // the open servers, best first, where Algorithm has an order
	expiry    heap.Heap[*Server] // servers that are left alone, first to return first
}

// New returns a pool without servers. Its draws differ from those of any other
// pool until Seed is called.
func New() *Pool {
	p := &Pool{
		turn:  -1,
		abuse: newServer(AbuseSlot),
	}
	p.Seed(rand.Uint64(), rand.Uint64())
	p.rebuild()
	return p
}

// Seed makes the draws of the algorithms that draw a function of the seeds.
func (p *Pool) Seed(a, b uint64) { p.rng.Seed(a, b) }

// Configure makes the settings effective. Counts, states and the turn of
// round-robin stay with their slots; a slot whose address changes keeps its
// counts only, and one that is no longer used forgets its bytes as well.
func (p *Pool) Configure(s Settings, now time.Duration) {
	p.passTo(now)
	p.set = s
	p.set.Servers, p.set.Emergency = nil, nil
	p.algorithm, p.blacklist = s.Algorithm, s.Blacklist
	if s.Algorithm == Maglev && s.Maglev == nil {
		p.set.Maglev = NewMaglev(s.Servers)
	}
	for len(p.servers) < len(s.Servers) {
		p.servers = append(p.servers, newServer(len(p.servers)))
	}
	for _, gone := range p.servers[len(s.Servers):] {
		p.configure(gone, Config{}) // flows may still hold it
	}
	p.servers = p.servers[:len(s.Servers):len(s.Servers)]
	for i, c := range s.Servers {
		p.configure(p.servers[i], c)
	}
	p.configureEmergency(s.Emergency)
	p.configure(p.abuse, s.Abuse)
	p.rebuild()
}

// configureEmergency keeps the state of those that were there before, wherever.
func (p *Pool) configureEmergency(configs []Config) {
	before := p.emergency
	p.emergency = nil
	for n, c := range configs {
		if !c.Used() {
			continue
		}
		i := slices.IndexFunc(before, func(s *Server) bool { return s.Addr == c.Addr && s.Path == c.Path })
		var s *Server
		if i >= 0 {
			s = before[i]
			before = slices.Delete(slices.Clone(before), i, i+1)
		} else {
			s = newServer(EmergencySlot)
		}
		s.Slot = EmergencySlotOf(n)
		p.configure(s, c)
		p.emergency = append(p.emergency, s)
	}
	for _, gone := range before {
		p.configure(gone, Config{}) // flows may still hold it
	}
}

func (p *Pool) configure(s *Server, c Config) {
	same := s.Used() && s.Path == c.Path && (c.Path != "" || c.Has(s.Addr))
	out, at := s.out(), s.Addr
	s.Config = c
	if same {
		s.Prefer(at)
	}
	if !same {
		s.forget()
	}
	if !c.Used() {
		s.sent, s.received = 0, 0
	}
	if same && out && !s.out() {
		p.warm(s)
	}
	p.retime(s)
}

// passTo says what time it is.
func (p *Pool) passTo(now time.Duration) { p.now = max(p.now, now) }

// owns reports whether a server is in the table: flows may hold one that was.
func (p *Pool) owns(s *Server) bool {
	return s.Slot >= 0 && s.Slot < len(p.servers) && p.servers[s.Slot] == s
}

// Len is the number of slots, unused ones included.
func (p *Pool) Len() int { return len(p.servers) }

// Numbers returns how many slots have a server, and how many of these are
// available now.
func (p *Pool) Numbers(now time.Duration) (used, available int) {
	p.expire(now)
	for slot := p.available.next(0); slot >= 0; slot = p.available.next(slot + 1) {
		available++
	}
	return p.tally.used, available
}

// At returns the server of a slot, or nil where no server is.
func (p *Pool) At(slot int) *Server {
	if slot < 0 || slot >= len(p.servers) {
		return nil
	}
	return used(p.servers[slot])
}

// Emergency returns the n-th server of last resort, from 0, or nil.
func (p *Pool) Emergency(n int) *Server {
	if n >= len(p.emergency) {
		return nil
	}
	return p.emergency[n]
}

// Abuse returns the server for clients that are denied, or nil.
func (p *Pool) Abuse() *Server { return used(p.abuse) }

func used(s *Server) *Server {
	if s.Used() {
		return s
	}
	return nil
}

// Holds reports whether a server is still one of the pool's, be it the emergency
// or the abuse server.
func (p *Pool) Holds(s *Server) bool { return s != nil && p.any(s.Slot) == s }

// any returns the server of a slot, which may be the emergency or the abuse
// server's, or nil.
func (p *Pool) any(slot int) *Server {
	switch slot {
	case EmergencySlot:
		return p.Emergency(0)
	case AbuseSlot:
		return p.Abuse()
	}
	return p.At(slot)
}

// Take counts a connection that begins. It reports whether the connection is
// the server's trial: then its end is told by Succeed, Fail or Forgo.
func (p *Pool) Take(s *Server) (trial bool) {
	p.count(s, 1)
	if s.absence == present || p.panics && s.Slot >= 0 || s.away(p.now) {
		return false
	}
	s.trial = true
	p.place(s)
	return true
}

// Release counts a connection that ended, with the bytes that it moved. With
// its last connection a server's trial is over as well.
func (p *Pool) Release(s *Server, sent, received uint64) {
	p.count(s, -1)
	s.sent += sent
	s.received += received
	if s.trial && s.conns == 0 {
		p.Forgo(s)
	}
}

func (p *Pool) count(s *Server, n int) {
	s.conns += n
	if p.owns(s) {
		p.conns += n
		p.recount(s)
	}
}

// Clone returns a copy that shares nothing with p that can change, such as for
// explaining a choice without making it. Its servers are others: those that
// flows hold belong to p.
func (p *Pool) Clone() *Pool {
	c := *p
	c.servers = make([]*Server, len(p.servers))
	copies := make([]Server, len(p.servers)) // one allocation for all
	for i, s := range p.servers {
		copies[i] = *s
		c.servers[i] = &copies[i]
	}
	c.emergency, c.abuse = slices.Clone(p.emergency), p.abuse.clone()
	for i, s := range c.emergency {
		c.emergency[i] = s.clone()
	}
	// What is off the table and still warming is of no interest.
	c.warming = nil
	for _, s := range p.warming {
		if w := c.any(s.Slot); w != nil {
			c.warming = append(c.warming, w)
		}
	}
	own := func(s *Server) *Server { return c.servers[s.Slot] }
	c.rank, c.expiry = p.rank.Map(own), p.expiry.Map(own)
	c.available, c.open = p.available.clone(), p.open.clone()
	c.weights, c.static = p.weights.clone(), p.static.clone()
	return &c
}
