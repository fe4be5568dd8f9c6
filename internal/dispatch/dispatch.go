package dispatch

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"pen/internal/acl"
	"pen/internal/client"
	"pen/internal/pool"
)

var (
	// ErrDenied says that the access list denies the client and that there is
	// no abuse server for it.
	ErrDenied = errors.New("denied by access list")
	// ErrFull says that there are as many connections as there may be.
	ErrFull = errors.New("connection table is full")
	// ErrLocal marks the failure of a connect for which the server is not to
	// blame, such as a lack of descriptors: it is not blacklisted.
	ErrLocal = errors.New("local failure")
	// ErrAttempt marks a failure that the client may have caused, as with bytes
	// of its own, or that others could forge: the flow goes to another server,
	// but this one is ejected only if pool.Witnesses clients fail in a row.
	ErrAttempt = errors.New("failed attempt")
)

// Config is everything that the operator says of a service's policy. It is
// not changed after it was handed over.
type Config struct {
	Pool       pool.Settings
	ACLs       *acl.Lists
	ClientACL  int
	NoTracking bool // the client table is kept, but does not choose
	Stubborn   bool // no failover
	// PerDatagram has each datagram of a flow go to the server that the algorithm
	// chooses for it, and no client be remembered; see [Flow.Turn].
	PerDatagram bool
	Tracking    time.Duration // clients are forgotten after this; 0: never
	ClientsMax  int
	// Clients is the client table, where it is shared: then its owner sets its
	// size and its tracking time. nil has the Dispatcher keep one of its own.
	Clients *client.Table
	ConnMax int
	// Budget is what the flows of all services take of, FlowCost each; nil has
	// no end.
	Budget     *Budget
	FlowCost   int
	PendingMax int // flows that may wait for a server at a time; 0: no limit
	Limits     Limits
	// Prefix4 and Prefix6 are how many bits of its address tell a client from
	// others; 0: all. They share an entry of the client table, and limits.
	Prefix4, Prefix6 int
	// Queue is how many flows may wait for a place while all servers are full,
	// and QueueTime for how long; 0: as long as it takes.
	Queue     int
	QueueTime time.Duration
	// EarlyEnd is up to which age it counts against a server that it has ended a
	// connection without a byte; 0: never.
	EarlyEnd time.Duration
	// ConnectTimeout is how long a server may take to accept a connection.
	ConnectTimeout time.Duration
	// Dummy has planes answer clients themselves; see [Flow.Dummy].
	Dummy bool
	// KeepAlive has servers probed that are silent.
	KeepAlive bool
	// Source is the local address for connections to servers; the zero one
	// leaves it to the kernel.
	Source netip.Addr
	// Transparent makes the client's address the local one where there is no
	// Source: servers see their clients.
	Transparent bool
	// EndWithClient and EndWithServer have a flow end as a whole when that side
	// sends no more.
	EndWithClient, EndWithServer bool
	// IdleTimeout is after what time without a byte Sweep ends a flow, and MaxAge
	// after what time from its begin, or up to a tenth earlier; 0 means never.
	IdleTimeout, MaxAge time.Duration
	// CloseDown has Sweep end the flows of servers that checks find down.
	CloseDown bool
	// Rebalance is how many flows a second Sweep may end because their clients
	// belong to another server; they are forgotten, so that they choose anew.
	Rebalance int
	// Idlers is how many connections to servers are kept ready for clients that
	// are still to come, see [Dispatcher.Spares].
	Idlers int
	// Observer is told what happens, and Watch says of what it is told beside changes
	// of servers. nil is nobody.
	Observer Observer
	Watch    Watch

	era   uint32  // set by Configure, which counts
	lists acl.Set // those that decide about clients
}

// setLists finds the access lists that decide about clients.
func (c *Config) setLists() {
	c.lists = acl.SetOf(c.ClientACL)
	for i := range c.Pool.Servers {
		c.lists |= acl.SetOf(c.Pool.Servers[i].ACL)
	}
}

// permitting returns which of the access lists permit a client. It may take a while,
// so it should be called without the lock.
func (c *Config) permitting(client netip.Addr) acl.Set { return c.ACLs.Permitting(c.lists, client) }

