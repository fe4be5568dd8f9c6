package pool

import "time"

// Admin is what the operator, or a server's agent, wants of a server.
type Admin int

const (
	Enabled  Admin = iota
	Draining       // no new connection, also not from returning clients
	Disabled       // takes nobody; what to do with its connections is the owner's matter
)

// String returns the word for it.
func (a Admin) String() string { return [...]string{"enabled", "draining", "disabled"}[a] }

// Health is what health checks found.
type Health int

const (
	HealthUnknown Health = iota // counts as up
	HealthUp
	HealthDown
)

// String returns the word for it.
func (h Health) String() string { return [...]string{"unknown", "up", "down"}[h] }

// An Agent is what a program on the server itself reports.
type Agent struct {
	Weight int   // percent of Config.Weight, up to 1000; -1: it says nothing
	Admin  Admin // the stricter one of this and Config.Admin counts
	Down   bool
}

const maxAgentWeight = 1000

// A Verdict is the outcome of the admission test of one server.
type Verdict int

const (
	Admitted     Verdict = iota
	Unused               // no server there
	Blacklisted          // by the operator; without [Outlier] also because it failed a moment ago
	Full                 // its limit is reached
	NoNewClients         // its weight is 0
	IsDisabled           // by the operator or its agent
	IsDraining           // likewise
	CheckedDown          // health checks found it down
	AgentDown            // its agent says so
	Ejected              // it failed a moment ago
	OnTrial              // it failed, and another flow is trying it
)

// String returns the verdict in a word or a few.
func (v Verdict) String() string {
	return [...]string{
		"admitted", "unused", "blacklisted", "full", "no new clients", "disabled", "draining",
		"down", "down by its agent", "ejected", "on trial",
	}[v]
}

// A State is a server's state in one word.
type State string

const (
	StateUnused      State = "unused"
	StateUp          State = "up"
	StateWarming     State = "warming"     // up, with Status.Share of its weight
	StateFailing     State = "failing"     // connects fail, and it is not ejected: it is the last one, or few failed
	StateTrial       State = "trial"       // its time away is over; one flow at a time may try it
	StateEjected     State = "ejected"     // for failures, until Status.Until
	StateBlacklisted State = "blacklisted" // by the operator, or as Blacklisted says, until Status.Until
	StateDown        State = "down"        // by health checks
	StateAgentDown   State = "down by its agent"
	StateDraining    State = "draining"
	StateDisabled    State = "disabled"
)

// SetHealth records what health checks found of the server of a slot. It
// reports whether there is such a server.
func (p *Pool) SetHealth(slot int, h Health, now time.Duration) bool {
	return p.learn(slot, now, func(s *Server) { s.health = h })
}

// SetAgent records what the agent of the server of a slot reports. It reports
// whether there is such a server.
func (p *Pool) SetAgent(slot int, a Agent, now time.Duration) bool {
	return p.learn(slot, now, func(s *Server) { s.agent = a })
}

func (p *Pool) learn(slot int, now time.Duration, change func(*Server)) bool {
	p.passTo(now)
	s := p.any(slot)
	if s == nil {
		return false
	}
	out := s.out()
	change(s)
	if out && !s.out() {
		p.warm(s)
	}
	p.place(s)
	return true
}

// admin is what counts of what the operator and the agent want.
func (s *Server) admin() Admin { return max(s.Admin, s.agent.Admin) }

func (s *Server) down() bool { return s.health == HealthDown || s.agent.Down }

// out reports whether somebody other than the flows keeps clients away.
func (s *Server) out() bool { return s.admin() != Enabled || s.down() }

// away reports whether the server is left alone for a time.
func (s *Server) away(now time.Duration) bool { return s.absence != present && now < s.until }

// trouble is the first reason for which a server's state keeps connections
// away from it; Admitted is none.
func (s *Server) trouble(now time.Duration) Verdict {
	admin := s.admin()
	switch {
	case !s.Used():
		return Unused
	case admin == Disabled:
		return IsDisabled
	case admin == Draining:
		return IsDraining
	case s.absence == commanded && s.away(now):
		return Blacklisted
	case s.health == HealthDown:
		return CheckedDown
	case s.agent.Down:
		return AgentDown
	case s.away(now):
		return Ejected
	case s.absence != present && s.trial:
		return OnTrial
	}
	return Admitted
}

