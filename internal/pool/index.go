package pool

import (
	"slices"

	"pen/internal/heap"
)

// rebuild makes the indices from the servers.
func (p *Pool) rebuild() {
	for _, s := range slices.Concat(p.rank.Items(), p.expiry.Items()) {
		s.inRank, s.inExpiry = -1, -1
	}
	n := len(p.servers)
	p.available, p.open = newBitset(n), newBitset(n)
	p.weights, p.static = newShares(n), newShares(n)
	p.rank = heap.New(p.algorithm.better, func(s *Server, i int) { s.inRank = i })
	p.expiry = heap.New(func(a, b *Server) bool { return a.until < b.until }, func(s *Server, i int) { s.inExpiry = i })
	p.tally, p.conns = tally{}, 0
	p.keepWarming()
	for _, s := range p.servers {
		if s.Used() {
			p.static.add(s.Slot, uint64(max(s.Weight, 0)))
		}
		p.conns += s.conns
		s.standing, s.drawn = p.standingOf(s), 0
		p.tally.add(s.standing, 1)
	}
	p.panics = p.mustPanic()
	for _, s := range p.servers {
		p.place(s)
	}
}

// place puts a server where its state belongs, and all of them anew where it
// begins or ends a panic.
func (p *Pool) place(s *Server) {
	if !p.owns(s) {
		return
	}
	p.tally.add(s.standing, -1)
	s.standing = p.standingOf(s)
	p.tally.add(s.standing, 1)
	keep(&p.expiry, s, s.inExpiry, s.Used() && s.away(p.now))
	if panics := p.mustPanic(); panics != p.panics {
		p.panics = panics
		for _, other := range p.servers {
			p.index(other)
		}
		return
	}
	p.index(s)
}

// index has a server in the indices that Pick and Next use, or not in them.
func (p *Pool) index(s *Server) {
	available := !s.leftOut && p.refusal(s, p.now) == Admitted
	p.available.set(s.Slot, available)
	open, share := available, uint64(0)
	if available && p.algorithm.weighs() {
		share = s.share()
		open = share > 0
	}
	if share != s.drawn || s.inRank < 0 {
		p.weights.add(s.Slot, share-s.drawn) // less than 0 wraps around, and back
		s.drawn = share
		if open && p.algorithm == SmoothRoundRobin {
			s.deadline = p.nextDeadline(s)
		}
	}
	keep(&p.rank, s, s.inRank, open && p.ranks())
	p.open.set(s.Slot, open && !(p.algorithm == First && s.full()))
}

// recount is index for a server of which only the connections have changed.
func (p *Pool) recount(s *Server) {
	switch {
	case p.algorithm == First:
		p.open.set(s.Slot, s.drawn > 0 && !s.full())
	case s.inRank >= 0 && p.algorithm != Prio && p.algorithm != SmoothRoundRobin:
		p.rank.Fix(s.inRank)
	}
}

// ranks reports whether the algorithm has an order of servers. The hashes need
// the least loaded one when all that they look at are beyond the bound.
func (p *Pool) ranks() bool {
	switch p.algorithm {
	case Weight, Prio, SmoothRoundRobin, LeastConn:
		return true
	case StaticHash, Maglev:
		return p.set.Bound > 0
	}
	return false
}

// keep has s in the heap, at its right place, or not in it.
func keep(h *heap.Heap[*Server], s *Server, at int, in bool) {
	switch {
	case in && at < 0:
		h.Push(s)
	case in:
		h.Fix(at)
	case at >= 0:
		h.Remove(at)
	}
}

// better is the order of the algorithms that have one.
func (a Algorithm) better(s, t *Server) bool {
	switch {
	case a == Prio && s.Prio != t.Prio:
		return s.Prio < t.Prio
	case a == SmoothRoundRobin && s.deadline != t.deadline:
		return s.deadline < t.deadline
	case a == Weight:
		// connections / weight, compared without dividing
		less := lessProduct(s.conns, t.drawn, t.conns, s.drawn)
		return less || s.Slot < t.Slot && !lessProduct(t.conns, s.drawn, s.conns, t.drawn)
	case a == LeastConn || a.hashes():
		less := lessProduct(s.conns+1, t.drawn, t.conns+1, s.drawn)
		if less || lessProduct(t.conns+1, s.drawn, s.conns+1, t.drawn) {
			return less
		}
		if s.picked != t.picked {
			return s.picked < t.picked
		}
	}
	return s.Slot < t.Slot
}
