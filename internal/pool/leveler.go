package pool

import "time"

// tolerance is the factor by which a server may exceed its share before flows are
// moved away.
const tolerance = 1.25

// Unhealthy reports whether checks or the agent find a server down, without a panic in
// which that is ignored.
func (p *Pool) Unhealthy(s *Server) bool { return s.down() && !p.panics }

// ComesBefore reports whether First would choose s before t if one of the connections
// of s ended.
func (p *Pool) ComesBefore(s, t *Server) bool {
	return p.algorithm == First && s.Slot >= 0 && p.owns(s) && s.Slot < t.Slot && p.available.has(s.Slot)
}

// A Leveler finds flows that another server could serve with less load. It lasts for
// one walk over all flows, during which it counts those that leave their servers.
type Leveler struct {
	p       *Pool
	fair    float64     // connections for each unit of weight
	leaving map[int]int // by slot
	open    []*Server   // that may get more
}

// Leveler returns nil if the algorithm places clients by address or by order, or no
// server may get more. arriving returns how many flows are on their way to a slot.
func (p *Pool) Leveler(arriving func(slot int) int, now time.Duration) *Leveler {
	switch p.algorithm {
	case Hash, HashPort, Prio, First, StaticHash, Maglev:
		return nil
	}
	p.expire(now)
	l := &Leveler{p: p, leaving: map[int]int{}}
	conns, weights := 0, 0.0
	for slot := p.open.next(0); slot >= 0; slot = p.open.next(slot + 1) {
		s := p.servers[slot]
		if more := arriving(slot); s.Max > 0 && s.conns+more >= s.Max || p.HalfOpen(s) {
			continue // it takes no share of the others' load
		}
		conns += s.conns
		weights += p.weight(s)
		l.open = append(l.open, s)
	}
	if len(l.open) == 0 {
		return nil
	}
	l.fair = float64(conns) / weights
	return l
}

// weight is proportional to a server's share of the load.
func (p *Pool) weight(s *Server) float64 {
	if p.algorithm.weighs() {
		return float64(s.effectiveWeight()) / weightUnit
	}
	return 1
}

// IsOver reports whether a server has clearly more than its share.
func (l *Leveler) IsOver(s *Server) bool {
	w := l.p.weight(s)
	return w > 0 && float64(s.conns-l.leaving[s.Slot]-1) > tolerance*l.fair*w+1
}

// Better returns the least loaded server that ok accepts and where a flow of s finds
// clearly less load, or nil.
func (l *Leveler) Better(s *Server, arriving func(slot int) int, ok func(*Server) bool) *Server {
	var best *Server
	least := float64(s.conns-l.leaving[s.Slot]) / l.p.weight(s) / tolerance
	for _, t := range l.open {
		load := float64(t.conns+arriving(t.Slot)+1) / l.p.weight(t)
		if t == s || load >= least || t.Max > 0 && t.conns+arriving(t.Slot) >= t.Max {
			continue
		}
		if l.p.algorithm == LeastTime && !lessTime(l.p, t, s) || !ok(t) {
			continue
		}
		best, least = t, load
	}
	return best
}

// Moved counts a flow that leaves s.
func (l *Leveler) Moved(s *Server) { l.leaving[s.Slot]++ }
