package loop

import (
	"sync"
	"sync/atomic"
)

// Processors are those of Go's that the loops of several planes share. While there are
// more loops than processors, a loop gives its own away whenever it waits: if it kept
// one, loops that have work would wait for it, up to 10 ms.
type Processors struct {
	n     int32
	loops atomic.Int32
	first sync.Once
	begin func()
}

// NewProcessors returns n Processors. begin, unless it is nil, is called once, before
// the first loop runs.
func NewProcessors(n int, begin func()) *Processors {
	if begin == nil {
		begin = func() {}
	}
	return &Processors{n: int32(n), begin: begin}
}

func (p *Processors) add(loops int) {
	if p != nil {
		p.first.Do(p.begin)
		p.loops.Add(int32(loops))
	}
}

// suffice reports whether each loop may keep a processor.
func (p *Processors) suffice() bool { return p == nil || p.loops.Load() <= p.n }
