package pool

import "time"

// tolerance is how much more than its share a server may have before flows are
// moved away.
const tolerance = 1.25

// Unhealthy reports whether checks or its agent find a server down, and are
// believed.
func (p *Pool) Unhealthy(s *Server) bool { return s.down() && !p.panics }

// ComesBefore reports whether the algorithm would choose s before t, were one of its
// connections to end: a server that is full does not come into question.
func (p *Pool) ComesBefore(s, t *Server) bool {
	return p.algorithm == First && p.owns(s) && s.Slot < t.Slot && p.available.has(s.Slot)
}

// A Leveler says which flows would find a server with less to do. It is for one
// look at all flows: what it is told of flows that go is counted from then on.
type Leveler struct {
	p       *Pool
	fair    float64     // connections for each unit of weight
	leaving map[int]int // by slot
	open    []*Server   // that may get more
}

// Leveler returns nil where the algorithm places clients by their addresses, or
// by order, and where there are not two servers to choose from. arriving is how
// many flows are on their way to a slot.
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
			continue // its part of the others' work is theirs
		}
		conns += s.conns
		weights += p.weight(s)
		l.open = append(l.open, s)
	}
	if len(l.open) == 0 {
		return nil
	}
	// The servers that get nothing more have what they have, but it counts where
	// there is too much of it.
	l.fair = float64(conns) / weights
	return l
}

// weight is what a server's share of the work goes by.
func (p *Pool) weight(s *Server) float64 {
	if p.algorithm.weighs() {
		return float64(s.share()) / wholeShare
	}
	return 1
}

// IsOver reports whether a server has clearly more than its share.
func (l *Leveler) IsOver(s *Server) bool {
	w := l.p.weight(s)
	return w > 0 && float64(s.conns-l.leaving[s.Slot]-1) > tolerance*l.fair*w+1
}

// Better returns the server with the least to do that a flow of s would be better
// off at, of those that ok accepts, or nil.
func (l *Leveler) Better(s *Server, arriving func(slot int) int, ok func(*Server) bool) *Server {
	var best *Server
	least := float64(s.conns-l.leaving[s.Slot]) / l.p.weight(s) / tolerance
	for _, t := range l.open {
		load := float64(t.conns+arriving(t.Slot)+1) / l.p.weight(t)
		if t == s || load >= least || t.Max > 0 && t.conns+arriving(t.Slot) >= t.Max {
			continue
		}
		if l.p.algorithm == LeastTime && !sooner(l.p, t, s) || !ok(t) {
			continue
		}
		best, least = t, load
	}
	return best
}

// Goes notes that a flow of s is moved.
func (l *Leveler) Goes(s *Server) { l.leaving[s.Slot]++ }
