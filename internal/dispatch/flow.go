package dispatch

import (
	"errors"
	"net/netip"
	"time"

	"pen/internal/client"
	"pen/internal/pool"
)

// A Carrier is what a plane moves a flow's bytes with.
type Carrier interface {
	// Traffic returns what the flow has moved so far. Any goroutine may call it
	// between Admit and Done; it must not block or call the Dispatcher.
	Traffic() Traffic
	// Kill makes the flow end soon, by what the plane then passes to Done. Any
	// goroutine may call it, any number of times, also after Done. It must not
	// block.
	Kill(Ending)
}

// Traffic is what a flow has moved so far.
type Traffic struct {
	FromClient, ToServer uint64 // bytes read from the client, and written on
	FromServer, ToClient uint64 // bytes read from the server, and written on
	ClientEOF, ServerEOF bool   // who has ended, in order, what it sends
	ClientFD, ServerFD   int    // descriptors, -1 where there is none
}

type stage uint8

const (
	stagePick stage = iota
	stageAbuse
	stageAgain // as the algorithm chooses
	stageScan  // in the order of slots
	stageEmergency
	stageEjected
	stageEnd
)

// A Flow is one client's journey from Admit to Done. It belongs to one
// goroutine or loop at a time; after Done it must not be touched.
type Flow struct {
	d          *Dispatcher
	id         int
	live       bool
	carrier    Carrier
	client     netip.AddrPort
	key        netip.Addr // what the client is known by
	budget     *Budget
	cost       int // what it takes of the budget
	remembered int // slot that the client used last, or pool.None
	preferred  int // slot to begin with, plus 1; 0: none; see Prefer

	// The way through the servers: from the one chosen first once around.
	stage   stage
	wrapped bool
	first   int
	next    int
	tried   *tried // nil as long as the first one does

	server   *pool.Server  // the current target, counted
	tries    *addressTries // of the addresses of a server that has several, or nil
	trial    bool          // it failed before, and the flow is the one to try it
	up       bool
	opened   bool // its client has yet to say something
	pending  bool // it was not up yet, and is counted as such
	proven   bool // its client has come back after an answer
	unproven bool // it has not, and is counted as such
	known    bool // it was up once: its bytes are the client's
	// table is the client table that counts it among its client's connections, nil
	// where none does.
	table *client.Table
	// What servers that it has left were credited with.
	credited struct{ sent, received uint64 }

	trace func(*pool.Server, pool.Verdict) // of Explain

	takenAt time.Duration // when its server became its target
	ending  bool          // it was ended so that its client goes elsewhere
	moved   uint64        // bytes, when Sweep last saw a change
	movedAt time.Duration // and when that was
	upAt    time.Duration // when the flow came to its server
	meter   *meter        // of its bytes, or nil

	tally    int32  // number of its client's, or 0
	diverted bool   // it is for the abuse server, and no limit counts it
	denied   bool   // the access list denies its client
	era      uint32 // Dispatcher.era when the access lists were last asked; see Rule

	// Its waits, see Wait.
	waits         waiting
	wake          func()
	ahead, behind *Flow         // in its line
	hold          time.Duration // how long it must wait before anything else
	until         time.Duration // held: when that is over
	since         time.Duration // queued: when it came
	turns         uint8         // queued: how many times so far
	seq           int64         // queued: its place in the order
	noQueue       bool          // it has waited, or can't
	why           Reason        // what it is refused for if no server is left
}

// Dummy reports whether the plane is to answer the client itself, with a fixed
// page, instead of asking for a server.
func (f *Flow) Dummy() bool {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return f.d.cfg.Dummy
}

// Diverted reports whether the flow is for the abuse server.
func (f *Flow) Diverted() bool { return f.diverted }

