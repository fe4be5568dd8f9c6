package loop

import (
	"pen/internal/plane/relay"
	"pen/internal/sock"
)

// waits keeps a client that is to wait. It reports false for one that is to be
// given up.
func (l *loop) waits(id int32, r *record) bool {
	gen := r.side[relay.Client].gen
	if !l.rs.flow(id).Wait(func() { l.post(note{kind: noteWake, id: id, gen: gen}) }) {
		return false
	}
	r.state = waiting
	l.checkWaiting(id, r)
	return true
}

// checkWaiting ends a connection whose client is gone before its wait is over.
func (l *loop) checkWaiting(id int32, r *record) {
	if r.side[relay.Client].ready&failed != 0 {
		err := sock.Failure(int(r.side[relay.Client].fd.Load()))
		l.giveUp(id, r, endingOf(relay.Client, err), true)
	}
}

// awake goes on with a connection that has waited, if it is still the one that
// is meant.
func (l *loop) awake(id int32, gen uint32) {
	if r := l.rs.at(id); r.state == waiting && r.side[relay.Client].gen == gen {
		r.state = connecting
		l.connect(id, r)
	}
}
