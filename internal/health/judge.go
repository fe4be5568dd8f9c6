package health

import (
	"context"
	"log/slog"
	"time"

	"pen/internal/check"
)

// slack is how much longer than its timeout a check may take without having been delayed:
// programs are given time to exit.
const slack = 2*outputDelay + 50*time.Millisecond

// shortageTime is how long a shortage on this machine must last before it is logged, and
// the time between two such lines.
const shortageTime = time.Minute

// news is what must be reported after a check.
type news struct {
	changed  bool
	passed   bool // and the server is up
	state    check.State
	report   *check.Report // a new one, or nil
	log      bool
	leftOut  int  // changes that were not logged
	shortage bool // must be logged
	result   check.Result
}

// judge records an outcome and returns what is new.
func (m *Monitor) judge(t *target, o Outcome) (n news) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.opt.Now()
	m.pulse.beat(now)
	s := &t.status
	s.Checks++
	s.Checked, s.Duration, s.Reason = now, o.Duration, o.Reason
	n.result = o.Result
	if o.Verdict != check.Local {
		t.short = time.Time{}
	}
	if o.Report != nil && (s.Report == nil || *s.Report != *o.Report) {
		s.Report, n.report = o.Report, o.Report
	}
	ignored := false
	switch {
	case o.Verdict == check.Silent:
	case o.Verdict == check.Local:
		s.Local++
		n.shortage = m.shortage(t, now)
	case o.Verdict == check.Failed && o.Report == nil && m.wasLate(t, now):
		s.Ignored++
		s.Reason += "; ignored, since this process was late"
		ignored = true
	default:
		if o.Verdict == check.Failed {
			s.Failures++
		}
		if n.changed = t.machine.Add(o.Verdict == check.Passed); n.changed {
			s.Since = now
			s.Transitions++
		}
	}
	n.state = t.machine.State()
	n.passed = o.Verdict == check.Passed && n.state == check.Up
	n.log, n.leftOut = t.journal.admit(now, n.changed)
	t.again(now, ignored)
	return n
}

// wasLate reports whether a check may have failed because this process did not run in
// time.
func (m *Monitor) wasLate(t *target, now time.Time) bool {
	tolerance := t.Spec.Timeout / 5
	return m.pulse.lost-t.lost >= tolerance || now.Sub(t.began) > t.Spec.Timeout+tolerance+slack
}

// shortage reports whether a shortage on this machine must be logged now.
func (m *Monitor) shortage(t *target, now time.Time) bool {
	if t.short.IsZero() {
		t.short = now
	}
	if now.Sub(t.short) < shortageTime || now.Sub(m.shortageLogged) < shortageTime {
		return false
	}
	m.shortageLogged = now
	return true
}

// publish logs what is new and calls the functions of the Options.
func (m *Monitor) publish(t Target, n news) {
	if n.shortage {
		m.opt.Log.Warn("server checks can't be made, for want of something on this machine",
			"services", t.services(), "address", t.address(), "reason", n.result.Reason)
	}
	if n.log {
		logChange(m.opt.Log, t, n)
	}
	if t.Spec.DryRun {
		return
	}
	if n.changed && m.opt.OnChange != nil {
		m.opt.OnChange(t.Key, n.state)
	}
	if n.passed && m.opt.OnPass != nil {
		m.opt.OnPass(t.Key)
	}
	if n.report != nil && m.opt.OnReport != nil {
		m.opt.OnReport(t.Key, *n.report)
	}
}

func logChange(log *slog.Logger, t Target, n news) {
	args := []any{
		"services", t.services(), "servers", t.servers(), "address", t.address(), "check", string(t.Spec.Kind),
		"reason", n.result.Reason, "duration", n.result.Duration.Round(10 * time.Microsecond),
	}
	if t.Spec.DryRun {
		args = append(args, "dry_run", true)
	}
	logState(log, n.state, n.leftOut, args)
}

// logState logs a change of a server's state.
func logState(log *slog.Logger, s check.State, leftOut int, args []any) {
	if leftOut > 0 {
		args = append(args, "left_out", leftOut)
	}
	level := slog.LevelInfo
	if s == check.Down {
		level = slog.LevelWarn
	}
	log.Log(context.Background(), level, "server check: "+s.String(), args...)
}

const (
	journalTime  = time.Minute
	journalLines = 6
)

// A journal bounds the log lines about a server that goes up and down all the time, to
// journalLines in each journalTime. After that time one line gives the present state and
// how many changes were left out.
type journal struct {
	started time.Time
	lines   int
	leftOut int
}

// admit reports whether to write a line now, and how many were left out before it.
func (j *journal) admit(now time.Time, changed bool) (write bool, leftOut int) {
	over := now.Sub(j.started) >= journalTime
	switch {
	case !changed && (j.leftOut == 0 || !over):
		return false, 0
	case over:
		j.started, j.lines = now, 0
	case j.lines == journalLines:
		j.leftOut++
		return false, 0
	}
	j.lines++
	leftOut, j.leftOut = j.leftOut, 0
	return true, leftOut
}
