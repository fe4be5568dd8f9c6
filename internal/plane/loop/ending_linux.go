package loop

import (
	"syscall"
	"time"

	"pen/internal/dispatch"
	"pen/internal/plane"
)

// maxLook is how many ticks pass between two looks at a side that takes its last
// bytes, at most.
const maxLook = 16

// ended passes on the end of what one side sends. The other way goes on.
func (l *loop) ended(id int32, r *record, from uint8) {
	h, other := &r.half[from], &r.half[1-from]
	if other.eof.Load() == 0 && (r.broken || r.side[from].ready&failed != 0) && wasReset(r.side[from].fd.Load()) {
		if r.ending = r.ending.Then(r.stop); r.stop == dispatch.NotEnded {
			r.note(from, syscall.ECONNRESET)
		}
		l.abort(id, r, 1-from)
		return
	}
	l.releaseHalf(h)
	h.over = true
	r.note(from, nil)
	// A side that took no more may still have said all: what it said is whole.
	stopped := r.broken
	r.broken, r.stop = false, dispatch.NotEnded
	switch {
	case r.ends[from]:
		h.setEOF()
		l.drain(id, r, 1-from)
	case !other.over:
		h.setEOF()
		if to := &r.side[1-from]; to.ready&(canRead|ending) == canRead|ending && !other.waits() {
			// The other side has probably ended as well: then there is nothing to
			// pass on.
			l.pump(id, r, 1-from)
			if !r.relays() {
				return
			}
		}
		shutdown(r.side[1-from].fd.Load())
	case stopped:
		h.setEOF()
		shutdown(r.side[1-from].fd.Load())
		l.drain(id, r, 1-from)
	default:
		h.setEOF()
		l.finish(id, r)
	}
}

// writeFailed says that one side takes nothing any more. What it sent before
// is still worth delivering: the other half does that, unless it is over.
func (l *loop) writeFailed(id int32, r *record, from uint8, errno syscall.Errno) {
	r.stop, r.broken = plane.Ending(1-from == server, errno), true
	r.half[from].over = true
	l.releaseHalf(&r.half[from])
	if r.half[1-from].over {
		r.note(1-from, errno)
		l.abort(id, r, from)
		return
	}
	r.side[1-from].ready |= canRead | ending
	l.pump(id, r, 1-from)
}

// abort resets both sides, after what was written to one of them before the
// error has arrived there: a client gets what its server sent before it died,
// and then a reset, lest the stream look complete.
func (l *loop) abort(id int32, r *record, last uint8) {
	r.broken = true
	l.drain(id, r, last)
}

// drain ends a connection when one side has all that was written to it: to
// close it with bytes unread would take them back.
func (l *loop) drain(id int32, r *record, last uint8) {
	for i := range r.half {
		r.half[i].over = true
		l.releaseHalf(&r.half[i])
	}
	r.state, r.last = draining, last
	r.unsent, r.waited, r.pause = -1, 0, 1
	r.due = l.wheel.clock + ticks(l.p.drain.InAll)
	l.look(id, r)
}

// look ends a connection that is drained or broken, or takes too long.
func (l *loop) look(id int32, r *record) {
	fd := r.side[r.last].fd.Load()
	left := int32(unsent(fd))
	if left == 0 || wasReset(fd) || r.waited > ticks(l.p.drain.Still) || int32(l.wheel.clock-r.due) >= 0 {
		l.finish(id, r)
		return
	}
	if left == r.unsent {
		r.waited += uint32(r.pause)
	} else {
		r.unsent, r.waited = left, 0
	}
	l.wheel.arm(id, time.Duration(r.pause)*tick)
	r.pause = min(2*r.pause, maxLook)
}

// finish closes a connection, orderly if nothing was amiss.
func (l *loop) finish(id int32, r *record) {
	l.wheel.disarm(id)
	for i := range r.half {
		l.releaseHalf(&r.half[i])
		fd := r.side[i].fd.Load()
		switch {
		case fd < 0:
		case r.broken:
			resetFD(fd)
		default:
			closeFD(fd)
		}
	}
	delete(l.taps, id)
	l.rs.flow(id).Done(r.ending)
	l.rs.put(id)
	l.live.Add(-1)
}

// kill resets a connection, if it is still the one that is meant.
func (l *loop) kill(id int32, gen uint32, why dispatch.Ending) {
	if r := l.rs.at(id); r.state != free && r.side[client].gen == gen {
		r.broken, r.ending = true, r.ending.Then(why)
		l.finish(id, r)
	}
}

// timeUp does what was put off.
func (l *loop) timeUp(id int32) {
	switch r := l.rs.at(id); r.state {
	case connecting:
		l.outOfTime(id, r)
	case retrying:
		l.retry(id, r)
	case relaying:
		l.unpause(id, r)
	case draining:
		l.look(id, r)
	case answering:
		r.ending = dispatch.ByIdleTimeout
		l.finish(id, r)
	}
}
