package pool

import (
	"net/netip"
	"slices"
	"time"
)

// An Outlier says which failures of live traffic eject a server: take it out of
// rotation for a time that starts with Settings.Blacklist. The zero value is Pen's
// rule: one failed connect is enough.
//
// The last usable server is not ejected, because that would help nobody. Failed
// connects eject even that one if there is an emergency server.
type Outlier struct {
	Failures int // failed connects in a row; 0 is 1
	// Resets is how many connections in a row the server may end at once without a
	// byte, if Witnesses clients see it. 0 does not count them.
	Resets int
	// Max bounds the time out of rotation, which doubles with each ejection in a
	// row. 0 keeps it constant.
	Max time.Duration
	// Share is the percentage of the used servers that may be ejected at a time. One
	// always may. 0 is 100.
	Share int
}

// Witnesses is how many clients in a row must see a failure to eject a server, where
// a client may have caused it.
const Witnesses = 3

// witnesses are different clients that saw a server fail.
type witnesses struct {
	clients [Witnesses]netip.Addr
	n       int
}

// add reports whether there are enough witnesses with this client. Addresses of one
// /64 are one client, as are all clients without an address (Unix sockets).
func (w *witnesses) add(client netip.Addr) bool {
	if client.Is6() && !client.Is4In6() {
		client = netip.PrefixFrom(client, 64).Masked().Addr()
	}
	for _, known := range w.clients[:w.n] {
		if known == client {
			return w.n == Witnesses
		}
	}
	if w.n < Witnesses {
		w.clients[w.n] = client
		w.n++
	}
	return w.n == Witnesses
}

// An ejection is why a server is out of rotation, or is on trial after it was.
type ejection uint8

const (
	notEjected ejection = iota
	byOperator          // command blacklist
	byConnects          // connects fail
	byResets            // it ends connections at once
)

// Fail counts a failed connect. It ejects the server if that was one too many or the
// trial, and extends an ejection. It reports whether the server is newly ejected.
func (p *Pool) Fail(s *Server, now time.Duration) bool {
	p.advance(now)
	s.failed, s.failedAt = true, now
	s.failures++
	switch {
	case p.blacklist <= 0:
		p.AbandonTrial(s)
	case s.ejection == byOperator && s.shunned(now):
	case s.shunned(now): // this connect was under way when another one failed
		s.since = now
		p.setUntil(s)
		p.reclassify(s)
	case s.ejection != notEjected, s.failures >= p.settings.Outlier.Failures && p.mayEject(s, p.Emergency(0) != nil):
		p.eject(s, byConnects)
		return true
	}
	return false
}

// FailAttempt counts a client's attempt that failed for a reason that the client may
// have caused. Witnesses clients in a row eject the server. It reports whether the
// server is newly ejected.
func (p *Pool) FailAttempt(s *Server, client netip.Addr, now time.Duration) bool {
	p.advance(now)
	s.attempts++
	if s.attemptsOf == nil {
		s.attemptsOf = &witnesses{}
	}
	enough := s.attemptsOf.add(client) && s.attempts >= p.settings.Outlier.Failures
	if !enough || p.blacklist <= 0 || s.ejection != notEjected || !p.mayEject(s, false) {
		return false
	}
	s.failed, s.failedAt = true, now
	p.eject(s, byConnects)
	return true
}

// EarlyEnd counts a client's connection that the server ended at once without a byte.
// It reports whether the server is newly ejected.
func (p *Pool) EarlyEnd(s *Server, client netip.Addr, now time.Duration) bool {
	p.advance(now)
	s.resets++
	if s.resetsOf == nil {
		s.resetsOf = &witnesses{}
	}
	several, limit := s.resetsOf.add(client), p.settings.Outlier.Resets
	if limit <= 0 || p.blacklist <= 0 || s.ejection != notEjected || s.resets < limit || !several || !p.mayEject(s, false) {
		return false
	}
	p.eject(s, byResets)
	return true
}

// WentWell resets what EarlyEnd counts: a connection has moved bytes.
func (p *Pool) WentWell(s *Server) {
	if s.resets > 0 {
		s.resets, s.resetsOf = 0, nil
	}
}

