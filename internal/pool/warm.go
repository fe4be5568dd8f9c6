package pool

import (
	"slices"
	"time"
)

// coldest is the percentage of its weight that a server begins with.
const coldest = 10

// warm begins the slow start of a server that comes back.
func (p *Pool) warm(s *Server) {
	if p.set.SlowStart <= 0 {
		return
	}
	if s.warmth == 100 {
		p.warming = append(p.warming, s)
	}
	s.warmth, s.warmSince = coldest, p.now
}

// Tick lets time pass while nobody chooses: it gives the servers that came
// back a little more of their weight, see Settings.SlowStart, and ends times
// away. The owner calls it some times a second; how often is how even the
// steps are. It looks at those servers only.
func (p *Pool) Tick(now time.Duration) {
	p.expire(now)
	p.warming = slices.DeleteFunc(p.warming, func(s *Server) bool {
		if w := p.warmthOf(s); w != s.warmth {
			s.warmth = w
			p.place(s)
		}
		return s.warmth == 100
	})
}

func (p *Pool) warmthOf(s *Server) int {
	age := p.now - s.warmSince
	if s.warmth == 100 || age >= p.set.SlowStart {
		return 100
	}
	return coldest + int(float64(100-coldest)*float64(age)/float64(p.set.SlowStart))
}

// keepWarming drops those that have left the table or have their weight.
func (p *Pool) keepWarming() {
	p.warming = slices.DeleteFunc(p.warming, func(s *Server) bool {
		if p.set.SlowStart <= 0 || p.any(s.Slot) != s {
			s.warmth = 100
		}
		return s.warmth == 100
	})
}
