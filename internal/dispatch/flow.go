package dispatch

import (
	"errors"
	"net/netip"
	"time"

	"pen/internal/acl"
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
	ClientEOF, ServerEOF bool   // the side has closed, in order, its direction
	ClientFD, ServerFD   int    // descriptors, -1 where there is none
}

// A Flow is one client's journey from Admit to Done. It belongs to one goroutine or
// loop at a time; after Done it must not be touched. The package comment shows its
// phases.
//
// There may be a million of them: what few flows have is behind pointers.
type Flow struct {
	d       *Dispatcher
	carrier Carrier
	client  endpoint
	id      int32
	budget  *Budget
	table   *client.Table // that counts it among its client's connections, or nil
	route
	attempt
	movedAt time.Duration // when Sweep last saw that bytes had moved
	moved   uint32        // and how many these were, modulo 2^32

	usage     int32   // number of its client's in limiter.clients, or 0
	era       uint32  // Config.era of permits
	ruled     uint32  // revision of the servers at the last Rule
	permits   acl.Set // access lists that permit its client
	cost      uint16  // what it takes of the budget
	phase     phase
	judgement judgement
	proof     proof
	why       Refusal // what it is refused for if no server is left

	wait  *wait  // of a flow that waits, or has to wait, or has waited in vain
	extra *extra // of a flow whose bandwidth is limited or that is recorded
}

// An attempt is a flow's current target, and what came of it.
type attempt struct {
	server *pool.Server // counted, or nil
	// since is when the server became the target, and from Up on when it was up.
	since  time.Duration
	trial  bool // the server failed before, and no other flow tries it
	served bool // this flow was up, here or elsewhere: its bytes are its client's
}

// Dummy reports whether the plane must answer the client itself, with a fixed page,
// instead of calling Next.
func (f *Flow) Dummy() bool {
	if f.phase == identifying {
		f.d.mu.Lock()
		defer f.d.unlock()
		f.choose()
	}
	return f.phase == answering
}

// Diverted reports whether the flow is for the abuse server.
func (f *Flow) Diverted() bool { return f.isDiverted() }

// key is what the client is known by; invalid for a client of a Unix socket.
func (f *Flow) key() netip.Addr { return f.d.cfg.key(f.client.addr()) }

// Client is where the client comes from; invalid for one of a Unix socket.
func (f *Flow) Client() netip.AddrPort { return f.client.addrPort() }

// Next returns the next server to try, already counted, and false when there is none
// left: the client must be given up. A route says in which order servers come; each
// is offered once. A plane calls Failed before it calls Next again, and Wait before
// it gives the client up.
func (f *Flow) Next() (t Target, ok bool) {
	f.lock()
	defer f.d.unlock()
	ok = f.nextTarget(&t, f.d.now())
	return t, ok
}

// nextTarget is Next with the lock held.
func (f *Flow) nextTarget(t *Target, now time.Duration) bool {
	d := f.d
	switch {
	case f.phase == woken && f.server != nil:
		f.enterPhase(offered)
		f.target(t, f.server)
		return true
	case f.phase == identifying || f.phase == reserved:
		f.choose()
	case f.phase == woken:
		f.enterPhase(choosing)
	}
	s := f.anotherAddress()
	if s == nil && f.startDelay(now) {
		return false
	}
	for s == nil {
		switch f.stage {
		case stageQueue, stageStubborn:
			if f.enqueue(now) {
				return false
			}
			f.stage++
		case stageEnd:
			d.counters.refused[f.why].Add(1)
			return false
		}
		s = f.next(f, now)
		if s != nil && !f.admitted(s, now) {
			f.passOver(s)
			s = nil
		}
	}
	f.take(s, now)
	f.enterPhase(offered)
	f.target(t, s)
	return true
}

// lock takes the Dispatcher's lock. Where the configuration has changed since the access
// lists were asked about the client, it asks them again first, without the lock.
func (f *Flow) lock() {
	d := f.d
	d.mu.Lock()
	for f.era != d.cfg.era && f.judgement != unjudged {
		cfg, client := d.cfg, f.client.addr()
		d.unlock()
		permits := cfg.permitting(client)
		d.mu.Lock()
		f.permits, f.era = permits, cfg.era
	}
}

// isPermitted reports whether an access list permits the flow's client.
func (f *Flow) isPermitted(list int) bool {
	if cfg := f.d.cfg; f.era != cfg.era { // it has changed while the flow waits
		f.permits, f.era = cfg.permitting(f.client.addr()), cfg.era
	}
	return f.permits&acl.SetOf(list) != 0
}

// take makes a server the flow's current target.
func (f *Flow) take(s *pool.Server, now time.Duration) {
	d := f.d
	f.trial = d.pool.Take(s)
	d.countServer(s.Slot, now)
	f.server, f.since = s, now
	f.tryAddress(s)
	d.last = s.Slot
}

// admitted reports whether a server takes the flow, after those that wait for it:
// nobody overtakes them.
func (f *Flow) admitted(s *pool.Server, now time.Duration) bool {
	fits := f.fits(s, now)
	if fits && f.d.queue.n > 0 {
		f.d.offer(s, now)
		fits = f.fits(s, now)
	}
	return fits
}

