package loop

import (
	"time"

	"pen/internal/dispatch"
	"pen/internal/plane/relay"
	"pen/internal/plane/splice"
)

// A tap is for a connection whose bytes are logged or metered.
type tap struct {
	shown   *dispatch.Tap   // nil: no bytes are
	meter   *dispatch.Meter // nil: unlimited
	maxRead int             // with meter: bytes to read at a go
}

// maxRead is how many bytes a tapped half may read at a go.
func (l *loop) maxRead(id int32, n int) int {
	if t := l.taps[id]; t.meter != nil {
		return min(n, t.maxRead)
	}
	return n
}

// show logs what was read, and charges for it. What is logged can't be spliced, and
// small pieces are not worth it.
func (l *loop) show(id int32, r *record, from relay.Side, b []byte) {
	t := l.taps[id]
	fromClient := from == relay.Client
	if t.shown.Sees(fromClient) || t.meter != nil && t.maxRead < splice.SmallSplice {
		r.half[from].full = 0
	}
	t.shown.Show(fromClient, b)
	l.charge(id, r, from, len(b))
}

// charge counts what was read. A half that has read too much pauses, without events
// for more.
func (l *loop) charge(id int32, r *record, from relay.Side, n int) {
	t := l.taps[id]
	if t.meter == nil {
		return
	}
	pause := t.meter.Charge(n)
	if pause <= 0 {
		return
	}
	r.half[from].until = max(1, l.wheel.clock+ticks(pause))
	l.setQuiet(id, r, from, true)
	l.armPause(id, r)
}

// armPause sets the timer for the pause that ends first, if there is one.
func (l *loop) armPause(id int32, r *record) {
	first := int32(-1)
	for i := range r.half {
		if h := &r.half[i]; h.isPaused() {
			if left := max(int32(h.until-l.wheel.clock), 0); first < 0 || left < first {
				first = left
			}
		}
	}
	if first >= 0 {
		l.wheel.arm(id, time.Duration(first)*tick)
	}
}

// unpause continues the halves whose pauses are over.
func (l *loop) unpause(id int32, r *record) {
	for i := range r.half {
		h := &r.half[i]
		if h.isPaused() && int32(l.wheel.clock-h.until) >= 0 {
			h.until = 0
			if l.pump(id, r, relay.Side(i)); !l.relays(id) {
				return
			}
		}
	}
	l.armPause(id, r)
}
