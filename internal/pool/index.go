package pool

import (
	"slices"
	"time"

	"pen/internal/heap"
)

// rebuild makes all indices anew.
func (p *Pool) rebuild() {
	for _, s := range slices.Concat(p.rank.Items(), p.expiry.Items()) {
		s.inRank, s.inExpiry = -1, -1
	}
	n := len(p.servers)
	p.available, p.open = newBitset(n), newBitset(n)
	p.weights, p.static = newFenwick(n), newFenwick(n)
	p.rank = heap.New(p.algorithm.ranksBefore, func(s *Server, i int) { s.inRank = i })
	p.expiry = heap.New(func(a, b *Server) bool { return a.until < b.until }, func(s *Server, i int) { s.inExpiry = i })
	p.census, p.conns = census{}, 0
	p.pruneWarming()
	for _, s := range p.servers {
		if s.Used() {
			p.static.add(s.Slot, uint64(max(s.Weight, 0)))
		}
		p.conns += s.conns
		s.standing, s.openWeight = p.standingOf(s), 0
		p.census.add(s.standing, 1)
	}
	p.panics = p.mustPanic()
	for _, all := range [][]*Server{p.servers, p.emergency, {p.abuse}} {
		for _, s := range all {
			p.reclassify(s)
		}
	}
	p.revision++
}

// reclassify updates the census and the indices after a server's state has changed,
// and all servers' indices where that starts or ends a panic.
func (p *Pool) reclassify(s *Server) {
	if !p.owns(s) {
		return
	}
	keep(&p.expiry, s, s.inExpiry, s.Used() && s.shunned(p.now))
	if s.Slot < 0 {
		p.revise(s)
		return
	}
	p.census.add(s.standing, -1)
	s.standing = p.standingOf(s)
	p.census.add(s.standing, 1)
	if panics := p.mustPanic(); panics != p.panics {
		p.panics = panics
		p.revision++
		for _, other := range p.servers {
			p.reindex(other)
		}
	}
	p.reindex(s)
}

// An outlook is what planes know of a server that changes by itself.
type outlook struct {
	verdict  Verdict
	halfOpen bool
	weight   uint64
}

// revise starts a new revision if a server's outlook has changed.
func (p *Pool) revise(s *Server) {
	o := outlook{p.verdictUnderPanic(s, p.now), p.HalfOpen(s), s.effectiveWeight()}
	if o != s.outlook {
		s.outlook = o
		p.revision++
	}
}

// Revision counts the changes of which server takes clients, and with what weight. It
// does not count connections: reaching a limit is no change.
func (p *Pool) Revision() uint64 { return p.revision }

// NextReturn returns when the next ejection ends. ok is false if there is none.
func (p *Pool) NextReturn() (at time.Duration, ok bool) {
	if p.expiry.Len() == 0 {
		return 0, false
	}
	return p.expiry.First().until, true
}

// IsAvailable reports whether the state of any server in the table lets it take clients.
func (p *Pool) IsAvailable() bool { return p.available.next(0) >= 0 }

// NextChange returns the time of the next change that needs nothing but time: the end
// of an ejection or a step of slow start. ok is false if there is none.
func (p *Pool) NextChange() (at time.Duration, ok bool) {
	at, ok = p.NextReturn()
	for _, s := range p.warming {
		if step := p.nextStep(s); !ok || step < at {
			at, ok = step, true
		}
	}
	return at, ok
}

// reindex puts a server into the indices for choices, or takes it out of them.
func (p *Pool) reindex(s *Server) {
	p.revise(s)
	available := !s.excluded && p.verdictUnderPanic(s, p.now) == Admitted
	p.available.set(s.Slot, available)
	open, share := available, uint64(0)
	if available && p.algorithm.weighs() {
		share = s.effectiveWeight()
		open = share > 0
	}
	if share != s.openWeight || s.inRank < 0 {
		p.weights.add(s.Slot, share-s.openWeight) // a difference below 0 wraps around, and back
		s.openWeight = share
		if open && p.algorithm == SmoothRoundRobin {
			s.deadline = p.nextDeadline(s)
		}
	}
	keep(&p.rank, s, s.inRank, open && p.isRanked())
	p.open.set(s.Slot, open && !(p.algorithm == First && s.full()))
}

// recount is reindex for a server whose connection count has changed.
func (p *Pool) recount(s *Server) {
	switch {
	case p.algorithm == First:
		p.open.set(s.Slot, s.openWeight > 0 && !s.full())
	case s.inRank >= 0 && p.algorithm != Prio && p.algorithm != SmoothRoundRobin:
		p.rank.Fix(s.inRank)
	}
}

// isRanked reports whether the algorithm needs the servers in order. With a bound, the
// hashes fall back on the least loaded server.
func (p *Pool) isRanked() bool {
	switch p.algorithm {
	case Weight, Prio, SmoothRoundRobin, LeastConn:
		return true
	case StaticHash, Maglev:
		return p.settings.Bound > 0
	}
	return false
}

// keep puts s into the heap, at its right place, or takes it out.
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

// ranksBefore is the order of servers, for algorithms that have one.
func (a Algorithm) ranksBefore(s, t *Server) bool {
	switch {
	case a == Prio && s.Prio != t.Prio:
		return s.Prio < t.Prio
	case a == SmoothRoundRobin && s.deadline != t.deadline:
		return s.deadline < t.deadline
	case a == Weight:
		// connections / weight, compared without dividing
		less := lessProduct(s.conns, t.openWeight, t.conns, s.openWeight)
		return less || s.Slot < t.Slot && !lessProduct(t.conns, s.openWeight, s.conns, t.openWeight)
	case a == LeastConn || a.hashes():
		less := lessProduct(s.conns+1, t.openWeight, t.conns+1, s.openWeight)
		if less || lessProduct(t.conns+1, s.openWeight, s.conns+1, t.openWeight) {
			return less
		}
		if s.picked != t.picked {
			return s.picked < t.picked
		}
	}
	return s.Slot < t.Slot
}
