package loop

import (
	"time"

	"pen/internal/plane/relay"
	"pen/internal/plane/splice"
)

// A tap is for a connection whose bytes are logged or metered.
type tap struct {
	log   [2]func([]byte)         // by the side that is read from, or nil
	spend func(int) time.Duration // nil: unlimited
	piece int                     // with spend: bytes to read at a go
}

// maxRead is how many bytes a tapped half may read at a go.
func (l *loop) maxRead(id int32, n int) int {
	if w := l.taps[id]; w.spend != nil {
		return min(n, w.piece)
	}
	return n
}

// show logs what was read, and charges for it. What is logged can't be spliced, and
// small pieces are not worth it.
func (l *loop) show(id int32, r *record, from relay.Side, b []byte) {
	t := l.taps[id]
	log := t.log[from]
	if log != nil || t.spend != nil && t.piece < splice.SmallSplice {
		r.half[from].full = 0
	}
	if log != nil {
		log(b)
	}
	l.charge(id, r, from, len(b))
}

// charge counts what was read. A half that has read too much pauses, without events
// for more.
func (l *loop) charge(id int32, r *record, from relay.Side, n int) {
	w := l.taps[id]
	if w.spend == nil {
		return
	}
	pause := w.spend(n)
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
			if l.pump(id, r, relay.Side(i)); !r.relays() {
				return
			}
		}
	}
	l.armPause(id, r)
}