// refusal is the trouble that counts. Panic ignores what was found out about
// servers, and no more than that.
func (p *Pool) refusal(s *Server, now time.Duration) Verdict {
	v := s.trouble(now)
	switch v {
	case CheckedDown, AgentDown, Ejected, OnTrial:
		if p.panics && s.Slot >= 0 {
			return Admitted
		}
	}
	return p.pensWord(v)
}

// pensWord is what Pen has always called the state of a server that failed.
func (p *Pool) pensWord(v Verdict) Verdict {
	if v == Ejected && p.set.Outlier == (Outlier{}) {
		return Blacklisted
	}
	return v
}

// state says how a server is, whether or not panic ignores it.
func (p *Pool) state(s *Server) State {
	switch p.pensWord(s.trouble(p.now)) {
	case Unused:
		return StateUnused
	case IsDisabled:
		return StateDisabled
	case IsDraining:
		return StateDraining
	case Blacklisted:
		return StateBlacklisted
	case CheckedDown:
		return StateDown
	case AgentDown:
		return StateAgentDown
	case Ejected:
		return StateEjected
	}
	switch {
	case s.absence != present:
		return StateTrial
	case s.failures > 0:
		return StateFailing
	case s.warmth < 100 && p.algorithm.adapts():
		return StateWarming
	}
	return StateUp
}

// Admit tests whether a server takes a client (section 7); returning means
// that it is the server that this client used last. It changes nothing.
func (p *Pool) Admit(s *Server, returning bool, now time.Duration) Verdict {
	if v := p.refusal(s, now); v != Admitted {
		return v
	}
	return p.admitWell(s, returning)
}

// AdmitEjected is Admit for a client that finds no other server: that this one
// was ejected, or is on trial, is not looked at.
func (p *Pool) AdmitEjected(s *Server, returning bool, now time.Duration) Verdict {
	switch v := s.trouble(now); v {
	case Ejected, OnTrial, Admitted:
		return p.admitWell(s, returning)
	default:
		return v
	}
}

func (p *Pool) admitWell(s *Server, returning bool) Verdict {
	switch {
	case s.full() && (!returning || s.conns >= s.Hard):
		return Full
	case !returning && s.Slot >= 0 && p.algorithm.weighs() && s.share() == 0:
		return NoNewClients
	}
	return Admitted
}

// Blacklisted reports whether a server is left alone for now, because it
// failed or because the operator says so.
func (p *Pool) Blacklisted(s *Server, now time.Duration) bool { return s.away(now) }

// HalfOpen reports whether a server was left alone and nobody has succeeded
// since: it is for the flow that tries it only.
func (p *Pool) HalfOpen(s *Server) bool {
	return s.absence != present && !(p.panics && s.Slot >= 0)
}

// A standing is how one server counts in the rules that look at all of them.
type standing struct {
	used    bool
	enabled bool // by operator and agent, and not on the operator's blacklist
	well    bool // enabled, not down and not ejected
	usable  bool // well, and new clients may go there
	ejected bool // and nobody has succeeded since
}

// A tally counts standings.
type tally struct{ used, enabled, well, usable, ejected int }

func (t *tally) add(s standing, n int) {
	for _, c := range []struct {
		holds bool
		count *int
	}{{s.used, &t.used}, {s.enabled, &t.enabled}, {s.well, &t.well}, {s.usable, &t.usable}, {s.ejected, &t.ejected}} {
		if c.holds {
			*c.count += n
		}
	}
}

func (p *Pool) standingOf(s *Server) standing {
	enabled := s.Used() && s.admin() == Enabled && !(s.absence == commanded && s.away(p.now))
	well := enabled && !s.down() && s.absence == present
	return standing{
		used:    s.Used(),
		enabled: enabled,
		well:    well,
		usable:  well && (s.share() > 0 || !p.algorithm.weighs()),
		ejected: s.Used() && (s.absence == failing || s.absence == resetting),
	}
}

// Usable is how many servers are well and take new clients, unless they are full.
func (p *Pool) Usable() int { return p.tally.usable }

// Panicking reports whether so few servers are well that health and ejection
// are ignored.
func (p *Pool) Panicking() bool { return p.panics }

// mustPanic is the rule for it.
func (p *Pool) mustPanic() bool { return p.tally.well*100 < p.set.Panic*p.tally.enabled }