// mayEject applies Outlier.Share and keeps one usable server, unless evenLast.
func (p *Pool) mayEject(s *Server, evenLast bool) bool {
	if s.Slot < 0 || !p.owns(s) { // emergency servers keep one another; the abuse server is the only one of its kind
		return IsEmergency(s.Slot) && slices.ContainsFunc(p.emergency, func(other *Server) bool { return other != s && other.ejection == notEjected })
	}
	others := p.census.usable
	if s.standing.usable {
		others--
	}
	n, share := p.census.ejected, p.settings.Outlier.Share
	return (others > 0 || evenLast) && (share <= 0 || n == 0 || (n+1)*100 <= share*p.census.used)
}

func (p *Pool) eject(s *Server, why ejection) {
	if s.ejection == notEjected {
		// Staying well for the length of the last ejection takes one off the row.
		well := p.now - s.wellSince
		for s.ejections > 0 && well >= p.ejectionTime(s.ejections) {
			well -= p.ejectionTime(s.ejections)
			s.ejections--
		}
	}
	if s.ejections == 0 || p.ejectionTime(s.ejections+1) > p.ejectionTime(s.ejections) {
		s.ejections++
	}
	s.ejection, s.since, s.trial = why, p.now, false
	p.setUntil(s)
	p.reclassify(s)
}

// ejectionTime is how long the n-th ejection in a row lasts.
func (p *Pool) ejectionTime(n int) time.Duration {
	d := p.blacklist
	for ; n > 1 && d < p.settings.Outlier.Max; n-- {
		if d > p.settings.Outlier.Max/2 {
			return p.settings.Outlier.Max
		}
		d *= 2
	}
	return d
}

// setUntil computes the end of an ejection, which follows the settings.
func (p *Pool) setUntil(s *Server) {
	p.revision++
	switch s.ejection {
	case byOperator:
		s.until = s.since + p.blacklist
	case byConnects, byResets:
		if p.blacklist <= 0 {
			p.endEjection(s)
			return
		}
		s.until = s.since + p.ejectionTime(s.ejections)
	}
}

// Succeed counts a successful connect. It ends a trial, and also an ejection for
// failed connects, which this newer result outdates. It reports whether the server
// was ejected or on trial and is not any more.
func (p *Pool) Succeed(s *Server, now time.Duration) bool {
	p.advance(now)
	s.failures = 0
	if s.attempts > 0 {
		s.attempts, s.attemptsOf = 0, nil
	}
	if s.ejection != byConnects && s.shunned(now) {
		return false // connects were not the reason
	}
	s.failed = false
	if s.ejection == notEjected {
		return false
	}
	wasTrial := !s.shunned(now)
	p.endEjection(s)
	if wasTrial {
		p.startWarming(s)
	}
	p.reclassify(s)
	return true
}

// CheckPassed records that a health check has reached the server of a slot. It ends
// an ejection for failed connects, and no other: a check does not refute the operator
// or the clients. It reports whether the server was ejected or on trial for that.
func (p *Pool) CheckPassed(slot int, now time.Duration) bool {
	p.advance(now)
	s := p.lookup(slot)
	if s == nil || s.ejection != byConnects {
		return false
	}
	s.failed, s.failures, s.attempts, s.attemptsOf = false, 0, 0, nil
	p.endEjection(s)
	p.startWarming(s)
	p.reclassify(s)
	return true
}

// AbandonTrial ends a trial without a result: the next flow may try the server.
func (p *Pool) AbandonTrial(s *Server) {
	if s.trial {
		s.trial = false
		p.reclassify(s)
	}
}

// Blacklist takes a server out of rotation for a time from now, or back into it if
// that is 0, whatever the reason was that it is out.
func (p *Pool) Blacklist(s *Server, d, now time.Duration) {
	p.advance(now)
	p.endEjection(s)
	s.failed, s.failures, s.attempts, s.resets, s.ejections = false, 0, 0, 0, 0
	s.attemptsOf, s.resetsOf = nil, nil
	if d > 0 {
		// Since is counted back from the end, because setUntil adds the current setting.
		s.ejection, s.since = byOperator, now+d-p.blacklist
		s.failed, s.failedAt = true, s.since
		p.setUntil(s)
	}
	p.reclassify(s)
}

func (p *Pool) endEjection(s *Server) { s.ejection, s.trial, s.wellSince = notEjected, false, p.now }

// expire lets time pass: servers whose time out of rotation is over are on trial.
func (p *Pool) expire(now time.Duration) {
	p.advance(now)
	for p.expiry.Len() > 0 && p.expiry.First().until <= p.now {
		p.reclassify(p.expiry.First())
	}
}
