package dispatch

import (
	"time"

	"pen/internal/pool"
)

// A flow waits where it came too early for a rate, and where every server that
// would take it is full. Time ends the first wait. The second one ends with a
// place at a server, which is counted as the flow's before it knows: no flow that
// comes later can take it.

const (
	// TickTime is how often [Dispatcher.Tick] must be called while flows wait.
	TickTime = 10 * time.Millisecond
	// maxTurns is how often a flow may get a place in vain, because its server
	// can't be reached, before it goes on without waiting.
	maxTurns = 3
)

// A wait is what a flow has that waits, or has to.
type wait struct {
	prev, next *Flow         // in its list
	wake       func()        // ends the plane's wait, or nil
	delay      time.Duration // how long it must wait before anything else; 0 once it does
	until      time.Duration // delayed: when that is over
	since      time.Duration // queued: when it came
	seq        int64         // queued: its place in the order
	turns      uint8         // queued: how many times so far
}

func (f *Flow) waitState() *wait {
	if f.wait == nil {
		f.wait = &wait{}
	}
	return f.wait
}

// delay makes Next wait before it offers a server, for at least t.
func (f *Flow) delay(t time.Duration) {
	if t > f.mustWait() {
		f.waitState().delay = t
	}
}

func (f *Flow) mustWait() time.Duration {
	if f.wait == nil {
		return 0
	}
	return f.wait.delay
}

// A waitList is flows that wait, in their order.
type waitList struct {
	first, last *Flow
	n           int
}

// insert puts a flow in front of another one, or at the end if that is nil.
func (l *waitList) insert(f, before *Flow) {
	after := l.last
	if before != nil {
		after = before.wait.prev
	}
	f.wait.prev, f.wait.next = after, before
	*l.nextOf(after), *l.prevOf(before) = f, f
	l.n++
}

func (l *waitList) remove(f *Flow) {
	w := f.wait
	*l.nextOf(w.prev), *l.prevOf(w.next) = w.next, w.prev
	w.prev, w.next = nil, nil
	l.n--
}

// nextOf returns the link that points to f's successor, or to the first flow if f is
// nil. prevOf mirrors it.
func (l *waitList) nextOf(f *Flow) **Flow {
	if f == nil {
		return &l.first
	}
	return &f.wait.next
}

func (l *waitList) prevOf(f *Flow) **Flow {
	if f == nil {
		return &l.last
	}
	return &f.wait.prev
}

// Wait is for after Next has returned false. It reports false if the client must
// be given up. If true, the client must be kept, and wake will be called when
// Next must be called again: once at most, by any goroutine, perhaps before Wait
// returns, and perhaps after Done where that comes at the same time. wake must
// not block or call the Dispatcher; no lock of the Dispatcher's is held.
//
// Done ends a wait as it ends everything.
func (f *Flow) Wait(wake func()) bool {
	f.d.mu.Lock()
	state := f.phase
	if f.isWaiting() {
		f.wait.wake = wake
	}
	f.d.unlock()
	if state == woken {
		wake()
	}
	return state == delayed || state == queued || state == woken
}

// insert puts the flow into a list, where it waits.
func (f *Flow) insert(l *waitList, before *Flow, as phase, now time.Duration) {
	l.insert(f, before)
	f.enterPhase(as)
	if r := f.record(); r != nil {
		r.waiting = now
	}
	if d := f.d; d.waiting != nil {
		close(d.waiting)
		d.waiting = nil
	}
}

// dequeue takes the flow out of the list that it waits in, if it does.
func (f *Flow) dequeue() {
	if r := f.record(); r != nil {
		switch waited := f.d.now() - r.waiting; f.phase {
		case delayed:
			r.Delayed += waited
		case queued:
			r.Queued += waited
		}
	}
	switch f.phase {
	case delayed:
		f.d.limits.delayed.remove(f)
	case queued:
		f.d.queue.remove(f)
		f.d.expects(f, -1)
	}
}

// wakeUp ends the flow's wait.
func (f *Flow) wakeUp() {
	d, wake := f.d, f.wait.wake
	f.dequeue()
	f.wait.wake = nil
	f.enterPhase(woken)
	if wake != nil {
		d.woken = append(d.woken, wake)
	}
}

// startDelay delays a flow that came too early. It reports false for other flows.
func (f *Flow) startDelay(now time.Duration) bool {
	if f.mustWait() == 0 {
		return false
	}
	w := f.wait
	w.delay, w.until = 0, now+w.delay
	f.insert(&f.d.limits.delayed, nil, delayed, now)
	return true
}

