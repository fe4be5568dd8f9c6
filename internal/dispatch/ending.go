package dispatch

import (
	"time"

	"pen/internal/pool"
)

// judgeEnd says how a server has done by a flow that leaves it after it was up.
// A server that takes a connection and ends it at once, without a byte, is
// there and does not work.
func (f *Flow) judgeEnd(s *pool.Server, t Traffic, now time.Duration) {
	answered := t.FromServer > f.credited.received
	byServer := (t.ServerEOF || t.ServerReset) && !t.ClientFirst
	switch {
	case answered:
		f.d.pool.WentWell(s)
	case byServer && now-f.upAt < f.d.cfg.EarlyEnd:
		f.d.early++
		if f.d.pool.EarlyEnd(s, f.client.Addr(), now) {
			f.d.tell(s, "left alone: it ends connections without a byte")
		}
	}
}

// tell tells of a server as soon as the lock is given back by unlock.
func (d *Dispatcher) tell(s *pool.Server, what string) {
	if tell := d.cfg.Tell; tell != nil {
		t := d.target(s)
		d.woken = append(d.woken, func() { tell(t, what) })
	}
}
