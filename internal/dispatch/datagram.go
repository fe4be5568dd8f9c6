package dispatch

import (
	"time"

	"pen/internal/pool"
)

// Flows of datagrams differ from connections in three ways. A datagram that was sent
// proves nothing about the server. Its source address may be forged: a client is
// remembered only when it has come back after an answer. And a flow has no end to wait
// for: a change of the configuration applies to its next datagram.

// Ready says that datagrams can be sent to the last target. Unlike Up it proves
// nothing, and the client table does not remember the client.
func (f *Flow) Ready() {
	d := f.d
	d.mu.Lock()
	defer d.unlock()
	now := d.now()
	f.connected(now)
	if f.proof == needless {
		f.proof = unproven
		d.unproven++
	}
	if !d.pool.Blacklisted(f.server, now) && d.pool.Succeed(f.server, now) {
		d.tell(f.server, GetsDatagram)
	}
}

// Answered says that the server has answered for the first time since Ready. That
// ends a blacklist.
func (f *Flow) Answered() {
	d := f.d
	d.mu.Lock()
	defer d.unlock()
	if f.server == nil {
		return
	}
	now := d.now()
	if r := f.record(); r != nil && r.Answered == 0 {
		r.Answered = now
	}
	f.preferAddress()
	d.pool.Observe(f.server, now-f.since, now)
	if d.pool.Succeed(f.server, now) {
		d.tell(f.server, Answers)
	}
}

// Remember says that the client has come back after an answer: its address is not
// forged. The client table remembers its server.
func (f *Flow) Remember() {
	d := f.d
	d.mu.Lock()
	slot, now := pool.None, d.now()
	if f.server != nil {
		slot = f.server.Slot
	}
	f.prove(proven)
	if slot >= 0 {
		f.remembered = int32(slot)
	}
	var m memo
	if slot >= 0 && !d.cfg.PerDatagram {
		m = f.memo(slot, now)
	}
	d.unlock()
	m.write()
}

// prove takes a flow out of those that are not proven.
func (f *Flow) prove(as proof) {
	if f.proof == unproven {
		f.d.unproven--
	}
	f.proof = as
}

// A Ruling is what becomes of a flow whose client has sent another datagram.
type Ruling uint8

// The three rulings.
const (
	Stay    Ruling = iota // at its server
	Move                  // Leave, then Next
	Rejudge               // the client must be admitted anew: Done, then Admit
)

// Rule returns what the configuration and the state of the servers make of a flow
// now. t is what Next has returned last. It takes no lock unless these have changed
// since the last time, or the flow is at an emergency server and others are available.
func (f *Flow) Rule(t *Target) Ruling {
	d, m := f.d, f.d.moment.Load()
	isOver := m.ends && d.now() >= m.until
	if f.ruled == uint32(m.revision) && !isOver && !(m.available && pool.IsEmergency(t.Slot)) {
		return Stay
	}
	f.lock()
	defer d.unlock()
	d.pool.Tick(d.now())
	s := f.server
	f.ruled = uint32(d.pool.Revision())
	if f.isPermitted(d.cfg.ClientACL) == (f.judgement == onList) {
		return Rejudge
	}
	switch {
	case s == nil: // it waits
		return Stay
	case s.Slot >= 0 && !f.isPermitted(s.ACL):
		return Move
	case s.Path != t.Path, t.Path == "" && !s.Has(t.Addr): // changed, or removed
		return Move
	case f.mustLeave(s, d.now()):
		return Move
	}
	return Stay
}

// mustLeave reports whether the state of a server, or of the others, has a flow
// go elsewhere.
func (f *Flow) mustLeave(s *pool.Server, now time.Duration) bool {
	d := f.d
	if pool.IsEmergency(s.Slot) {
		back := d.pool.At(d.pool.Next(0, now))
		return back != nil && f.verdict(back, now) == pool.Admitted
	}
	switch d.pool.Admit(s, true, now) {
	case pool.Unused, pool.IsDisabled:
		return true
	case pool.IsDraining:
		_, evenly := d.drains[s.Slot] // Sweep ends it
		return !evenly
	case pool.Blacklisted, pool.Ejected, pool.CheckedDown, pool.AgentDown:
		return d.pool.Next(0, now) != pool.None || d.pool.Emergency(0) != nil && f.stage < stageStubborn
	}
	return false
}

// Leave takes a flow off its server, which is not blamed. Next chooses anew.
func (f *Flow) Leave() {
	d := f.d
	d.mu.Lock()
	defer d.unlock()
	s, now := f.server, d.now()
	if s != nil {
		f.release(NotEnded, now)
	}
	f.dequeue()
	f.restart()
	f.enterPhase(choosing)
	if s != nil {
		d.offer(s, now)
	}
}

// Lost says that the server of a flow that is ready can't be reached, as
// [Flow.Failed] does. A flow that was answered there may try all others, whatever
// was offered to it before.
func (f *Flow) Lost(err error) (blacklisted bool) {
	d := f.d
	d.mu.Lock()
	if s := f.server; f.carrier.Traffic().FromServer > f.credited().received {
		f.startOver(s)
	}
	d.unlock()
	return f.Failed(err)
}

// None stands for a slot where there is none.
const None = pool.None

// Turn returns the slot that the algorithm chooses for the next datagram of a flow that
// takes turns, or None where it stays. In per-datagram mode every flow takes turns.
// Otherwise flows of clients that are not tracked do, where the algorithm goes by turns:
// the caller must know that nothing is ever answered.
func (f *Flow) Turn() int {
	d := f.d
	if !d.rules.Load().takesTurns() {
		return pool.None
	}
	f.lock()
	defer d.unlock()
	if f.isDiverted() || f.server == nil || f.server.Slot < 0 {
		return pool.None
	}
	now := d.now()
	s := d.pool.At(d.pool.Pick(f.who(), now))
	if s == nil || f.verdict(s, now) != pool.Admitted && d.pool.Admit(s, true, now) != pool.Full {
		return pool.None
	}
	return s.Slot
}

// Prefer has Next offer the server of a slot first, in the place of the one that
// is remembered or would be chosen. It is for before Next.
func (f *Flow) Prefer(slot int) {
	f.d.mu.Lock()
	defer f.d.unlock()
	if f.stage == stagePick {
		f.first, f.stage = int32(slot), stagePreferred
	}
}