// fits reports whether a server takes the flow.
func (f *Flow) fits(s *pool.Server, now time.Duration) bool {
	v := f.verdict(s, now)
	if r := f.record(); r != nil {
		shown := v
		if v == pool.Admitted && f.stage >= stageStubborn && s.Slot >= 0 && f.d.pool.HalfOpen(s) {
			shown = LastResort
		}
		r.step(s, shown)
	}
	return v == pool.Admitted
}

// verdict is the outcome of the admission test (specification, section 7). The abuse
// and the emergency servers ignore access lists.
func (f *Flow) verdict(s *pool.Server, now time.Duration) pool.Verdict {
	returning := s.Slot >= 0 && s.Slot == int(f.remembered)
	admit := f.d.pool.Admit
	if f.stage >= stageStubborn && s.Slot >= 0 {
		admit = f.d.pool.AdmitEjected
	}
	v := admit(s, returning, now)
	switch {
	case v != pool.Admitted:
		return v
	case f.d.overRate(s.Slot, now):
		return OverRate
	case s.Slot >= 0 && !f.isPermitted(s.ACL):
		return NotPermitted
	}
	return pool.Admitted
}

// who returns the client as the algorithms see it.
func (f *Flow) who() netip.AddrPort { return netip.AddrPortFrom(f.key(), f.client.port) }

// Failed says that the connect to the last target failed, or that a server was
// lost with which the flow was up: it is no longer counted. It is ejected at once,
// or as [pool.Outlier] says, unless err wraps ErrLocal or ErrAttempt. Failed
// reports whether it is taken out of rotation now, for the log. Next goes on with
// the servers that were not offered yet. A server with an address that the flow has
// not tried has not failed: Next offers that first.
func (f *Flow) Failed(err error) (ejected bool) {
	d := f.d
	d.mu.Lock()
	defer d.unlock()
	s, now := f.server, d.now()
	f.record().tried(f, Unreachable, now)
	another := f.tryAnother(s)
	if !another {
		f.exclude(s)
	}
	f.release(NotEnded, now)
	f.enterPhase(choosing)
	switch {
	case another, isLocal(err):
	case errors.Is(err, ErrAttempt):
		ejected = d.pool.FailAttempt(s, f.client.addr(), now)
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
	if f.isUp() {
		f.judgeEnd(f.server, t, e, now)
	}
	for _, s := range f.d.surveys {
		s.leaves(f)
	}
	was := f.credited()
	f.d.pool.Release(f.server, t.FromClient-was.sent, t.FromServer-was.received)
	if f.trial {
		f.d.pool.AbandonTrial(f.server)
	}
	f.server, f.trial = nil, false
	if now := (volume{t.FromClient, t.FromServer}); e == NotEnded && now != was {
		f.history().credited = now
	}
}

// credited is what servers that the flow has left were credited with.
func (f *Flow) credited() volume {
	if f.past == nil {
		return volume{}
	}
	return f.past.credited
}

// Up says that the connection to the last target is made: the server works, and
// the client table remembers it, unless it is the emergency or the abuse server.
func (f *Flow) Up() {
	d := f.d
	d.mu.Lock()
	now := d.now()
	took := now - f.since
	f.record().tried(f, pool.Admitted, now)
	f.connected(now)
	f.preferAddress()
	d.pool.Observe(f.server, took, now)
	if d.pool.Succeed(f.server, now) {
		d.tell(f.server, Reconnects)
	}
	m := f.memo(f.server.Slot, now)
	d.unlock()
	m.write()
}

// connected says that the flow is up.
func (f *Flow) connected(now time.Duration) {
	f.enterPhase(up)
	f.served, f.trial, f.movedAt, f.since = true, false, now, now
	f.wait = nil
	if r := f.record(); r != nil && r.Connected == 0 {
		r.Connected = now
	}
}

// idleFor is how long nothing was moved, as far as it was looked at. A flow that
// was told to wait is not idle.
func (f *Flow) idleFor(now time.Duration) time.Duration {
	t := f.carrier.Traffic()
	if n := uint32(t.FromClient + t.ToServer + t.FromServer + t.ToClient); n != f.moved {
		f.moved, f.movedAt = n, now
	}
	if f.extra != nil {
		f.movedAt = max(f.movedAt, f.extra.meter.pausedUntil())
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
	served, table, s, now := f.served, f.table, f.server, d.now()
	var key netip.Addr
	if served {
		key = f.key()
	}
	f.dequeue()
	o, r := d.cfg.Observer, f.endRecord(e, t, now)
	if s != nil {
		f.release(e, now)
	}
	d.uncountFlow(f)
	f.vacate()
	if s != nil {
		d.offer(s, now)
	}
	if e == ByDisplacement {
		d.note(Displaced)
	}
	d.unlock()
	switch {
	case table != nil:
		table.End(key, t.ToClient, t.FromClient)
	case served:
		d.clients.Load().Add(key, t.ToClient, t.FromClient)
	}
	if r != nil {
		o.Ended(r)
	}
}
