package loop

import (
	"pen/internal/plane"
	"pen/internal/plane/relay"
	"pen/internal/sock"
)

// waitForServer lets a client wait for a server. It reports false where it must not
// wait.
func (l *loop) waitForServer(id int32, r *record) bool {
	gen := r.side[relay.Client].gen
	if !l.rs.flow(id).Wait(func() { l.post(note{kind: noteWake, id: id, gen: gen}) }) {
		return false
	}
	r.state = waiting
	l.checkWaiting(id, r)
	return true
}

// checkWaiting closes a connection whose client has gone while it waited.
func (l *loop) checkWaiting(id int32, r *record) {
	if r.side[relay.Client].ready&failed != 0 {
		err := sock.Failure(int(r.side[relay.Client].fd.Load()))
		l.giveUp(id, r, plane.Ending(relay.Client, err), true)
	}
}

// awake continues a connection that has waited, if the record still has the one that is
// meant.
func (l *loop) awake(id int32, gen uint32) {
	if r := l.rs.at(id); r.state == waiting && r.side[relay.Client].gen == gen {
		r.state = connecting
		l.connect(id, r)
	}
}
