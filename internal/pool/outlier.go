package pool

import (
	"net/netip"
	"slices"
	"time"
)

// An Outlier is how the failures of flows have a server ejected: left alone
// for a time that begins with Settings.Blacklist. The zero value is Pen's
// rule: one failed connect is enough.
//
// The last server that clients may use is not ejected, as nobody would gain by
// it, unless there is an emergency server and connects fail.
type Outlier struct {
	Failures int // failed connects in a row; 0 is 1
	// Resets is how many connections in a row the server may end at once
	// without a byte, if they are of Witnesses clients; 0: that is not looked at.
	Resets int
	// Max bounds the time away, which doubles with each ejection in a row; 0:
	// it does not.
	Max time.Duration
	// Share is how many percent of the used servers may be ejected at a time;
	// one always may. 0 is 100.
	Share int
}

// Witnesses is how many clients must have the same experience in a row for a
// server to be ejected, where a client may have caused it.
const Witnesses = 3

// witnesses are different clients who saw a server fail, nil while none did.
type witnesses struct {
	clients [Witnesses]netip.Addr
	n       int
}

// add reports whether there are enough of them with this one. Clients of the
// same /64 are one, as are all those of Unix sockets.
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

// An absence is why a server is left alone, until the time is over and a
// connect succeeds.
type absence uint8

const (
	present   absence = iota
	commanded         // by the operator
	failing           // connects fail
	resetting         // it ends connections at once
)

// Fail counts a failed connect. The server is ejected if that is one too many,
// if it was the trial, and for longer if it is ejected already. Fail reports
// whether the server is left alone from now on and was not before.
func (p *Pool) Fail(s *Server, now time.Duration) bool {
	p.passTo(now)
	s.failed, s.failedAt = true, now
	s.failures++
	switch {
	case p.blacklist <= 0:
		p.Forgo(s)
	case s.absence == commanded && s.away(now):
	case s.away(now): // a connect that was on its way when another failed
		s.since = now
		p.retime(s)
		p.place(s)
	case s.absence != present, s.failures >= p.set.Outlier.Failures && p.mayEject(s, p.Emergency(0) != nil):
		p.eject(s, failing)
		return true
	}
	return false
}

// FailAttempt counts an attempt of a client to use a server that failed for a
// reason that may be the client's. The server is ejected if that happens to
// Witnesses clients in a row. FailAttempt reports whether it is left alone from
// now on.
func (p *Pool) FailAttempt(s *Server, client netip.Addr, now time.Duration) bool {
	p.passTo(now)
	s.attempts++
	if s.attemptsOf == nil {
		s.attemptsOf = &witnesses{}
	}
	enough := s.attemptsOf.add(client) && s.attempts >= p.set.Outlier.Failures
	if !enough || p.blacklist <= 0 || s.absence != present || !p.mayEject(s, false) {
		return false
	}
	s.failed, s.failedAt = true, now
	p.eject(s, failing)
	return true
}

// EarlyEnd counts a connection of a client that the server ended at once without
// a byte. It reports whether the server is left alone from now on for that.
func (p *Pool) EarlyEnd(s *Server, client netip.Addr, now time.Duration) bool {
	p.passTo(now)
	s.resets++
	if s.resetsOf == nil {
		s.resetsOf = &witnesses{}
	}
	several, limit := s.resetsOf.add(client), p.set.Outlier.Resets
	if limit <= 0 || p.blacklist <= 0 || s.absence != present || s.resets < limit || !several || !p.mayEject(s, false) {
		return false
	}
	p.eject(s, resetting)
	return true
}

// WentWell says that a connection moved bytes: the server does not end them
// all at once.
func (p *Pool) WentWell(s *Server) {
	if s.resets > 0 {
		s.resets, s.resetsOf = 0, nil
	}
}

