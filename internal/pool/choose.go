package pool

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// A Verdict is the outcome of the admission test of one server.
type Verdict int

const (
	Admitted     Verdict = iota
	Unused               // no server there
	Blacklisted          // it failed a moment ago
	Full                 // its limit is reached
	NoNewClients         // its weight is 0
)

func (v Verdict) String() string {
	return [...]string{"admitted", "unused", "blacklisted", "full", "no new clients"}[v]
}

// Pick returns the slot that the algorithm chooses for a client that is not
// remembered, or None. Limits are not looked at here: see [Pool.Admit].
func (p *Pool) Pick(client netip.AddrPort, now time.Duration) int {
	p.expire(now)
	switch p.algorithm {
	case Hash, HashPort:
		if len(p.servers) == 0 {
			return None
		}
		return int(hash(client, p.algorithm == HashPort) % uint32(len(p.servers)))
	case Weight, Prio:
		if s := p.rank.first(); s != nil {
			return s.Slot
		}
		return None
	}
	slot := p.available.next(p.turn + 1)
	if slot < 0 {
		slot = p.available.next(0)
	}
	if slot < 0 {
		return None
	}
	p.turn = slot
	return slot
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

// Admit tests whether a server takes a client (section 7); returning means
// that it is the server that this client used last. It changes nothing.
func (p *Pool) Admit(s *Server, returning bool, now time.Duration) Verdict {
	switch {
	case !s.Used():
		return Unused
	case s.blacklisted(now):
		return Blacklisted
	case s.Max > 0 && s.conns >= s.Max && (!returning || s.conns >= s.Hard):
		return Full
	case p.algorithm == Weight && s.Weight == 0 && !returning && s.Slot >= 0:
		return NoNewClients
	}
	return Admitted
}

// Take counts a connection that begins.
func (p *Pool) Take(s *Server) {
	s.conns++
	p.reweigh(s)
}

// Release counts a connection that ended, with the bytes that it moved.
func (p *Pool) Release(s *Server, sent, received uint64) {
	s.conns--
	s.sent += sent
	s.received += received
	p.reweigh(s)
}

func (p *Pool) reweigh(s *Server) {
	if p.algorithm == Weight && s.inRank >= 0 {
		keep(&p.rank, s, s.inRank, true)
	}
}

// Fail blacklists a server after a failed connect and reports whether it was
// not blacklisted before.
func (p *Pool) Fail(s *Server, now time.Duration) bool {
	fresh := p.blacklist > 0 && !s.blacklisted(now)
	s.failed, s.failedAt, s.until = true, now, now+p.blacklist
	p.place(s, now)
	return fresh
}

// Succeed clears the stamp of the last failure.
func (p *Pool) Succeed(s *Server, now time.Duration) {
	if s.failed {
		s.failed = false
		p.place(s, now)
	}
}

// Blacklist leaves a server alone for a time from now; 0 takes it back. The
// stamp is set as if it had failed at the right moment for that.
func (p *Pool) Blacklist(s *Server, d, now time.Duration) {
	s.failed, s.failedAt, s.until = d > 0, now+d-p.blacklist, now+d
	p.place(s, now)
}

// expire takes back the servers whose time on the blacklist is over.
func (p *Pool) expire(now time.Duration) {
	for len(p.expiry) > 0 && p.expiry[0].until <= now {
		p.place(p.expiry[0], now)
	}
}