// enqueue puts a flow that has found no server into the queue. It reports false
// where there is nothing to wait for, or no room to wait: then the flow goes on
// along its route.
func (f *Flow) enqueue(now time.Duration) bool {
	d, turns := f.d, f.turns()
	if f.why == QueueTime || d.cfg.Queue == 0 || turns == maxTurns || !f.isForPlace(now) {
		return false
	}
	if d.queue.n >= d.cfg.Queue {
		f.why = QueueFull
		return false
	}
	w := f.waitState()
	var before *Flow
	if turns == 0 {
		w.since = now
	} else {
		before = d.queue.first // it was the first
	}
	w.turns++
	f.number(before)
	f.insert(&d.queue, before, queued, now)
	d.expects(f, 1)
	if turns > 0 { // what has room by now was not offered
		d.offerAll(now)
	}
	return true
}

// turns is how often the flow was queued.
func (f *Flow) turns() uint8 {
	if f.wait == nil {
		return 0
	}
	return f.wait.turns
}

// number gives the flow its place in the order of the queue. One that goes to the
// front is unknown to the servers that have passed over it.
func (f *Flow) number(before *Flow) {
	d := f.d
	switch {
	case before != nil:
		f.wait.seq = before.wait.seq - 1
		clear(d.passed)
	case d.queue.last != nil:
		f.wait.seq = d.queue.last.wait.seq + 1
	default:
		f.wait.seq = 1
		clear(d.passed)
	}
}

// expects counts the flows of the queue that a server takes beyond what it takes
// of new clients, since it served them before.
func (d *Dispatcher) expects(f *Flow, n int) {
	slot := int(f.remembered)
	if s := d.pool.At(slot); s == nil || !f.mayUse(s) {
		return
	}
	if d.returning == nil {
		d.returning = map[int]int{}
	}
	if d.returning[slot] += n; d.returning[slot] <= 0 {
		delete(d.returning, slot)
	}
}

// requeue counts anew what depends on the configuration.
func (d *Dispatcher) requeue() {
	clear(d.passed)
	clear(d.returning)
	for f := d.queue.first; f != nil; f = f.wait.next {
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
	return (!cfg.Stubborn || s.Slot == int(f.first)) && f.isPermitted(s.ACL)
}

// couldUse reports whether only limits keep the flow from a server. One that had
// a place in vain may use any that has room by now.
func (f *Flow) couldUse(s *pool.Server, now time.Duration) bool {
	d, returning := f.d, s.Slot == int(f.remembered)
	switch d.pool.Admit(s, returning, now) {
	case pool.Full:
		return returning || d.cfg.Pool.Algorithm != pool.Weight || s.Weight > 0
	case pool.Admitted:
		return f.turns() > 0 || d.overRate(s.Slot, now)
	}
	return false
}

// offer gives the free places of a server to the flows that wait, the first one
// first. Its cost is that of the flows that get a place: those that the server may
// never take are looked at once, and where it has room only for clients that it
// served before, the queue is searched if there are some.
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
		next := f.wait.next
		switch {
		case !f.mayUse(s):
			if passing {
				d.pass(s.Slot, f.wait.seq)
			}
		case f.fits(s, now):
			f.wakeUp()
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
	for next := d.queue.last; next != nil && next.wait.seq > d.passed[slot]; next = next.wait.prev {
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

// offerAll does so for all servers.
func (d *Dispatcher) offerAll(now time.Duration) {
	for slot := d.pool.Next(0, now); slot != pool.None && d.queue.n > 0; slot = d.pool.Next(slot+1, now) {
		d.offer(d.pool.At(slot), now)
	}
}

// Waiting returns nil while a flow waits, and otherwise a channel that is closed
// when one starts to.
func (d *Dispatcher) Waiting() <-chan struct{} {
	d.mu.Lock()
	defer d.unlock()
	if d.queue.n+d.limits.delayed.n > 0 {
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
	for f := d.limits.delayed.first; f != nil; { // in no order of time, but few
		next := f.wait.next
		if f.wait.until <= now {
			f.wakeUp()
		}
		f = next
	}
	d.offerAll(now)
	for f := d.queue.first; f != nil && d.cfg.QueueTime > 0 && now-f.wait.since >= d.cfg.QueueTime; f = d.queue.first {
		f.why = QueueTime
		f.wakeUp()
	}
}
