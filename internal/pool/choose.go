package pool

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"
)

// Pick returns the slot that the algorithm chooses for a client that is not
// remembered, or None. Only First respects limits here: see [Pool.Admit].
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
		return p.pickSmooth()
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
		return p.bestOfTwo(lessLoaded)
	case LeastTime:
		return p.bestOfTwo(lessTime)
	case StaticHash, Maglev:
		if !client.Addr().IsValid() {
			return slotOf(p.draw(nil)) // of a Unix socket: nothing to hash
		}
		return p.pickByHash(client.Addr())
	case Weight:
		return slotOf(p.rank.First())
	}
	slot, _ := p.Preferred(client)
	return slot
}

// PickOther is Pick without the servers of some slots. Its cost grows with their
// number.
func (p *Pool) PickOther(client netip.AddrPort, not []int, now time.Duration) int {
	p.expire(now)
	exclude := func(on bool) {
		for _, slot := range not {
			if s := p.At(slot); s != nil {
				s.excluded = on
				p.reindex(s)
			}
		}
	}
	exclude(true)
	slot := p.Pick(client, now)
	exclude(false)
	if slices.Contains(not, slot) {
		return None // the algorithm ignores states
	}
	return slot
}

// Ejected returns the slot of the server that comes back first, among those that are
// ejected for failures or on trial and that ok accepts, or None. It costs O(servers).
func (p *Pool) Ejected(now time.Duration, ok func(*Server) bool) int {
	p.expire(now)
	var first *Server
	for _, s := range p.servers {
		if (s.ejection == byConnects || s.ejection == byResets) && (first == nil || s.until < first.until) && ok(s) {
			first = s
		}
	}
	return slotOf(first)
}

// Preferred returns the slot, or None, that Pick returns for a client as long as no
// state, reached limit or setting changes. ok is false if the algorithm uses turns,
// draws or counts. It changes nothing; "now" is the latest time that any method was
// given.
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
		if p.settings.Bound == 0 && client.Addr().IsValid() {
			return p.pickByHash(client.Addr()), true
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

// hash is C Pen's on a little-endian machine, so that clients keep their servers when
// this program replaces it (specification, section 6; vectors in section 25).
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

// smoothRound is the stride of a server of effective weight 1 on smooth round-robin's
// clock. The largest weight still has a stride above 0, and the clock lasts for tens
// of thousands of rounds.
const smoothRound = 1 << 52

// pickSmooth takes the server with the earliest deadline and sets the clock to it. The
// clock starts again long before it overflows.
func (p *Pool) pickSmooth() int {
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

func smoothStride(s *Server) uint64 { return max(smoothRound/s.openWeight, 1) }

// nextDeadline is a server's first deadline after the clock. Deadlines are fixed
// points, one in each stride, in the order of slots for equal strides: a server that
// comes back gets its old place.
func (p *Pool) nextDeadline(s *Server) uint64 {
	stride, n := smoothStride(s), uint64(len(p.servers))
	slot := uint64(s.Slot)
	phase := stride/n*slot + stride%n*slot/n + 1
	from := p.virtual + 1
	return from + (phase+stride-from%stride)%stride
}
