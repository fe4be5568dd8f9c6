package dispatch

import (
	"time"

	"pen/internal/pool"
)

const (
	// returnTime is how long the client of a moved flow is expected at the server that
	// the flow was moved for.
	returnTime = 5 * time.Second
	// maxLooks bounds the searches for a better server in one sweep.
	maxLooks = 256
)

// A move is a flow that was ended so that its client goes to another server, by slot.
type move struct {
	slot int
	at   time.Duration
}

// A rebalancing is the part of a sweep that moves flows that belong elsewhere.
type rebalancing struct {
	moves    int           // flows that may still be moved
	leveler  *pool.Leveler // where the algorithm goes by counts
	looks    int
	arriving map[int]int // by slot: flows that are on their way
}

// planMoves computes how many flows may be moved now: as many as Rebalance allows for the
// time since the last sweep, or for one second if that is less.
func (s *sweep) planMoves() {
	d := s.d
	if d.cfg.Rebalance == 0 {
		d.movedAt, d.moved = s.now, nil
		return
	}
	gap := time.Second / time.Duration(d.cfg.Rebalance)
	d.movedAt = max(d.movedAt, s.now-time.Second)
	if gap > 0 {
		s.moves = int((s.now - d.movedAt) / gap)
		d.movedAt += time.Duration(s.moves) * gap
	}
	if s.moves == 0 {
		return
	}
	for len(d.moved) > 0 && s.now-d.moved[0].at >= returnTime {
		d.moved = d.moved[1:]
	}
	s.arriving = map[int]int{}
	for _, m := range d.moved {
		s.arriving[m.slot]++
	}
	s.leveler, s.looks = d.pool.Leveler(s.arrivingAt, s.now), maxLooks
}

func (s *sweep) arrivingAt(slot int) int { return s.arriving[slot] }

// belongsElsewhere reports whether a new client like this one would go to another server
// that takes it, and counts it there.
func (s *sweep) belongsElsewhere(f *Flow) bool {
	if f.server.Slot == pool.AbuseSlot || f.phase == leaving {
		return false
	}
	to := s.elsewhere(f)
	if to == nil {
		return false
	}
	f.enterPhase(leaving)
	s.arriving[to.Slot]++
	s.d.moved = append(s.d.moved, move{to.Slot, s.now})
	if s.leveler != nil {
		s.leveler.Moved(f.server)
	}
	return true
}

// elsewhere returns the server that a new client like this one would go to, or nil if it
// would come back.
func (s *sweep) elsewhere(f *Flow) *pool.Server {
	p, slot := s.d.pool, f.server.Slot
	takes := func(t *pool.Server) bool {
		full := t.Max > 0 && t.Conns()+s.arriving[t.Slot] >= t.Max
		return t != f.server && !full && !p.HalfOpen(t) && f.verdict(t, s.now) == pool.Admitted
	}
	preferred, ok := p.Preferred(f.who())
	if pool.IsEmergency(slot) && !ok {
		preferred, ok = p.Next(0, s.now), true
	}
	if ok {
		if to := p.At(preferred); to != nil && takes(to) && !p.ComesBefore(f.server, to) {
			return to
		}
		return nil
	}
	if s.leveler == nil || s.looks == 0 || !s.leveler.IsOver(f.server) {
		return nil
	}
	s.looks--
	return s.leveler.Better(f.server, s.arrivingAt, takes)
}
