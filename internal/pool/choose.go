package pool

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"
)

// Pick returns the slot that the algorithm chooses for a client that is not
// remembered, or None. Limits are not looked at here, but by First: see
// [Pool.Admit].
func (p *Pool) Pick(client netip.AddrPort, now time.Duration) int {
	p.expire(now)
	switch p.algorithm {
	case RoundRobin:
		slot := p.available.from(p.turn + 1)
		if slot != None {
			p.turn = slot
		}
		return slot
	case SmoothRoundRobin:
		return p.smooth()
	case LeastConn:
		s := p.rank.First()
		if s != nil {
			p.picks++
			s.picked = p.picks
			p.rank.Fix(0)
		}
		return slotOf(s)
	case Random:
		return slotOf(p.draw(nil))
	case PowerOfTwo:
		return p.better(lessLoaded)
	case LeastTime:
		return p.better(sooner)
	case StaticHash, Maglev:
		if !client.Addr().IsValid() {
			return slotOf(p.draw(nil)) // of a Unix socket: there is nothing to go by
		}
		return p.hashed(client.Addr())
	case Weight:
		return slotOf(p.rank.First())
	}
	slot, _ := p.Preferred(client)
	return slot
}

// PickOther is Pick for a client for whom the servers of these slots are out of
// the question. Its cost grows with their number.
func (p *Pool) PickOther(client netip.AddrPort, not []int, now time.Duration) int {
	p.expire(now)
	leaveOut := func(on bool) {
		for _, slot := range not {
			if s := p.At(slot); s != nil {
				s.leftOut = on
				p.index(s)
			}
		}
	}
	leaveOut(true)
	slot := p.Pick(client, now)
	leaveOut(false)
	if slices.Contains(not, slot) {
		return None // the algorithm does not look at states
	}
	return slot
}

// Ejected returns the slot of the server that comes back first of those that are
// left alone because flows failed, or are on trial, and that ok accepts; or None.
func (p *Pool) Ejected(now time.Duration, ok func(*Server) bool) int {
	p.expire(now)
	var first *Server
	for _, s := range p.servers {
		if (s.absence == failing || s.absence == resetting) && (first == nil || s.until < first.until) && ok(s) {
			first = s
		}
	}
	return slotOf(first)
}

// Preferred returns the slot, or None, that Pick would return for a client now
// and until a state, a limit that is reached or the settings change the
// choice; ok is false where the algorithm goes by turns, draws or counts. It
// changes nothing; "now" is the latest time that any method was given.
func (p *Pool) Preferred(client netip.AddrPort) (slot int, ok bool) {
	switch p.algorithm {
	case Hash, HashPort:
		if len(p.servers) == 0 {
			return None, true
		}
		return int(hash(client, p.algorithm == HashPort) % uint32(len(p.servers))), true
	case Prio:
		return slotOf(p.rank.First()), true
	case First:
		return p.open.from(0), true
	case StaticHash, Maglev:
		if p.set.Bound == 0 && client.Addr().IsValid() {
			return p.hashed(client.Addr()), true
		}
	}
	return None, false
}

func slotOf(s *Server) int {
	if s == nil {
		return None
	}
	return s.Slot
}

// hash is C Pen's on a little-endian machine, so that clients keep their
// servers when the program is exchanged (section 6, vectors in section 25).
func hash(client netip.AddrPort, port bool) uint32 {
	addr := client.Addr().Unmap()
	switch {
	case addr.Is4():
		b := addr.As4()
		h := binary.LittleEndian.Uint32(b[:])
		if port {
			h ^= uint32(client.Port()>>8 | client.Port()<<8)
		}
		return h
	case addr.Is6():
		b := addr.As16()
		return uint32(b[15])
	}
	return 0 // a Unix socket's client
}

// Next returns the first available slot at or after the given one, or None.
func (p *Pool) Next(slot int, now time.Duration) int {
	p.expire(now)
	if i := p.available.next(slot); i >= 0 {
		return i
	}
	return None
}

// A smoothRound is how long a round of smooth round-robin takes a server whose
// share is 1, in its own time. The largest share still has some of it, and the
// clock goes on for tens of thousands of such rounds.
const smoothRound = 1 << 52

// smooth takes the server with the earliest deadline. The clock of deadlines
// stands at the last one; it starts again long before it overflows.
func (p *Pool) smooth() int {
	s := p.rank.First()
	if s == nil {
		return None
	}
	if s.deadline >= 1<<63 {
		p.virtual = 0
		for _, other := range p.rank.Items() {
			other.deadline = p.nextDeadline(other)
		}
		p.rank.Init()
		s = p.rank.First()
	}
	p.virtual = s.deadline
	s.deadline += smoothStride(s)
	p.rank.Fix(0)
	return s.Slot
}

func smoothStride(s *Server) uint64 { return max(smoothRound/s.drawn, 1) }

// nextDeadline is a server's first deadline that is to come. Its deadlines are
// fixed points: one in each stride, and in the order of slots where the
// strides are the same. So a server that comes back has its old place.
func (p *Pool) nextDeadline(s *Server) uint64 {
	stride, n := smoothStride(s), uint64(len(p.servers))
	slot := uint64(s.Slot)
	phase := stride/n*slot + stride%n*slot/n + 1
	from := p.virtual + 1
	return from + (phase+stride-from%stride)%stride
}
