// Package pool holds the servers of a service: their addresses, limits, weights,
// states and counts, and the algorithms that choose one of them.
//
// A Pool is plain data without a lock of its own; the dispatcher's lock guards it.
// Time is passed in, on any clock that starts at 0 and never goes back. A choice
// costs O(1) or O(log n) and allocates nothing. Only the start and the end of a
// panic cost O(n).
//
// # The state of a server
//
// Four parts of a server's state change independently, each by its own writer. The
// first of the table that says no is what [Pool.Admit] and [Status] report.
//
//	part      values                          who moves it
//	--------  ------------------------------  ----------------------------------------
//	admin     enabled | draining | disabled   the operator (Config.Admin) and the agent
//	                                          (SetAgent); the stricter one counts
//	health    unknown | up | down             health checks (SetHealth); an agent may
//	                                          say down as well (SetAgent)
//	ejection  see below                       live traffic, and the operator (Blacklist)
//	warmth    10 % .. 100 % of the weight     slow start; Tick raises it
//
// Ejection, with the calls that move it:
//
//	             Fail, FailAttempt, EarlyEnd                    time is over (expire)
//	not ejected ----------------------------> ejected until T --------------------------+
//	     ^  ^    Blacklist                      |        ^                              |
//	     |  +-----------------------------------+        | Fail: ejected for longer     v
//	     |    Blacklist 0; Succeed or CheckPassed        +--------------------------- on trial
//	     |    where failed connects ejected it                                          |
//	     +------------------------------------------------------------------------------+
//	          Succeed, CheckPassed: starts slow start if the time was over
//
// On trial, one flow at a time may use the server: Take makes it the trial, and
// Succeed, Fail or AbandonTrial ends that. Under panic (Settings.Panic), when too few
// servers are well, health and ejection do not count; what the operator says does.
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

// Settings is all that the operator configures of a pool.
type Settings struct {
	Servers   []Config // by slot
	Emergency []Config // in the order in which they are tried
	Abuse     Config
	Algorithm Algorithm
	Blacklist time.Duration // how long a failed server is ejected; 0: not at all

	// Maglev is NewMaglev(Servers), made outside of any lock. If it is nil and
	// Algorithm needs it, Configure takes the time to make it.
	Maglev *MaglevTable
	// Bound is how far StaticHash and Maglev may exceed a server's share of all
	// connections: 1.25 is by a quarter. 0 is no bound; values below 1 count as 1.
	Bound float64
	// SlowStart is how long a server that comes back takes to reach its full
	// weight. 0 gives it at once.
	SlowStart time.Duration
	Outlier   Outlier
	// Panic is a percentage: if fewer of the enabled servers are well, health and
	// ejection are ignored. 0 is never.
	Panic int
}

// A Pool is the table of servers with the emergency and the abuse server.
type Pool struct {
	algorithm Algorithm
	blacklist time.Duration
	settings  Settings // without Servers
	now       time.Duration
	rng       rand.PCG

	servers   []*Server
	emergency []*Server
	abuse     *Server

	census   census    // of the servers' standings
	panics   bool      // health and ejection are ignored
	revision uint64    // see Revision
	warming  []*Server // servers in slow start

	turn    int    // slot of the last round-robin choice
	virtual uint64 // clock of smooth round-robin: the deadline of its last choice
	picks   uint64 // choices of LeastConn, so that equals take turns
	conns   int    // of all servers in the table

	available bitset             // its state lets it take connections
	open      bitset             // the algorithm may choose it: available, has a weight, not full
	weights   fenwick            // of the open servers, in units of weightUnit
	static    fenwick            // of all servers, as configured
	rank      heap.Heap[*Server] // the open servers, best first, where Algorithm has an order
	expiry    heap.Heap[*Server] // ejected servers, first to return first
}

// New returns a pool without servers. Its random draws differ from those of any
// other pool unless Seed is called.
func New() *Pool {
	p := &Pool{
		turn:  -1,
		abuse: newServer(AbuseSlot),
	}
	p.Seed(rand.Uint64(), rand.Uint64())
	p.rebuild()
	return p
}

// Seed makes random draws reproducible.
func (p *Pool) Seed(a, b uint64) { p.rng.Seed(a, b) }

