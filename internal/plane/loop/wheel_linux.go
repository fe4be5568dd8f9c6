package loop

import (
	"math/bits"
	"time"
)

const (
	tick      = 4 * time.Millisecond
	wheelSize = 1024 // slots: 4 s a turn
)

// A timer is a record's place in the wheel.
type timer struct {
	due        uint32 // tick; valid while it is set
	next, prev int32  // records in the same slot, or -1; prev is unset where it is not set
}

const unset = -2

func (t *timer) reset() { *t = timer{next: -1, prev: unset} }

// A wheel has the timers of records, by the tick at which they are due. A timer that is
// due after more than one turn stays in its slot meanwhile.
type wheel struct {
	rs    *records
	clock uint32 // the present tick: timers are set from it
	now   uint32 // the tick up to which timers have gone off
	slots [wheelSize]int32
	used  [wheelSize / 64]uint64 // which slots have timers
	armed int
}

func (w *wheel) init(rs *records) {
	w.rs = rs
	for i := range w.slots {
		w.slots[i] = -1
	}
}

// ticks converts a time to ticks, rounded up, at least one.
func ticks(d time.Duration) uint32 { return uint32(min(max(1, (d+tick-1)/tick), 1<<30)) }

// arm sets a record's timer. It goes off at most a tick late.
func (w *wheel) arm(id int32, after time.Duration) {
	w.disarm(id)
	t := &w.rs.at(id).timer
	t.due = w.clock + ticks(after)
	slot := t.due % wheelSize
	t.next, t.prev = w.slots[slot], -1
	if t.next >= 0 {
		w.rs.at(t.next).timer.prev = id
	}
	w.slots[slot] = id
	w.used[slot/64] |= 1 << (slot % 64)
	w.armed++
}

func (w *wheel) disarm(id int32) {
	t := &w.rs.at(id).timer
	if t.prev == unset {
		return
	}
	slot := t.due % wheelSize
	if t.prev >= 0 {
		w.rs.at(t.prev).timer.next = t.next
	} else {
		w.slots[slot] = t.next
	}
	if t.next >= 0 {
		w.rs.at(t.next).timer.prev = t.prev
	}
	if w.slots[slot] < 0 {
		w.used[slot/64] &^= 1 << (slot % 64)
	}
	t.reset()
	w.armed--
}

// advance moves to a tick, and appends to out the records whose timers went off.
func (w *wheel) advance(to uint32, out []int32) []int32 {
	w.clock = to
	if to-w.now > wheelSize {
		w.now = to - wheelSize // each slot once
	}
	for w.now != to {
		if w.armed == 0 {
			w.now = to
			break
		}
		w.now++
		for id := w.slots[w.now%wheelSize]; id >= 0; {
			t := &w.rs.at(id).timer
			next := t.next
			if int32(t.due-to) <= 0 {
				w.disarm(id)
				out = append(out, id)
			}
			id = next
		}
	}
	return out
}

// next returns the number of ticks to the next slot with timers, at most a turn.
func (w *wheel) next() uint32 {
	slot := (w.now + 1) % wheelSize
	for n := uint32(0); n < wheelSize; {
		word := w.used[(slot+n)%wheelSize/64] >> ((slot + n) % 64)
		if word != 0 {
			return min(n+uint32(bits.TrailingZeros64(word)), wheelSize-1) + 1
		}
		n += 64 - (slot+n)%64
	}
	return wheelSize
}
