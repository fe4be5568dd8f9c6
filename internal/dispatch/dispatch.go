package dispatch

import (
	"errors"
	"sync/atomic"
	"time"

	"pen/internal/client"
	"pen/internal/pool"
)

var (
	// ErrDenied says that the access list denies the client, and that there is no abuse
	// server for it.
	ErrDenied = errors.New("denied by access list")
	// ErrFull says that there are as many connections as there may be.
	ErrFull = errors.New("connection table is full")
	// ErrLocal marks a failed connect that is not the server's fault, such as a lack of
	// descriptors: the server is not ejected.
	ErrLocal = errors.New("local failure")
	// ErrAttempt marks a failure that the client may have caused, as with bytes of its
	// own, or that others could forge: the flow goes to another server, but this one is
	// ejected only if pool.Witnesses clients fail in a row.
	ErrAttempt = errors.New("failed attempt")
)

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

// New returns a Dispatcher with the given configuration. now is a clock that never goes
// back. It is called with locks held and must not block.
func New(cfg Config, now func() time.Duration) *Dispatcher {
	d := &Dispatcher{now: now, own: client.New(cfg.ClientsMax), pool: pool.New(), cfg: &Config{}}
	d.moment.Store(&moment{})
	d.Configure(cfg)
	return d
}

// Configure applies a configuration to every decision from now on. Live flows, the client
// table, counts and the states of servers stay.
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

// KillAll ends all live flows, as when the time for draining is over.
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
