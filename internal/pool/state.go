package pool

import "time"

// Admin is the state that the operator, or the server's agent, wants.
type Admin int

const (
	Enabled  Admin = iota
	Draining       // no new connection, not even from returning clients
	Disabled       // as Draining; the dispatcher may end its connections
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
	Weight int   // percentage of Config.Weight, up to 1000; -1: not reported
	Admin  Admin // the stricter of this and Config.Admin counts
	Down   bool
}

const maxAgentWeight = 1000

// A Verdict is the outcome of the admission test of one server.
type Verdict int

const (
	Admitted     Verdict = iota
	Unused               // the slot has no server
	Blacklisted          // by the operator; without [Outlier] also after a failure
	Full                 // at its limit
	NoNewClients         // weight 0
	IsDisabled           // by the operator or its agent
	IsDraining           // likewise
	CheckedDown          // by health checks
	AgentDown            // by its agent
	Ejected              // after failures
	OnTrial              // after an ejection, and another flow is trying it
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
	StateFailing     State = "failing"     // connects fail, but too few to eject it, or it is the last one
	StateTrial       State = "trial"       // the ejection is over; one flow at a time may try it
	StateEjected     State = "ejected"     // for failures, until Status.Until
	StateBlacklisted State = "blacklisted" // as Blacklisted, until Status.Until
	StateDown        State = "down"        // by health checks
	StateAgentDown   State = "down by its agent"
	StateDraining    State = "draining"
	StateDisabled    State = "disabled"
)

// SetHealth records the result of health checks for the server of a slot. It reports
// whether there is such a server.
func (p *Pool) SetHealth(slot int, h Health, now time.Duration) bool {
	return p.report(slot, now, func(s *Server) { s.health = h })
}

// SetAgent records what the agent of the server of a slot reports. It reports
// whether there is such a server.
func (p *Pool) SetAgent(slot int, a Agent, now time.Duration) bool {
	return p.report(slot, now, func(s *Server) { s.agent = a })
}

func (p *Pool) report(slot int, now time.Duration, change func(*Server)) bool {
	p.advance(now)
	s := p.lookup(slot)
	if s == nil {
		return false
	}
	out := s.out()
	change(s)
	if out && !s.out() {
		p.startWarming(s)
	}
	p.reclassify(s)
	return true
}

// admin is the stricter of what the operator and the agent want.
func (s *Server) admin() Admin { return max(s.Admin, s.agent.Admin) }

func (s *Server) down() bool { return s.health == HealthDown || s.agent.Down }

// out reports whether the operator, checks or the agent keep clients away.
func (s *Server) out() bool { return s.admin() != Enabled || s.down() }

// shunned reports whether the time of an ejection lasts.
func (s *Server) shunned(now time.Duration) bool { return s.ejection != notEjected && now < s.until }

// stateVerdict is the first reason in the server's state to keep connections away, or
// Admitted.
func (s *Server) stateVerdict(now time.Duration) Verdict {
	admin := s.admin()
	switch {
	case !s.Used():
		return Unused
	case admin == Disabled:
		return IsDisabled
	case admin == Draining:
		return IsDraining
	case s.ejection == byOperator && s.shunned(now):
		return Blacklisted
	case s.health == HealthDown:
		return CheckedDown
	case s.agent.Down:
		return AgentDown
	case s.shunned(now):
		return Ejected
	case s.ejection != notEjected && s.trial:
		return OnTrial
	}
	return Admitted
}

// verdictUnderPanic is stateVerdict, without what panic ignores.
func (p *Pool) verdictUnderPanic(s *Server, now time.Duration) Verdict {
	v := s.stateVerdict(now)
	if p.isIgnored(s, v) {
		return Admitted
	}
	return p.compatName(v)
}

// isIgnored reports whether a panic ignores a verdict.
func (p *Pool) isIgnored(s *Server, v Verdict) bool {
	switch v {
	case CheckedDown, AgentDown, Ejected, OnTrial:
		return p.panics && s.Slot >= 0
	}
	return false
}