// Next returns the next server to try, already counted, and false when there
// is none left: the client must be given up. The first is the remembered or
// the chosen one. Then come others that the algorithm chooses, if it is none of
// Pen's, and the rest in the order of their slots, each once; then the emergency
// server; and then servers that were ejected, as there is nothing else. A plane
// calls Failed before it calls Next again, and Wait before it gives the client up.
func (f *Flow) Next() (Target, bool) {
	d := f.d
	d.mu.Lock()
	defer d.unlock()
	now := d.now()
	if f.opened {
		f.expect()
	}
	if f.waits == called {
		f.waits = moving
		if f.server != nil { // a place was kept for it
			return f.target(f.server), true
		}
	}
	if s := f.anotherAddress(); s != nil {
		f.take(s, now)
		return f.target(s), true
	}
	if f.hold > 0 {
		f.hold, f.until = 0, now+f.hold
		f.stand(&d.limits.held, nil, held)
		return Target{}, false
	}
	for {
		if f.stage >= stageEmergency && f.enqueue(now) {
			return Target{}, false
		}
		if f.stage == stageEnd {
			d.refused[f.why]++
			return Target{}, false
		}
		s := f.candidate(now)
		if s == nil {
			continue
		}
		fits := f.admitted(s, now)
		if fits && d.queue.n > 0 {
			d.offer(s, now) // nobody overtakes those who wait
			fits = f.admitted(s, now)
		}
		if !fits {
			f.passOver(s)
			continue
		}
		f.take(s, now)
		return f.target(s), true
	}
}

// take makes a server the flow's current target.
func (f *Flow) take(s *pool.Server, now time.Duration) {
	d := f.d
	f.trial = d.pool.Take(s)
	d.countServer(s.Slot, now)
	f.server, f.takenAt = s, now
	f.tryAddress(s)
	d.last = s.Slot
}

// Client is where the client comes from; invalid for one of a Unix socket.
func (f *Flow) Client() netip.AddrPort { return f.client }

// candidate takes one step on the way and returns the server found there.
func (f *Flow) candidate(now time.Duration) *pool.Server {
	p := f.d.pool
	switch f.stage {
	case stageAbuse:
		f.stage = stageEnd
		return p.Abuse()
	case stagePick:
		return f.pick(now)
	case stageAgain:
		return f.again(now)
	case stageScan:
		return f.scan(now)
	case stageEmergency:
		return f.emergency()
	case stageEjected:
		return f.ejected(now)
	}
	return nil
}

// pick chooses the first server and what comes after it. A client whose server
// was taken out of the table chooses anew.
func (f *Flow) pick(now time.Duration) *pool.Server {
	d := f.d
	f.first = f.remembered
	switch {
	case d.pool.At(f.preferred-1) != nil:
		f.first, f.preferred = f.preferred-1, 0
	case d.cfg.NoTracking, d.cfg.PerDatagram, d.pool.At(f.first) == nil:
		f.first = d.pool.Pick(f.who(), now)
	}
	f.next = f.first + 1
	switch {
	case d.cfg.Stubborn:
		f.stage = stageEjected
	case f.first == pool.None:
		f.stage = stageEmergency
	case d.cfg.Pool.Algorithm.Spreads():
		f.stage = stageAgain
	default:
		f.stage = stageScan
	}
	return d.pool.At(f.first)
}

// admitted is the admission test of section 7.
func (f *Flow) admitted(s *pool.Server, now time.Duration) bool {
	v := f.verdict(s, now)
	if f.trace != nil {
		shown := v
		if v == pool.Admitted && f.stage == stageEjected && s.Slot >= 0 && f.d.pool.HalfOpen(s) {
			shown = LastResort
		}
		f.trace(s, shown)
	}
	return v == pool.Admitted
}

// verdict is the outcome of the admission test. The abuse and the emergency
// server ignore access lists.
func (f *Flow) verdict(s *pool.Server, now time.Duration) pool.Verdict {
	returning := s.Slot >= 0 && s.Slot == f.remembered
	admit := f.d.pool.Admit
	if f.stage == stageEjected && s.Slot >= 0 {
		admit = f.d.pool.AdmitEjected
	}
	v := admit(s, returning, now)
	switch {
	case v != pool.Admitted:
		return v
	case f.d.overRate(s.Slot, now):
		return OverRate
	case s.Slot >= 0 && !f.d.cfg.ACLs.Permits(s.ACL, f.client.Addr()):
		return NotPermitted
	}
	return pool.Admitted
}

