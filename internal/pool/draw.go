package pool

import (
	"math"
	"math/bits"
	"time"
)

// uint64n draws a number below n, which must not be 0. Unless n is a power of two,
// some are likelier than others, by less than n in 2^64.
func (p *Pool) uint64n(n uint64) uint64 {
	high, _ := bits.Mul64(p.rng.Uint64(), n)
	return high
}

// draw draws an open server other than the given one by weight. It returns nil if
// there is none.
func (p *Pool) draw(not *Server) *Server {
	total := p.weights.total()
	if not != nil {
		total -= not.openWeight
	}
	if total == 0 {
		return nil
	}
	at := p.uint64n(total)
	if not != nil && at >= p.weights.before(not.Slot) {
		at += not.openWeight
	}
	return p.servers[p.weights.find(at)]
}

// bestOfTwo draws two servers and takes the second if it is better. Two equal servers
// are chosen in proportion to their weights.
func (p *Pool) bestOfTwo(than func(p *Pool, b, a *Server) bool) int {
	a := p.draw(nil)
	if b := p.draw(a); a != nil && b != nil && than(p, b, a) {
		a = b
	}
	return slotOf(a)
}

// lessLoaded compares connections for the weight.
func lessLoaded(_ *Pool, b, a *Server) bool {
	return lessProduct(b.conns, a.openWeight, a.conns, b.openWeight)
}

// lessProduct reports whether a x b < c x d.
func lessProduct(a int, b uint64, c int, d uint64) bool {
	high1, low1 := bits.Mul64(uint64(max(a, 0)), b)
	high2, low2 := bits.Mul64(uint64(max(c, 0)), d)
	return high1 < high2 || high1 == high2 && low1 < low2
}

// lessTime compares connect time x connections, the new one included, for the weight.
// A server without a measurement wins while no connection is measuring it. After that
// the times do not count, as one of them is unknown.
func lessTime(p *Pool, b, a *Server) bool {
	if !a.observed || !b.observed {
		if idleA, idleB := !a.observed && a.conns == 0, !b.observed && b.conns == 0; idleA != idleB {
			return idleB
		}
		return lessProduct(b.conns+1, a.openWeight, a.conns+1, b.openWeight)
	}
	cost := func(s *Server) float64 {
		return s.connectTime(p.now) * float64(s.conns+1) / float64(s.openWeight)
	}
	return cost(b) < cost(a)
}

const (
	// timeHalved is the age at which a connect time counts for half.
	timeHalved = 10 * time.Second
	// leastNews is the least weight of a new connect time in the average.
	leastNews = 0.1
)

// Observe records the duration of a connect, for LeastTime.
func (p *Pool) Observe(s *Server, d, now time.Duration) {
	p.advance(now)
	if p.algorithm != LeastTime {
		return
	}
	news := 1.0
	if s.observed {
		news = max(leastNews, 1-faded(p.now-s.observedAt))
	}
	s.average = s.average*(1-news) + float64(max(d, 0))*news
	s.observed, s.observedAt = true, p.now
}

// connectTime is the average of connect times in ns. It fades, so that a server that
// was slow is tried again.
func (s *Server) connectTime(now time.Duration) float64 {
	return s.average * faded(now-s.observedAt)
}

// faded is the weight that a measurement of this age keeps.
func faded(age time.Duration) float64 { return math.Exp2(-float64(age) / float64(timeHalved)) }
