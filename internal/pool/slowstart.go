package pool

import (
	"math"
	"slices"
	"time"
)

// firstWarmth is the percentage of its weight that slow start begins with.
const firstWarmth = 10

// startWarming begins the slow start of a server that comes back.
func (p *Pool) startWarming(s *Server) {
	if p.settings.SlowStart <= 0 {
		return
	}
	if s.warmth == 100 {
		p.warming = append(p.warming, s)
	}
	s.warmth, s.warmSince = firstWarmth, p.now
}

// Tick lets time pass: it raises the weights of servers in slow start and ends
// ejections. The owner calls it several times a second; more often gives smaller
// steps. It costs O(servers in slow start).
func (p *Pool) Tick(now time.Duration) {
	p.expire(now)
	p.warming = slices.DeleteFunc(p.warming, func(s *Server) bool {
		if w := p.warmthOf(s); w != s.warmth {
			s.warmth = w
			p.reclassify(s)
		}
		return s.warmth == 100
	})
}

// nextStep is when Tick changes the weight of a server in slow start.
func (p *Pool) nextStep(s *Server) time.Duration {
	if p.warmthOf(s) != s.warmth {
		return p.now // the settings have changed
	}
	part := float64(s.warmth+1-firstWarmth) / float64(100-firstWarmth)
	return s.warmSince + time.Duration(math.Ceil(part*float64(p.settings.SlowStart)))
}

func (p *Pool) warmthOf(s *Server) int {
	age := p.now - s.warmSince
	if s.warmth == 100 || age >= p.settings.SlowStart {
		return 100
	}
	return firstWarmth + int(float64(100-firstWarmth)*float64(age)/float64(p.settings.SlowStart))
}

// pruneWarming drops servers that have left the table, and all without slow start.
func (p *Pool) pruneWarming() {
	p.warming = slices.DeleteFunc(p.warming, func(s *Server) bool {
		if p.settings.SlowStart <= 0 || p.lookup(s.Slot) != s {
			s.warmth = 100
		}
		return s.warmth == 100
	})
}
