package dispatch

import (
	"time"

	"pen/internal/pool"
)

// A flow waits where it came too early for a rate, and where every server that
// would take it is full. Time ends the first wait. The second one ends with a
// place at a server, which is counted as the flow's before it knows: nobody who
// comes later can take it away.

const (
	// TickTime is how often [Dispatcher.Tick] is to be called while flows wait.
	TickTime = 10 * time.Millisecond
	// maxTurns is how often a flow may get a place in vain, because its server
	// can't be reached, before it goes on as one that finds none.
	maxTurns = 3
)

// What a flow is doing about waiting.
type waiting uint8

const (
	moving waiting = iota
	held           // it came too early
	queued         // for a place at a server
	called         // its wait is over, and Next has not been called yet
)

// A line is flows that wait, in their order.
type line struct {
	first, last *Flow
	n           int
}

// insert puts a flow in front of another one, or at the end if that is nil.
func (l *line) insert(f, before *Flow) {
	after := l.last
	if before != nil {
		after = before.ahead
	}
	f.ahead, f.behind = after, before
	*l.fromFront(after), *l.fromBack(before) = f, f
	l.n++
}

func (l *line) remove(f *Flow) {
	*l.fromFront(f.ahead), *l.fromBack(f.behind) = f.behind, f.ahead
	f.ahead, f.behind = nil, nil
	l.n--
}

// fromFront is where it stands who comes after a flow, or who is first if that
// is nil; fromBack likewise from the other end.
func (l *line) fromFront(f *Flow) **Flow {
	if f == nil {
		return &l.first
	}
	return &f.behind
}

func (l *line) fromBack(f *Flow) **Flow {
	if f == nil {
		return &l.last
	}
	return &f.ahead
}

// Wait is for after Next has returned false. It reports false if the client must
// be given up. If true, the client is to be kept, and wake will be called when
// Next is to be called again: once at most, by any goroutine, perhaps before Wait
// returns, and perhaps after Done where that comes at the same time. wake must
// not block or call the Dispatcher; no lock of the Dispatcher's is held.
//
// Done ends a wait as it ends everything.
func (f *Flow) Wait(wake func()) bool {
	f.d.mu.Lock()
	state := f.waits
	if state == held || state == queued {
		f.wake = wake
	}
	f.d.mu.Unlock()
	if state == called {
		wake()
	}
	return state != moving
}

// stand has the flow wait in a line. What waits has a bound of its own, and does
// not keep others from being accepted.
func (f *Flow) stand(l *line, before *Flow, state waiting) {
	l.insert(f, before)
	f.waits = state
	f.settle()
	if d := f.d; d.waiting != nil {
		close(d.waiting)
		d.waiting = nil
	}
}

// leave takes the flow out of its line, if it stands in one.
func (f *Flow) leave() {
	switch f.waits {
	case held:
		f.d.limits.held.remove(f)
	case queued:
		f.d.queue.remove(f)
		f.d.expects(f, -1)
	}
	f.waits, f.wake = moving, nil
}

// call ends the flow's wait.
func (f *Flow) call() {
	d, wake := f.d, f.wake
	f.leave()
	f.waits = called
	f.pending = true
	d.pending++
	if wake != nil {
		d.woken = append(d.woken, wake)
	}
}

// enqueue has a flow that has found no server wait for a place. It reports false
// where there is nothing to wait for, or no room to wait: then the flow goes on
// to the emergency server.
func (f *Flow) enqueue(now time.Duration) bool {
	d := f.d
	if f.noQueue || f.diverted || d.cfg.Queue == 0 || f.turns == maxTurns || !f.isForPlace(now) {
		f.noQueue = true
		return false
	}
	if d.queue.n >= d.cfg.Queue {
		f.noQueue, f.why = true, QueueFull
		return false
	}
	var before *Flow
	if f.turns == 0 {
		f.since = now
	} else {
		before = d.queue.first // it was the first
	}
	f.turns++
	f.number(before)
	f.stand(&d.queue, before, queued)
	d.expects(f, 1)
	if f.turns > 1 { // what has room by now was not offered
		d.offerAll(now)
	}
	return true
}

// number gives the flow its place in the order of the queue. One that goes to the
// front is unknown to the servers that have passed over it.
func (f *Flow) number(before *Flow) {
	d := f.d
	switch {
	case before != nil:
		f.seq = before.seq - 1
		clear(d.passed)
	case d.queue.last != nil:
		f.seq = d.queue.last.seq + 1
	default:
		f.seq = 1
		clear(d.passed)
	}
}