// mayEject is the rule of Outlier.Share, and that one server stays, unless even
// the last one may go.
func (p *Pool) mayEject(s *Server, last bool) bool {
	if !p.owns(s) { // of the abuse server there is only one
		return slices.ContainsFunc(p.emergency, func(other *Server) bool { return other != s && other.absence == present }) && IsEmergency(s.Slot)
	}
	others := p.tally.usable
	if s.standing.usable {
		others--
	}
	n, share := p.tally.ejected, p.set.Outlier.Share
	return (others > 0 || last) && (share <= 0 || n == 0 || (n+1)*100 <= share*p.tally.used)
}

func (p *Pool) eject(s *Server, why absence) {
	if s.absence == present {
		// For as long as it was away it must stay well to be a step better.
		well := p.now - s.wellSince
		for s.level > 0 && well >= p.timeAway(s.level) {
			well -= p.timeAway(s.level)
			s.level--
		}
	}
	if s.level == 0 || p.timeAway(s.level+1) > p.timeAway(s.level) {
		s.level++
	}
	s.absence, s.since, s.trial = why, p.now, false
	p.retime(s)
	p.place(s)
}

// timeAway is how long the n-th ejection in a row lasts.
func (p *Pool) timeAway(n int) time.Duration {
	d := p.blacklist
	for ; n > 1 && d < p.set.Outlier.Max; n-- {
		if d > p.set.Outlier.Max/2 {
			return p.set.Outlier.Max
		}
		d *= 2
	}
	return d
}

// retime computes the end of an absence, which moves with the settings.
func (p *Pool) retime(s *Server) {
	switch s.absence {
	case commanded:
		s.until = s.since + p.blacklist
	case failing, resetting:
		if p.blacklist <= 0 {
			p.comeBack(s)
			return
		}
		s.until = s.since + p.timeAway(s.level)
	}
}

// Succeed says that a connect succeeded. That ends a trial, and it is the
// better knowledge where another connect failed a moment ago. It reports
// whether the server was left alone, or on trial, and is not any more.
func (p *Pool) Succeed(s *Server, now time.Duration) bool {
	p.passTo(now)
	s.failures = 0
	if s.attempts > 0 {
		s.attempts, s.attemptsOf = 0, nil
	}
	if s.absence != failing && s.away(now) {
		return false // what it is left alone for is not that connects fail
	}
	s.failed = false
	if s.absence == present {
		return false
	}
	over := !s.away(now)
	p.comeBack(s)
	if over {
		p.warm(s)
	}
	p.place(s)
	return true
}

// CheckPassed says that a health check has reached the server: that connects fail
// is not true any more. What its clients or the operator leave it alone for is
// theirs to say. It reports whether the server was left alone, or on trial.
func (p *Pool) CheckPassed(slot int, now time.Duration) bool {
	p.passTo(now)
	s := p.any(slot)
	if s == nil || s.absence != failing {
		return false
	}
	s.failed, s.failures, s.attempts, s.attemptsOf = false, 0, 0, nil
	p.comeBack(s)
	p.warm(s)
	p.place(s)
	return true
}

// Forgo says that the flow that tries a server ends and knows nothing of it:
// the next one may try.
func (p *Pool) Forgo(s *Server) {
	if s.trial {
		s.trial = false
		p.place(s)
	}
}

// Blacklist leaves a server alone for a time from now; 0 takes it back fully,
// whoever left it alone. The stamp is set as if it had failed at the right
// moment for that.
func (p *Pool) Blacklist(s *Server, d, now time.Duration) {
	p.passTo(now)
	p.comeBack(s)
	s.failed, s.failures, s.attempts, s.resets, s.level = false, 0, 0, 0, 0
	s.attemptsOf, s.resetsOf = nil, nil
	if d > 0 {
		s.absence, s.since = commanded, now+d-p.blacklist
		s.failed, s.failedAt = true, s.since
		p.retime(s)
	}
	p.place(s)
}

func (p *Pool) comeBack(s *Server) { s.absence, s.trial, s.wellSince = present, false, p.now }

// expire takes back the servers whose time away is over.
func (p *Pool) expire(now time.Duration) {
	p.passTo(now)
	for p.expiry.Len() > 0 && p.expiry.First().until <= p.now {
		p.place(p.expiry.First())
	}
}