// A Dispatcher decides for one service. It is safe for concurrent use.
type Dispatcher struct {
	now     func() time.Duration
	own     *client.Table
	clients atomic.Pointer[clientTable] // of own, or of a shared one
	rules   atomic.Pointer[Config]      // set with mu held; what is in it never changes
	moment  atomic.Pointer[moment]      // of the servers, set by publish
	ready   atomic.Int64                // connections kept ready
	// taken counts live flows and reserved places, pending those of them that have no
	// server yet. Reserve adds without the lock; what takes away holds it, so that
	// nobody misses that there is room.
	taken, pending atomic.Int64

	counters counters
	all      Meter // of the service's bytes

	mu    mutex   // guards all below; unlock gives it back
	cfg   *Config // as rules
	pool  *pool.Pool
	flows flows
	spare int // slot from which the next spare connection goes on
	last  int // slot of the server tried last

	unproven int           // flows of datagrams whose client has not come back after an answer
	room     chan struct{} // closed and dropped when there is room again

	unidentified clientCount // flows in the phase identifying, by their clients

	limits limiter
	queue  waitList // flows that wait for a place
	// passed is, by slot, up to which place in the queue no flow may ever use the
	// server; returning how many of the queue it takes beyond new clients.
	passed    []int64
	returning map[int]int
	waiting   chan struct{} // closed and dropped when a flow waits
	woken     []func()      // called by unlock
	changed   chan struct{} // closed and dropped by publish

	surveys []*survey     // under way
	drains  map[int]drain // by slot
	movedAt time.Duration // when the last flow was moved
	moved   []move        // those of the last returnTime, by Rebalance
}

// New returns a Dispatcher with the given configuration. now is a clock that
// never goes back; it is called with locks held and must not block.
func New(cfg Config, now func() time.Duration) *Dispatcher {
	d := &Dispatcher{now: now, own: client.New(cfg.ClientsMax), pool: pool.New(), cfg: &Config{}}
	d.moment.Store(&moment{})
	d.Configure(cfg)
	return d
}

// Configure makes a configuration effective for every decision from now on.
// Live flows, the client table, counts and the states of servers stay.
func (d *Dispatcher) Configure(cfg Config) {
	clients := cfg.Clients
	if clients == nil {
		clients = d.own
		clients.SetTracking(cfg.Tracking)
		clients.Resize(cfg.ClientsMax)
	}
	c := d.clientTable(clients, Identities(cfg.Pool.Servers))
	cfg.setLists()
	if cfg.Observer == nil {
		cfg.Observer = NoObserver{}
	}
	d.mu.Lock()
	defer d.unlock()
	d.clients.Store(c)
	now := d.now()
	d.setLimits(&cfg)
	cfg.era = d.cfg.era + 1
	d.cfg = &cfg
	d.rules.Store(d.cfg)
	d.pool.Configure(cfg.Pool, now)
	d.requeue()
	d.roomLocked()
	d.offerAll(now)
}

// A mutex counts how often it was locked.
type mutex struct {
	sync.Mutex
	locked uint64
}

// Lock locks it.
func (m *mutex) Lock() {
	m.Mutex.Lock()
	m.locked++
}

// unlock makes a new revision known, and calls those whose wait is over once the lock
// is free.
func (d *Dispatcher) unlock() {
	if m := d.moment.Load(); m != nil && m.revision != d.pool.Revision() {
		d.publish()
	}
	woken := d.woken
	d.woken = nil
	d.mu.Unlock()
	for _, wake := range woken {
		wake()
	}
}

// A moment is what Rule needs to know of the servers of one revision.
type moment struct {
	revision  uint64
	available bool          // a server that is no emergency server
	ends      bool          // at until, when an ejection ends
	until     time.Duration // if ends
}

// publish makes the present revision known to those who watch it without the lock.
func (d *Dispatcher) publish() {
	m := &moment{revision: d.pool.Revision(), available: d.pool.IsAvailable()}
	m.until, m.ends = d.pool.NextReturn()
	d.moment.Store(m)
	if d.changed != nil {
		close(d.changed)
		d.changed = nil
	}
}

// Kill ends a live flow. It reports whether there is one of this number.
func (d *Dispatcher) Kill(id int) bool {
	d.mu.Lock()
	var c Carrier
	if f := d.flows.at(id); f != nil {
		c = f.carrier
	}
	d.unlock()
	if c == nil {
		return false
	}
	c.Kill(ByKill)
	return true
}

// KillAll ends all live flows, as at the end of the time for draining.
func (d *Dispatcher) KillAll() {
	var all []Carrier
	d.inSlices(func(f *Flow) bool {
		all = append(all, f.carrier)
		return true
	}, func() {
		for _, c := range all {
			c.Kill(ByStop)
		}
		all = all[:0]
	})
}
