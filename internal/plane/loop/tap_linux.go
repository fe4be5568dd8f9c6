package loop

import "time"

// A tap is what a connection has beside its record where somebody is to be
// told of what is read.
type tap struct {
	log   [2]func([]byte)         // by the half that reads, or nil
	spend func(int) time.Duration // nil: unlimited
	piece int                     // with spend: bytes to read at a go
}

// most is how many bytes a tapped half may read at a go.
func (l *loop) most(id int32, n int) int {
	if w := l.taps[id]; w.spend != nil {
		return min(n, w.piece)
	}
	return n
}

// see shows what was read, and pays for it. What is to be shown can't be
// spliced, and small pieces are not worth it.
func (l *loop) see(id int32, r *record, from uint8, b []byte) {
	t := l.taps[id]
	log := t.log[from]
	if log != nil || t.spend != nil && t.piece < smallSplice {
		r.half[from].full = 0
	}
	if log != nil {
		log(b)
	}
	l.pay(id, r, from, len(b))
}

// pay counts what was read; a half that has read too much pauses, and while it
// does the kernel does not tell of more.
func (l *loop) pay(id int32, r *record, from uint8, n int) {
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

// armPause sets the timer for the half whose pause ends first, if there is one.
func (l *loop) armPause(id int32, r *record) {
	first := int32(-1)
	for i := range r.half {
		if h := &r.half[i]; h.paused() {
			if left := max(int32(h.until-l.wheel.clock), 0); first < 0 || left < first {
				first = left
			}
		}
	}
	if first >= 0 {
		l.wheel.arm(id, time.Duration(first)*tick)
	}
}

// unpause goes on with the halves whose pauses are over.
func (l *loop) unpause(id int32, r *record) {
	for i := range r.half {
		h := &r.half[i]
		if h.paused() && int32(l.wheel.clock-h.until) >= 0 {
			h.until = 0
			if l.pump(id, r, uint8(i)); !r.relays() {
				return
			}
		}
	}
	l.armPause(id, r)
}
