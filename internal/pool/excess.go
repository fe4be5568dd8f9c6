package pool

import (
	"math"
	"time"
)

// tolerance is how much more than its share a server may have without an excess.
const tolerance = 1.25

// Unhealthy reports whether checks or its agent find a server down, and are
// believed.
func (p *Pool) Unhealthy(s *Server) bool { return s.down() && !p.panics }

// Excess returns, by slot, how many connections a server has above its share of
// all those of the available servers, if that is clearly more; nil where the
// algorithm places clients by their addresses, or by order.
func (p *Pool) Excess(now time.Duration) map[int]int {
	switch p.algorithm {
	case Hash, HashPort, Prio, First, StaticHash, Maglev:
		return nil
	}
	weight := func(s *Server) float64 {
		if p.algorithm.weighs() {
			return float64(s.Weight)
		}
		return 1
	}
	conns, weights := 0, 0.0
	for slot := p.Next(0, now); slot != None; slot = p.Next(slot+1, now) {
		conns += p.servers[slot].conns
		weights += weight(p.servers[slot])
	}
	var out map[int]int
	for slot := p.Next(0, now); slot != None; slot = p.Next(slot+1, now) {
		s := p.servers[slot]
		share := int(math.Ceil(tolerance * float64(conns) * weight(s) / max(weights, 1)))
		if n := s.conns - share - 1; n > 0 {
			if out == nil {
				out = map[int]int{}
			}
			out[slot] = n
		}
	}
	return out
}
