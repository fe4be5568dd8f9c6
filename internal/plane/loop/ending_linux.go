package loop

import (
	"syscall"

	"pen/internal/dispatch"
	"pen/internal/plane"
	"pen/internal/plane/relay"
	"pen/internal/plane/splice"
)

// ended is called when a side sends no more.
func (l *loop) ended(id int32, r *record, side relay.Side) {
	s := &r.side[side]
	if r.relay.Doubtful(side) && s.ready&failed != 0 && splice.WasReset(s.fd.Load()) {
		l.broken(id, r, side, syscall.ECONNRESET)
		return
	}
	e := relay.EOF
	if r.final[side] {
		e = relay.FinalEOF
	}
	l.on(id, r, side, e, plane.Ending(side, nil))
}

// broken is called when a side has broken the connection.
func (l *loop) broken(id int32, r *record, side relay.Side, err error) {
	l.on(id, r, side, relay.Broken, plane.Ending(side, err))
}

// unwritable is called when a write to a side has failed. What the side has sent is
// still there to be read.
func (l *loop) unwritable(id int32, r *record, side relay.Side, errno syscall.Errno) {
	r.side[side].ready |= canRead | ending | failed
	l.on(id, r, side, relay.Unwritable, plane.Ending(side, errno))
	if l.relays(id) {
		l.pump(id, r, side)
	}
}

// on reports an event of one side, and executes what follows from it. Afterwards the
// record may be free.
func (l *loop) on(id int32, r *record, side relay.Side, e relay.Event, why dispatch.Ending) {
	do := r.relay.On(side, e, why)
	l.releaseIdle(id, r)
	if do&relay.Close == 0 { // which ends both
		switch {
		case do&relay.EndClient != 0:
			l.shutdown(id, r, relay.Client)
		case do&relay.EndServer != 0:
			l.shutdown(id, r, relay.Server)
		}
	}
	switch {
	case do&relay.Drain != 0:
		r.state, r.wait = draining, relay.Wait{}
		l.checkDrained(id, r)
	case do&relay.Close != 0:
		l.finish(id, r, false)
	case do&relay.Reset != 0:
		l.finish(id, r, true)
	}
}

// releaseIdle gives back what those halves have borrowed that carry nothing any more.
func (l *loop) releaseIdle(id int32, r *record) {
	for i := range r.half {
		if from := relay.Side(i); !r.relay.Reads(from) {
			l.releaseHalf(&r.half[from], token(id, from))
		}
	}
}

// shutdown tells a side that no more will come.
func (l *loop) shutdown(id int32, r *record, to relay.Side) {
	const both = canRead | ending
	if s := &r.side[to]; s.ready&both == both && r.relay.Reads(to) && !r.half[to].isBlocked() {
		// It has probably ended as well: then there is nothing to tell.
		l.pump(id, r, to)
		if !l.relays(id) {
			return
		}
	}
	shutdown(r.side[to].fd.Load())
}

// checkDrained looks at whether a side has its last bytes, or had time enough.
func (l *loop) checkDrained(id int32, r *record) {
	side, _ := r.relay.State().Draining()
	pause, over := r.wait.Look(splice.Unsent(r.side[side].fd.Load()), l.p.drain)
	if over {
		l.on(id, r, side, relay.Drained, dispatch.NotEnded)
		return
	}
	l.wheel.arm(id, pause)
}

// finish closes a connection, in order or with a reset, and frees its record.
func (l *loop) finish(id int32, r *record, reset bool) {
	l.wheel.disarm(id)
	for i := range r.half {
		l.releaseHalf(&r.half[i], token(id, relay.Side(i)))
		fd := r.side[i].fd.Load()
		switch {
		case fd < 0:
		case reset:
			resetFD(fd)
		default:
			closeFD(fd)
		}
	}
	delete(l.taps, id)
	l.rs.flow(id).Done(r.relay.Ending())
	l.rs.put(id)
	l.live.Add(-1)
}

// kill resets a connection, if the record still has the one that is meant.
func (l *loop) kill(id int32, gen uint32, why dispatch.Ending) {
	if r := l.rs.at(id); r.state != free && r.side[relay.Client].gen == gen {
		l.on(id, r, relay.Client, relay.Killed, why)
	}
}

// giveUp closes a connection that was not relayed, in order or with a reset.
func (l *loop) giveUp(id int32, r *record, why dispatch.Ending, reset bool) {
	r.relay.Note(why)
	l.finish(id, r, reset)
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
		l.checkDrained(id, r)
	case answering:
		l.giveUp(id, r, dispatch.ByIdleTimeout, false)
	}
}

// answer gives the client the dummy page when it has said something, whatever that is.
func (l *loop) answer(id int32, r *record) {
	fd := r.side[relay.Client].fd.Load()
	n, errno := splice.Read(fd, l.buf[:maxQuestion])
	switch {
	case isAgain(errno):
		return
	case errno != 0:
		l.giveUp(id, r, plane.Ending(relay.Client, errno), false)
		return
	case n == 0:
		l.giveUp(id, r, dispatch.ByClient, false)
		return
	}
	count(&r.half[relay.Client].read, n)
	if n, errno := splice.Write(fd, []byte(plane.DummyPage)); errno == 0 {
		count(&r.half[relay.Server].written, n)
	}
	l.on(id, r, relay.Client, relay.Complete, dispatch.ByCompletion)
}
