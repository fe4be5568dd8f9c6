package loop

import "sync/atomic"

// A Share is what the loops of several planes have of Go's processors. While
// there are more loops than processors, a loop gives its own away whenever it
// waits: to keep one would have loops that have work wait for it, up to 10 ms.
type Share struct {
	processors int32
	loops      atomic.Int32
}

// NewShare returns a Share of so many processors.
func NewShare(processors int) *Share { return &Share{processors: int32(processors)} }

func (s *Share) add(loops int) {
	if s != nil {
		s.loops.Add(int32(loops))
	}
}

// suffices reports whether each loop may keep a processor.
func (s *Share) suffices() bool { return s == nil || s.loops.Load() <= s.processors }