// Configure applies settings. Counts, states and the turn of round-robin stay with
// their slots. A slot whose address changes keeps only its counts; one that is no
// longer used also loses its byte counts.
func (p *Pool) Configure(s Settings, now time.Duration) {
	p.advance(now)
	p.settings = s
	p.settings.Servers, p.settings.Emergency = nil, nil
	p.algorithm, p.blacklist = s.Algorithm, s.Blacklist
	if s.Algorithm == Maglev && s.Maglev == nil {
		p.settings.Maglev = NewMaglev(s.Servers)
	}
	for len(p.servers) < len(s.Servers) {
		p.servers = append(p.servers, newServer(len(p.servers)))
	}
	for _, gone := range p.servers[len(s.Servers):] {
		p.configure(gone, &Config{}) // flows may still hold it
	}
	p.servers = p.servers[:len(s.Servers):len(s.Servers)]
	for i := range s.Servers {
		p.configure(p.servers[i], &s.Servers[i])
	}
	p.configureEmergency(s.Emergency)
	p.configure(p.abuse, &s.Abuse)
	p.rebuild()
}

// configureEmergency keeps the state of servers that were there before, in any place.
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
		p.configure(s, &configs[n])
		p.emergency = append(p.emergency, s)
	}
	for _, gone := range before {
		p.configure(gone, &Config{}) // flows may still hold it
	}
}

func (p *Pool) configure(s *Server, c *Config) {
	same := s.Used() && s.Path == c.Path && (c.Path != "" || c.Has(s.Addr))
	out, at := s.out(), s.Addr
	s.Config, s.configured = *c, c
	if same {
		p.Prefer(s, at)
	}
	if !same {
		s.forget()
	}
	if !c.Used() {
		s.sent, s.received = 0, 0
	}
	if same && out && !s.out() {
		p.startWarming(s)
	}
	p.setUntil(s)
}

// advance moves the clock forward.
func (p *Pool) advance(now time.Duration) { p.now = max(p.now, now) }

// owns reports whether a server is part of the pool. Flows may hold removed servers.
func (p *Pool) owns(s *Server) bool {
	if s.Slot < 0 {
		return p.lookup(s.Slot) == s
	}
	return s.Slot < len(p.servers) && p.servers[s.Slot] == s
}

// Len is the number of slots, unused ones included.
func (p *Pool) Len() int { return len(p.servers) }

// Numbers returns how many slots have a server, and how many of those servers are
// available now.
func (p *Pool) Numbers(now time.Duration) (used, available int) {
	p.expire(now)
	for slot := p.available.next(0); slot >= 0; slot = p.available.next(slot + 1) {
		available++
	}
	return p.census.used, available
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

// Abuse returns the server for denied clients, or nil.
func (p *Pool) Abuse() *Server { return used(p.abuse) }

func used(s *Server) *Server {
	if s.Used() {
		return s
	}
	return nil
}

// Holds reports whether a server is still part of the pool, emergency and abuse
// servers included.
func (p *Pool) Holds(s *Server) bool { return s != nil && p.lookup(s.Slot) == s }

// lookup returns the server of any slot, negative ones included, or nil.
func (p *Pool) lookup(slot int) *Server {
	if slot == AbuseSlot {
		return p.Abuse()
	}
	for _, s := range p.emergency {
		if s.Slot == slot {
			return s
		}
	}
	return p.At(slot)
}

// Take counts a new connection. It reports whether the connection is the server's
// trial: then the caller must call Succeed, Fail or AbandonTrial.
func (p *Pool) Take(s *Server) (trial bool) {
	p.count(s, 1)
	if s.ejection == notEjected || p.panics && s.Slot >= 0 || s.shunned(p.now) {
		return false
	}
	s.trial = true
	p.reclassify(s)
	return true
}

// Release uncounts a connection and adds the bytes that it moved. A trial ends with
// the server's last connection.
func (p *Pool) Release(s *Server, sent, received uint64) {
	p.count(s, -1)
	s.sent += sent
	s.received += received
	if s.trial && s.conns == 0 {
		p.AbandonTrial(s)
	}
}

func (p *Pool) count(s *Server, n int) {
	s.conns += n
	if s.Slot >= 0 && p.owns(s) {
		p.conns += n
		p.recount(s)
	}
}

// Clone returns an independent copy, on which a choice can be explained without
// making it. Its servers are copies too: those that flows hold belong to p.
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
	c.warming = nil // without servers that are not in the table any more
	for _, s := range p.warming {
		if w := c.lookup(s.Slot); w != nil {
			c.warming = append(c.warming, w)
		}
	}
	own := func(s *Server) *Server { return c.lookup(s.Slot) }
	c.rank, c.expiry = p.rank.Map(own), p.expiry.Map(own)
	c.available, c.open = p.available.clone(), p.open.clone()
	c.weights, c.static = p.weights.clone(), p.static.clone()
	return &c
}
