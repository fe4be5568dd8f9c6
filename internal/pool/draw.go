package pool

import (
	"math"
	"math/bits"
	"time"
)

// uint64n draws a number below n, which is not 0. Where n is not a power of
// two, some are likelier than others by less than n in 2^64.
func (p *Pool) uint64n(n uint64) uint64 {
	high, _ := bits.Mul64(p.rng.Uint64(), n)
	return high
}

// draw returns an open server that is not the given one, drawn by weight, or
// nil where there is none.
func (p *Pool) draw(not *Server) *Server {
	total := p.weights.total()
	if not != nil {
		total -= not.drawn
	}
	if total == 0 {
		return nil
	}
	at := p.uint64n(total)
	if not != nil && at >= p.weights.before(not.Slot) {
		at += not.drawn
	}
	return p.servers[p.weights.find(at)]
}

// better draws two servers and takes the second if that is the better one. Two
// that are alike are chosen as often as their weights say.
func (p *Pool) better(than func(p *Pool, b, a *Server) bool) int {
	a := p.draw(nil)
	if b := p.draw(a); a != nil && b != nil && than(p, b, a) {
		a = b
	}
	return slotOf(a)
}

// lessLoaded compares connections for the weight.
func lessLoaded(_ *Pool, b, a *Server) bool {
	return lessProduct(b.conns, a.drawn, a.conns, b.drawn)
}

// lessProduct reports whether a x b < c x d.
func lessProduct(a int, b uint64, c int, d uint64) bool {
	high1, low1 := bits.Mul64(uint64(max(a, 0)), b)
	high2, low2 := bits.Mul64(uint64(max(c, 0)), d)
	return high1 < high2 || high1 == high2 && low1 < low2
}

// sooner compares connect time x connections, with the new one, for the weight.
// A server that is not measured yet is the better one as long as nobody is
// measuring it; then, as nothing is known of it, the times are left out.
func sooner(p *Pool, b, a *Server) bool {
	if !a.observed || !b.observed {
		if idleA, idleB := !a.observed && a.conns == 0, !b.observed && b.conns == 0; idleA != idleB {
			return idleB
		}
		return lessProduct(b.conns+1, a.drawn, a.conns+1, b.drawn)
	}
	cost := func(s *Server) float64 {
		return s.connectTime(p.now) * float64(s.conns+1) / float64(s.drawn)
	}
	return cost(b) < cost(a)
}

const (
	// timeHalved is after what time a connect time counts for half.
	timeHalved = 10 * time.Second
	// leastNews is the least part that a new connect time has in the average,
	// however soon it follows.
	leastNews = 0.1
)

// Observe tells LeastTime how long a connect to a server took.
func (p *Pool) Observe(s *Server, d, now time.Duration) {
	p.passTo(now)
	if p.algorithm != LeastTime {
		return // nobody asks
	}
	news := 1.0
	if s.observed {
		news = max(leastNews, 1-faded(p.now-s.observedAt))
	}
	s.average = s.average*(1-news) + float64(max(d, 0))*news
	s.observed, s.observedAt = true, p.now
}

// connectTime is the average of connect times in ns; it fades, so that a
// server that was slow is tried again.
func (s *Server) connectTime(now time.Duration) float64 {
	return s.average * faded(now-s.observedAt)
}

// faded is what is left of a measurement of this age.
func faded(age time.Duration) float64 { return math.Exp2(-float64(age) / float64(timeHalved)) }
