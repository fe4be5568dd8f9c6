package health

import (
	"context"
	"log/slog"
	"time"

	"pen/internal/check"
)

// slack is how much longer than its timeout a check may take that was not
// delayed: programs are waited for.
const slack = 2*leftover + 50*time.Millisecond

// patience is for how long this machine may lack something without a word, and
// the time between words.
const patience = time.Minute

// news is what there is to tell after a check.
type news struct {
	changed bool
	passed  bool // and the server is up
	state   check.State
	report  *check.Report // a new one
	log     bool
	leftOut int // changes of which no line told
	short   bool
	result  check.Result
}

// judge takes an outcome and returns what is new.
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
		n.short = m.shortage(t, now)
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

// wasLate reports whether a check may have failed since this process did not
// get to it in time.
func (m *Monitor) wasLate(t *target, now time.Time) bool {
	tolerance := t.Spec.Timeout / 5
	return m.pulse.lost-t.lost >= tolerance || now.Sub(t.began) > t.Spec.Timeout+tolerance+slack
}

// shortage reports whether it is time to speak of a lack on this machine.
func (m *Monitor) shortage(t *target, now time.Time) bool {
	if t.short.IsZero() {
		t.short = now
	}
	if now.Sub(t.short) < patience || now.Sub(m.said) < patience {
		return false
	}
	m.said = now
	return true
}

// tell calls the functions of the Options, and logs.
func (m *Monitor) tell(t Target, n news) {
	if n.short {
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

// logState writes that the checks of a server say something else now.
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

// A journal bounds the lines of a server that is up and down all the time: so
// many in a time. When that is over, one line tells of the present state and
// how much was left out.
type journal struct {
	begun   time.Time
	lines   int
	leftOut int
}

// admit reports whether a line is to be written now, and how many were left out
// before it.
func (j *journal) admit(now time.Time, changed bool) (write bool, leftOut int) {
	over := now.Sub(j.begun) >= journalTime
	switch {
	case !changed && (j.leftOut == 0 || !over):
		return false, 0
	case over:
		j.begun, j.lines = now, 0
	case j.lines == journalLines:
		j.leftOut++
		return false, 0
	}
	j.lines++
	leftOut, j.leftOut = j.leftOut, 0
	return true, leftOut
}