// who is the client as algorithms see it.
func (f *Flow) who() netip.AddrPort { return netip.AddrPortFrom(f.key, f.client.Port()) }

// Failed says that the connect to the last target failed, or that a server was
// lost with which the flow was up: it is no longer counted. It is ejected at once,
// or as [pool.Outlier] says, unless err wraps ErrLocal or ErrAttempt. Failed
// reports whether it is left alone from now on, for the log. Next goes on with the
// servers that were not offered yet. A server with an address that the flow has
// not tried has not failed: Next offers that first.
func (f *Flow) Failed(err error) (ejected bool) {
	d := f.d
	d.mu.Lock()
	defer d.unlock()
	s, now := f.server, d.now()
	another := f.tryAnother(s)
	if !another {
		f.fail(s)
	}
	f.release(NotEnded, now)
	switch {
	case another, isLocal(err):
	case errors.Is(err, ErrAttempt):
		ejected = d.pool.FailAttempt(s, f.client.Addr(), now)
	default:
		ejected = d.pool.Fail(s, now)
	}
	d.lost(s, err)
	d.offer(s, now)
	return ejected
}

func isLocal(err error) bool { return errors.Is(err, ErrLocal) }

// release uncounts the current target and credits it with the bytes that were
// moved since the flow came to it. e is NotEnded for a flow that goes on.
func (f *Flow) release(e Ending, now time.Duration) {
	t := f.carrier.Traffic()
	if f.up {
		f.judgeEnd(f.server, t, e, now)
	}
	for _, s := range f.d.surveys {
		s.leaves(f)
	}
	f.d.pool.Release(f.server, t.FromClient-f.credited.sent, t.FromServer-f.credited.received)
	if f.trial {
		f.d.pool.AbandonTrial(f.server)
	}
	f.server, f.trial, f.up = nil, false, false
	f.credited.sent, f.credited.received = t.FromClient, t.FromServer
}

// Up says that the connection to the last target is made: the server works, and
// the client table remembers it, unless it is the emergency or the abuse server.
func (f *Flow) Up() {
	d := f.d
	d.mu.Lock()
	now := d.now()
	f.up, f.known, f.trial, f.movedAt, f.upAt = true, true, false, now, now
	f.preferAddress()
	f.settle()
	slot := f.server.Slot
	d.pool.Observe(f.server, now-f.takenAt, now)
	if d.pool.Succeed(f.server, now) {
		d.tell(f.server, "takes connections again")
	}
	m := f.memo(slot, now)
	d.unlock()
	m.write()
}

// settle says that the flow no longer waits for its first server.
func (f *Flow) settle() {
	if f.pending {
		f.pending = false
		f.d.pending--
		f.d.roomLocked()
	}
}

// idleFor is how long nothing was moved, as far as it was looked at. A flow that
// was told to wait is not idle.
func (f *Flow) idleFor(now time.Duration) time.Duration {
	t := f.carrier.Traffic()
	if n := t.FromClient + t.ToServer + t.FromServer + t.ToClient; n != f.moved {
		f.moved, f.movedAt = n, now
	}
	if f.meter != nil {
		f.movedAt = max(f.movedAt, f.meter.pausedUntil())
	}
	return now - f.movedAt
}

// Done ends the flow, exactly once, whether or not Up was called: its server
// is no longer counted, and its bytes are added to the server's and the
// client's.
func (f *Flow) Done(e Ending) {
	d := f.d
	t := f.carrier.Traffic()
	d.mu.Lock()
	key, known, table, s, now := f.key, f.known, f.table, f.server, d.now()
	f.leave()
	if s != nil {
		f.release(e, now)
	}
	d.uncountFlow(f)
	f.vacate()
	if s != nil {
		d.offer(s, now)
	}
	d.unlock()
	switch {
	case table != nil:
		table.End(key, t.ToClient, t.FromClient)
	case known:
		d.clients.Load().Add(key, t.ToClient, t.FromClient)
	}
}