// expects counts the flows of the queue that a server takes beyond what it takes
// of new clients, since it served them before.
func (d *Dispatcher) expects(f *Flow, n int) {
	if s := d.pool.At(f.remembered); s == nil || !f.mayUse(s) {
		return
	}
	if d.returning == nil {
		d.returning = map[int]int{}
	}
	if d.returning[f.remembered] += n; d.returning[f.remembered] <= 0 {
		delete(d.returning, f.remembered)
	}
}

// requeue counts anew what depends on the configuration.
func (d *Dispatcher) requeue() {
	clear(d.passed)
	clear(d.returning)
	for f := d.queue.first; f != nil; f = f.behind {
		d.expects(f, 1)
	}
}

// isForPlace reports whether there is a server that the flow could use, were it
// not full.
func (f *Flow) isForPlace(now time.Duration) bool {
	p := f.d.pool
	for slot := p.Next(0, now); slot != pool.None; slot = p.Next(slot+1, now) {
		if s := p.At(slot); f.mayUse(s) && f.couldUse(s, now) {
			return true
		}
	}
	return false
}

// mayUse reports whether the flow may ever go to a server from the queue.
func (f *Flow) mayUse(s *pool.Server) bool {
	cfg := f.d.cfg
	return (!cfg.Stubborn || s.Slot == f.first) && cfg.ACLs.Permits(s.ACL, f.client.Addr())
}

// couldUse reports whether only limits keep the flow from a server. One that had
// a place in vain may use any that has room by now.
func (f *Flow) couldUse(s *pool.Server, now time.Duration) bool {
	d, returning := f.d, s.Slot == f.remembered
	switch d.pool.Admit(s, returning, now) {
	case pool.Full:
		return returning || d.cfg.Pool.Algorithm != pool.Weight || s.Weight > 0
	case pool.Admitted:
		return f.turns > 0 || d.overRate(s.Slot, now)
	}
	return false
}

// offer gives the free places of a server to those who wait, the first one
// first. It costs as much as flows get a place: those that the server may never
// take are looked at once, and where it has room for clients that it served before
// only, the queue is looked through if there are some.
func (d *Dispatcher) offer(s *pool.Server, now time.Duration) {
	if s.Slot < 0 || d.queue.n == 0 {
		return
	}
	passing := true // all before this one may never use the server
	for f := d.notPassed(s.Slot); f != nil; {
		if d.pool.Admit(s, true, now) != pool.Admitted || d.overRate(s.Slot, now) {
			return
		}
		if d.returning[s.Slot] == 0 && d.pool.Admit(s, false, now) != pool.Admitted {
			return
		}
		next := f.behind
		switch {
		case !f.mayUse(s):
			if passing {
				d.pass(s.Slot, f.seq)
			}
		case f.admitted(s, now):
			f.call()
			f.take(s, now)
		default:
			passing = false
		}
		f = next
	}
}

// notPassed returns the first flow of the queue that the server of a slot has not
// passed over for good.
func (d *Dispatcher) notPassed(slot int) *Flow {
	if slot >= len(d.passed) || d.passed[slot] == 0 {
		return d.queue.first
	}
	var f *Flow
	for next := d.queue.last; next != nil && next.seq > d.passed[slot]; next = next.ahead {
		f = next
	}
	return f
}

func (d *Dispatcher) pass(slot int, seq int64) {
	for len(d.passed) <= slot {
		d.passed = append(d.passed, 0)
	}
	d.passed[slot] = seq
}

// offerAll does so with all servers.
func (d *Dispatcher) offerAll(now time.Duration) {
	for slot := d.pool.Next(0, now); slot != pool.None && d.queue.n > 0; slot = d.pool.Next(slot+1, now) {
		d.offer(d.pool.At(slot), now)
	}
}

// Waiting returns nil while a flow waits, and otherwise a channel that is closed
// when one begins to.
func (d *Dispatcher) Waiting() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.queue.n+d.limits.held.n > 0 {
		return nil
	}
	if d.waiting == nil {
		d.waiting = make(chan struct{})
	}
	return d.waiting
}

// Tick ends the waits that time ends. The owner of the Dispatcher calls it every
// TickTime or so while flows wait, which [Dispatcher.Waiting] tells, until its
// planes have ended. It does not block.
func (d *Dispatcher) Tick() {
	d.mu.Lock()
	defer d.unlock()
	now := d.now()
	for f := d.limits.held.first; f != nil; { // in no order of time, but few
		next := f.behind
		if f.until <= now {
			f.call()
		}
		f = next
	}
	d.offerAll(now)
	for f := d.queue.first; f != nil && d.cfg.QueueTime > 0 && now-f.since >= d.cfg.QueueTime; f = d.queue.first {
		f.noQueue, f.why = true, QueueTime
		f.call()
	}
}
