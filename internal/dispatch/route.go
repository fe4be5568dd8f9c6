package dispatch

import (
	"net/netip"
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

// A route is the order in which a flow is offered servers: the one that its client
// used last, or that the algorithm chooses; others that the algorithm chooses, if it
// is none of Pen's; the rest in the order of their slots, once around; a wait for a
// place at one that is full; the emergency servers; and a few that were ejected, as
// there is nothing else. The zero value is at the start.
type route struct {
	remembered int32 // slot that the client used last, or pool.None
	first      int32 // slot that was chosen first, or pool.None; see also Prefer
	slot       int32 // from which a scan goes on
	stage      stage
	past       *history // nil as long as the first server does
}

type stage uint8

const (
	stagePick      stage = iota
	stagePreferred       // as stagePick, but with the server that first names
	stageAbuse           // the abuse server, and no other
	stageAgain           // as the algorithm chooses
	stageScan            // in the order of slots
	stageRescan          // likewise, from slot 0 to the first one
	stageQueue           // a wait for a place; Next does that
	stageEmergency
	// From here on ejected servers are admitted.
	stageStubborn // as stageQueue, without failover: only the first one, also if it is ejected
	stageEjected
	stageEnd
)

// A history is what a flow has tried, and left behind.
type history struct {
	slots     []int // of servers that the algorithm chose, or that failed
	failed    []int // of those that failed
	again     int   // choices of the algorithm
	ejected   int   // ejected servers that were offered
	emergency int   // servers of last resort that were
	addresses addressTries
	credited  volume // with which servers that it has left were credited
}

func (r *route) history() *history {
	if r.past == nil {
		r.past = &history{}
	}
	return r.past
}

// next takes one step for a flow and returns the server found there, which may not
// admit it, or nil.
func (r *route) next(f *Flow, now time.Duration) *pool.Server {
	switch p := f.d.pool; r.stage {
	case stageAbuse:
		r.stage = stageEnd
		return p.Abuse()
	case stagePick, stagePreferred:
		return r.pick(f.d.cfg, p, f.who(), now)
	case stageAgain:
		return r.pickAgain(p, f.who(), now)
	case stageScan, stageRescan:
		return r.scan(p, now)
	case stageEmergency:
		return r.emergency(p)
	case stageEjected:
		return r.ejected(f, now)
	}
	return nil
}

// pick chooses the first server and what comes after it. A client whose server
// was taken out of the table chooses anew.
func (r *route) pick(cfg *Config, p *pool.Pool, client netip.AddrPort, now time.Duration) *pool.Server {
	if r.stage != stagePreferred || p.At(int(r.first)) == nil {
		r.first = r.remembered
		if cfg.NoTracking || cfg.PerDatagram || p.At(int(r.first)) == nil {
			r.first = int32(p.Pick(client, now))
		}
	}
	r.slot = r.first + 1
	switch {
	case cfg.Stubborn:
		r.stage = stageStubborn
	case r.first == pool.None:
		r.stage = stageQueue
	case cfg.Pool.Algorithm.Spreads():
		r.stage = stageAgain
	default:
		r.stage = stageScan
	}
	return p.At(int(r.first))
}

// pickAgain returns another server that the algorithm chooses.
func (r *route) pickAgain(p *pool.Pool, client netip.AddrPort, now time.Duration) *pool.Server {
	h := r.history()
	if h.again == maxAgain {
		r.stage = stageScan
		return nil
	}
	h.again++
	slot := p.PickOther(client, h.slots, now)
	if slot == pool.None {
		r.stage = stageScan
	}
	return p.At(slot)
}

// scan returns the next server in the order of slots, from the first one's once
// around.
func (r *route) scan(p *pool.Pool, now time.Duration) *pool.Server {
	slot := p.Next(int(r.slot), now)
	switch {
	case slot == pool.None && r.stage == stageScan:
		r.stage, r.slot = stageRescan, 0
		return nil
	case slot == pool.None || r.stage == stageRescan && slot >= int(r.first):
		r.stage = stageQueue
		return nil
	}
	r.slot = int32(slot) + 1
	if r.past != nil && slices.Contains(r.past.slots, slot) {
		return nil
	}
	return p.At(slot)
}

// emergency returns the next server of last resort.
func (r *route) emergency(p *pool.Pool) *pool.Server {
	n := 0
	if r.past != nil {
		n = r.past.emergency
	}
	s := p.Emergency(n)
	if p.Emergency(n+1) == nil {
		r.stage = stageEjected
	} else {
		r.history().emergency++
	}
	return s
}

// ejected returns a server that others have found dead: it may be back, and there
// is nothing else for the client.
func (r *route) ejected(f *Flow, now time.Duration) *pool.Server {
	h := r.history()
	slot := pool.None
	hasWaited := f.why == QueueFull || f.why == QueueTime // for a place at one that works
	if h.ejected < maxEjected && !hasWaited {
		slot = f.d.pool.Ejected(now, func(s *pool.Server) bool {
			return (!f.d.cfg.Stubborn || r.first == pool.None || s.Slot == int(r.first)) && !slices.Contains(h.failed, s.Slot) && f.verdict(s, now) == pool.Admitted
		})
	}
	if slot == pool.None {
		r.stage = stageEnd
		return nil
	}
	h.ejected++
	return f.d.pool.At(slot)
}

// passOver says that the server that was found does not take the client.
func (r *route) passOver(s *pool.Server) {
	if r.stage == stageAgain && s.Slot >= 0 {
		r.history().slots = append(r.history().slots, s.Slot)
	}
}

// exclude has a server that failed not offered again.
func (r *route) exclude(s *pool.Server) {
	if s.Slot >= 0 {
		h := r.history()
		h.slots, h.failed = append(h.slots, s.Slot), append(h.failed, s.Slot)
	}
}

// restart puts a flow back to the start of its route.
func (f *Flow) restart() {
	f.stage, f.why, f.wait = stagePick, NoServer, nil
	if f.isDiverted() {
		f.stage = stageAbuse
	}
	if f.past != nil {
		*f.past = history{credited: f.past.credited}
	}
}

// startOver sends a flow through all servers but this one.
func (f *Flow) startOver(s *pool.Server) {
	if s.Slot < 0 || f.d.cfg.Stubborn {
		return
	}
	f.restart()
	f.first, f.slot, f.stage = int32(s.Slot), int32(s.Slot)+1, stageScan
	if f.d.cfg.Pool.Algorithm.Spreads() {
		f.stage = stageAgain
	}
}