// compatName reports a failed server as blacklisted, as Pen always has, unless the
// operator uses the newer rules of Outlier.
func (p *Pool) compatName(v Verdict) Verdict {
	if v == Ejected && p.settings.Outlier == (Outlier{}) {
		return Blacklisted
	}
	return v
}

// state is the server's state, whether or not panic ignores it.
func (p *Pool) state(s *Server) State {
	switch p.compatName(s.stateVerdict(p.now)) {
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
	case s.ejection != notEjected:
		return StateTrial
	case s.failures > 0:
		return StateFailing
	case s.warmth < 100 && p.algorithm.adapts():
		return StateWarming
	}
	return StateUp
}

// Admit tests whether a server takes a client (specification, section 7). returning
// says that the client used this server last. It changes nothing.
func (p *Pool) Admit(s *Server, returning bool, now time.Duration) Verdict {
	if v := p.verdictUnderPanic(s, now); v != Admitted {
		return v
	}
	return p.admitWell(s, returning)
}

// AdmitEjected is Admit without regard to ejection and trial, for a client that finds
// no other server.
func (p *Pool) AdmitEjected(s *Server, returning bool, now time.Duration) Verdict {
	v := s.stateVerdict(now)
	if v == Admitted || v == Ejected || v == OnTrial || p.isIgnored(s, v) {
		return p.admitWell(s, returning)
	}
	return v
}

func (p *Pool) admitWell(s *Server, returning bool) Verdict {
	switch {
	case s.full() && (!returning || s.conns >= s.Hard):
		return Full
	case !returning && p.takesNoNew(s):
		return NoNewClients
	}
	return Admitted
}

// takesNoNew reports whether the server's weight keeps new clients away.
func (p *Pool) takesNoNew(s *Server) bool {
	return s.Slot >= 0 && p.algorithm.weighs() && s.effectiveWeight() == 0
}

// Blacklisted reports whether a server is out of rotation for a time, after failures
// or by the operator's command.
func (p *Pool) Blacklisted(s *Server, now time.Duration) bool { return s.shunned(now) }

// HalfOpen reports whether a server was ejected and no connect has succeeded since:
// only the flow that tries it may use it.
func (p *Pool) HalfOpen(s *Server) bool {
	return s.ejection != notEjected && !(p.panics && s.Slot >= 0)
}

// A standing is how one server counts in the rules about all servers.
type standing struct {
	used    bool
	enabled bool // by operator and agent, and not on the operator's blacklist
	well    bool // enabled, not down and not ejected
	usable  bool // well, and new clients may go there
	ejected bool // for failures, or on trial after that
}

// A census counts standings.
type census struct{ used, enabled, well, usable, ejected int }

func (t *census) add(s standing, n int) {
	add := func(count *int, counts bool) {
		if counts {
			*count += n
		}
	}
	add(&t.used, s.used)
	add(&t.enabled, s.enabled)
	add(&t.well, s.well)
	add(&t.usable, s.usable)
	add(&t.ejected, s.ejected)
}

func (p *Pool) standingOf(s *Server) standing {
	enabled := s.Used() && s.admin() == Enabled && !(s.ejection == byOperator && s.shunned(p.now))
	well := enabled && !s.down() && s.ejection == notEjected
	return standing{
		used:    s.Used(),
		enabled: enabled,
		well:    well,
		usable:  well && (s.effectiveWeight() > 0 || !p.algorithm.weighs()),
		ejected: s.Used() && (s.ejection == byConnects || s.ejection == byResets),
	}
}

// Panicking reports whether health and ejection are ignored, see Settings.Panic.
func (p *Pool) Panicking() bool { return p.panics }

func (p *Pool) mustPanic() bool { return p.census.well*100 < p.settings.Panic*p.census.enabled }
