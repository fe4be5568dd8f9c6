package dispatch

import (
	"net/netip"
	"sync/atomic"
	"time"

	"pen/internal/pool"
)

// A Place is room for one connection: one of Config.ConnMax, and its part of the
// Budget. It ends with exactly one of its methods.
type Place struct {
	d      *Dispatcher
	budget *Budget
	cost   int
}

// Reserve takes a place for a connection before it is accepted, so that several
// listeners that share a limit do not accept more than it allows. Where there is
// none, full is not nil: a channel that is closed when it is worth asking again,
// while clients wait in the kernel's queue. It takes the lock only if there is none.
func (d *Dispatcher) Reserve() (p Place, full <-chan struct{}) {
	for !d.takePlace() {
		if full := d.awaitRoom(); full != nil {
			return Place{}, full
		}
	}
	cfg := d.rules.Load()
	p = Place{d, cfg.Budget, cfg.FlowCost}
	if full := p.budget.take(p.cost); full != nil {
		p.cost = 0
		p.Release()
		return Place{}, full
	}
	return p, nil
}

// Room returns nil if Reserve would find a place now, and otherwise a channel
// that is closed when it is worth asking again. It is a hint, for planes that
// must accept before they reserve: another listener may take the place meanwhile.
func (d *Dispatcher) Room() <-chan struct{} {
	cfg := d.rules.Load()
	if d.taken.Load() >= int64(cfg.ConnMax) || cfg.PendingMax > 0 && d.pending.Load() >= int64(cfg.PendingMax) {
		if full := d.awaitRoom(); full != nil {
			return full
		}
	}
	return cfg.Budget.room(cfg.FlowCost)
}

// takePlace counts a place as taken and pending, if there is one.
func (d *Dispatcher) takePlace() bool {
	cfg := d.rules.Load()
	if !addBelow(&d.taken, cfg.ConnMax) {
		return false
	}
	if cfg.PendingMax == 0 {
		d.pending.Add(1)
		return true
	}
	if addBelow(&d.pending, cfg.PendingMax) {
		return true
	}
	d.mu.Lock() // others may have found no place because of this one
	defer d.unlock()
	d.taken.Add(-1)
	d.roomLocked()
	return false
}

// addBelow adds 1 to a number that is below a limit.
func addBelow(n *atomic.Int64, limit int) bool {
	for {
		is := n.Load()
		if is >= int64(limit) {
			return false
		}
		if n.CompareAndSwap(is, is+1) {
			return true
		}
	}
}

// awaitRoom returns a channel that is closed when there may be room, or nil if there is
// some now.
func (d *Dispatcher) awaitRoom() <-chan struct{} {
	d.mu.Lock()
	defer d.unlock()
	if d.hasRoom() {
		return nil
	}
	return d.roomChanged()
}

// hasRoom reports whether there may be another flow that waits for a server,
// as far as this Dispatcher goes.
func (d *Dispatcher) hasRoom() bool {
	return d.taken.Load() < int64(d.cfg.ConnMax) && (d.cfg.PendingMax == 0 || d.pending.Load() < int64(d.cfg.PendingMax))
}

// roomChanged returns a channel that is closed when hasRoom may have changed.
func (d *Dispatcher) roomChanged() <-chan struct{} {
	if d.room == nil {
		d.room = make(chan struct{})
	}
	return d.room
}

func (d *Dispatcher) roomLocked() {
	if d.room != nil && d.hasRoom() {
		close(d.room)
		d.room = nil
	}
}

// reserve takes a place whether or not flows wait for a server. The part of the
// budget of a flow that is to end in its favour goes with it. The lock is held.
func (d *Dispatcher) reserve(from *Flow) (Place, <-chan struct{}) {
	if !addBelow(&d.taken, d.cfg.ConnMax) {
		return Place{}, d.roomChanged()
	}
	d.pending.Add(1)
	p := Place{d, d.cfg.Budget, d.cfg.FlowCost}
	missing := p.cost
	if from != nil && from.budget == p.budget {
		missing -= int(from.cost)
	}
	if full := p.budget.take(missing); full != nil {
		p.cost = 0
		p.giveBack()
		return Place{}, full
	}
	if from != nil && from.budget == p.budget {
		from.cost = 0
	}
	return p, nil
}

// Release gives the place back.
func (p Place) Release() {
	p.d.mu.Lock()
	defer p.d.unlock()
	p.giveBack()
}

func (p Place) giveBack() {
	p.budget.give(p.cost)
	p.d.taken.Add(-1)
	p.settle()
}

// settle says that the place itself is pending no longer: it is given back, or its flow
// counts instead.
func (p Place) settle() {
	p.d.pending.Add(-1)
	p.d.roomLocked()
}

// A Start is a connection whose client was admitted.
type Start struct {
	Flow   *Flow
	Dummy  bool // what [Flow.Dummy] returns
	Target Target
	Found  bool // as Next has returned it, unless Dummy
}

// Begin judges the client of the connection and returns its flow, for which the caller
// must call Done, with what Dummy and Next return, in a single hold of the lock. It returns
// ErrDenied or ErrLimited for a client that is refused. The client's address is invalid if
// it came by a Unix socket.
func (p Place) Begin(client netip.AddrPort, c Carrier) (s Start, err error) {
	n := p.d.newcomer(client)
	p.d.mu.Lock()
	defer p.d.unlock()
	f, err := p.judge(&n, c)
	if err == nil {
		f.start(&s, n.now)
	}
	return s, err
}

// Begin is Dummy and Next at once, for a flow whose client was asked something first.
func (f *Flow) Begin() (s Start) {
	f.lock()
	defer f.d.unlock()
	if f.phase == identifying {
		f.choose()
	}
	f.start(&s, f.d.now())
	return s
}

func (f *Flow) start(s *Start, now time.Duration) {
	s.Flow, s.Dummy = f, f.phase == answering
	if !s.Dummy {
		s.Found = f.nextTarget(&s.Target, now)
	}
}

func (p Place) judge(n *newcomer, c Carrier) (*Flow, error) {
	denied, err := p.d.denies(n)
	if err != nil {
		p.giveBack()
		p.d.refuse(n.at, Denied)
		return nil, err
	}
	return p.admit(n, denied, c)
}

func (p Place) admit(n *newcomer, denied bool, c Carrier) (*Flow, error) {
	defer p.settle()
	f := p.flow(c)
	if err := f.enter(n, denied); err != nil {
		p.d.tellRefused(n.at, f.why)
		f.vacate()
		return nil, err
	}
	f.choose()
	return f, nil
}

// Open makes a flow of a connection whose client has yet to say something. The
// caller must call Admit next, or Done. Before Next is called the flow does not count
// as one that waits for a server, and keeps out none that does.
func (p Place) Open(c Carrier) *Flow {
	p.d.mu.Lock()
	defer p.d.unlock()
	defer p.settle()
	return p.flow(c)
}

// flow makes the place a flow's, which no limit counts yet but that of all flows.
func (p Place) flow(c Carrier) *Flow {
	f := p.d.flows.take()
	f.d, f.carrier, f.remembered, f.why = p.d, c, pool.None, NoServer
	f.budget, f.cost, f.ruled = p.budget, uint16(p.cost), uint32(p.d.pool.Revision())
	f.startRecord()
	return f
}
