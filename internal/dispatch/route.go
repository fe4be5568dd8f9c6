package dispatch

import (
	"slices"
	"time"

	"pen/internal/pool"
)

const (
	// maxAgain is how many more servers the algorithm chooses for a client whose
	// first one does not do, before the rest is gone through by slot.
	maxAgain = 3
	// maxEjected is how many ejected servers a client is offered where there is no
	// other, as each may take the time of a connect to fail.
	maxEjected = 3
)

// tried are the servers that a flow has left behind, of those that the algorithm
// chose or that failed.
type tried struct {
	slots   []int // of both sorts
	failed  []int // of those that failed
	again   int   // choices of the algorithm
	ejected int   // ejected servers that were offered
	// emergency is how many servers of last resort were.
	emergency int
}

func (f *Flow) trail() *tried {
	if f.tried == nil {
		f.tried = &tried{}
	}
	return f.tried
}

// passOver says that a server was found and does not take the client.
func (f *Flow) passOver(s *pool.Server) {
	if f.stage == stageAgain && s.Slot >= 0 {
		f.trail().slots = append(f.trail().slots, s.Slot)
	}
}

// fail says that a server failed, which is not offered again.
func (f *Flow) fail(s *pool.Server) {
	if s.Slot >= 0 {
		t := f.trail()
		t.slots, t.failed = append(t.slots, s.Slot), append(t.failed, s.Slot)
	}
}

// startOver has the flow go through all servers but this one.
func (f *Flow) startOver(s *pool.Server) {
	if s.Slot < 0 || f.d.cfg.Stubborn {
		return
	}
	f.restart()
	f.first, f.next, f.stage = s.Slot, s.Slot+1, stageScan
	if f.d.cfg.Pool.Algorithm.Spreads() {
		f.stage = stageAgain
	}
}

// again returns another server that the algorithm chooses.
func (f *Flow) again(now time.Duration) *pool.Server {
	t := f.trail()
	if t.again == maxAgain {
		f.stage = stageScan
		return nil
	}
	t.again++
	slot := f.d.pool.PickOther(f.who(), t.slots, now)
	if slot == pool.None {
		f.stage = stageScan
	}
	return f.d.pool.At(slot)
}

// scan returns the next server in the order of slots, from the first one's once
// around.
func (f *Flow) scan(now time.Duration) *pool.Server {
	p := f.d.pool
	slot := p.Next(f.next, now)
	switch {
	case slot == pool.None && !f.wrapped:
		f.wrapped, f.next = true, 0
		return nil
	case slot == pool.None || f.wrapped && slot >= f.first:
		f.stage = stageEmergency
		return nil
	}
	f.next = slot + 1
	if f.tried != nil && slices.Contains(f.tried.slots, slot) {
		return nil
	}
	return p.At(slot)
}

// emergency returns the next server of last resort.
func (f *Flow) emergency() *pool.Server {
	n := 0
	if f.tried != nil {
		n = f.tried.emergency
	}
	s := f.d.pool.Emergency(n)
	if f.d.pool.Emergency(n+1) == nil {
		f.stage = stageEjected
	} else {
		f.trail().emergency++
	}
	return s
}

// ejected returns a server that others have found dead: it may be back, and there
// is nothing else for the client.
func (f *Flow) ejected(now time.Duration) *pool.Server {
	t := f.trail()
	slot := pool.None
	hasWaited := f.why == QueueFull || f.why == QueueTime // for a place at one that works
	if t.ejected < maxEjected && !f.diverted && !hasWaited {
		slot = f.d.pool.Ejected(now, func(s *pool.Server) bool {
			return (!f.d.cfg.Stubborn || f.first == pool.None || s.Slot == f.first) && !slices.Contains(t.failed, s.Slot) && f.verdict(s, now) == pool.Admitted
		})
	}
	if slot == pool.None {
		f.stage = stageEnd
		return nil
	}
	t.ejected++
	return f.d.pool.At(slot)
}
