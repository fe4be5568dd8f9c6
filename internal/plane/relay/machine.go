package relay

import (
	"sync/atomic"

	"pen/internal/dispatch"
)

// A Machine is the state of one connection, and what ended it. The zero value is Open.
// It is safe for concurrent use: the goroutine that reports an event executes its actions.
type Machine struct{ word atomic.Uint32 }

// known is the content of a Machine.
type known struct {
	state   State
	ended   uint8           // the sides that have ended, in order, what they send, as bits
	ending  dispatch.Ending // what ended the connection so far
	refused dispatch.Ending // why one side takes no more bytes: what ended it, if it sends no more either
}

func unpack(word uint32) known {
	return known{State(word), uint8(word >> 8), dispatch.Ending(word >> 16), dispatch.Ending(word >> 24)}
}

func (k known) pack() uint32 {
	return uint32(k.state) | uint32(k.ended)<<8 | uint32(k.ending)<<16 | uint32(k.refused)<<24
}

// after returns what is known after an event, and what must be done.
func (k known) after(side Side, e Event, why dispatch.Ending) (known, Action) {
	to := k.state.on(side, e)
	if to.do&(late|never) != 0 {
		return k, 0
	}
	switch {
	case e == Unwritable && to.do == 0:
		k.refused = why
	case e == Broken:
		k.ending = k.ending.Then(k.refused).Then(why)
	default:
		k.ending = k.ending.Then(why)
	}
	if e == EOF || e == FinalEOF {
		k.ended |= 1 << side
	}
	k.state = to.next
	return k, to.do
}

// On takes an event of a side, and returns what must be done. why is what the event
// means for the record of the flow, if it ends the connection.
func (m *Machine) On(side Side, e Event, why dispatch.Ending) Action {
	for {
		word := m.word.Load()
		k, do := unpack(word).after(side, e, why)
		if m.word.CompareAndSwap(word, k.pack()) {
			return do
		}
	}
}

// Note notes what ended a connection that is not relayed.
func (m *Machine) Note(why dispatch.Ending) {
	for {
		word := m.word.Load()
		k := unpack(word)
		k.ending = k.ending.Then(why)
		if m.word.CompareAndSwap(word, k.pack()) {
			return
		}
	}
}

// State returns the state.
func (m *Machine) State() State { return State(m.word.Load()) }

// Reads is [State.Reads].
func (m *Machine) Reads(from Side) bool { return m.State().Reads(from) }

// Ended reports whether a side has ended, in order, what it sends.
func (m *Machine) Ended(side Side) bool { return unpack(m.word.Load()).ended>>side&1 != 0 }

// Doubtful reports whether an end of stream of a side may hide a reset, whose error may
// have gone to a write. The kernel's state of the connection tells, unless we have ended
// our part of it ourselves.
func (m *Machine) Doubtful(side Side) bool { return !m.Ended(side.Other()) }

// Ending returns what ended the connection so far.
func (m *Machine) Ending() dispatch.Ending { return unpack(m.word.Load()).ending }
