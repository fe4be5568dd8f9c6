package check

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A State is the state of a server by its checks.
type State uint8

// The states.
const (
	Unknown State = iota // no result yet
	Up
	Down
)

func (s State) String() string {
	switch s {
	case Up:
		return "up"
	case Down:
		return "down"
	}
	return "unknown"
}

func parseState(text string) (State, error) {
	for _, s := range []State{Unknown, Up, Down} {
		if text == s.String() {
			return s, nil
		}
	}
	return Unknown, fmt.Errorf("%.40q is no state, want up, down or unknown", text)
}

// A Verdict is what one check says about a server.
type Verdict uint8

// The verdicts.
const (
	Failed Verdict = iota
	Passed
	Silent // nothing: an agent did not say whether its server works
	Local  // nothing: this machine lacked something for the check
)

// A Result is the outcome of one check.
type Result struct {
	Verdict  Verdict
	Reason   string // a few words for messages; see [Reason]
	Duration time.Duration
}

// A Machine turns results into a state: rise passed checks in a row make a server up, fall
// failed ones make it down, and a single result decides while the state is unknown.
type Machine struct {
	state      State
	streak     int // results in a row that contradict the state
	rise, fall int
}

// NewMachine returns a Machine for a check, in the state in which it starts.
func NewMachine(s Spec) Machine { return Machine{state: s.Start, rise: s.Rise, fall: s.Fall} }

// State is the current state.
func (m *Machine) State() State { return m.state }

// Add records a result and reports whether it changed the state.
func (m *Machine) Add(passed bool) (changed bool) {
	next, need := Down, m.fall
	if passed {
		next, need = Up, m.rise
	}
	if next == m.state {
		m.streak = 0
		return false
	}
	m.streak++
	if m.streak < need && m.state != Unknown {
		return false
	}
	m.state, m.streak = next, 0
	return true
}

const maxReason = 120 // bytes

// Reason makes a text, which may come from a server, fit for a line of a log: printable,
// trimmed, and at most 120 bytes.
func Reason(text string) string {
	const more = "..."
	cut := len(text) > maxReason
	text = strings.TrimFunc(text[:min(len(text), maxReason)], func(r rune) bool { return !unicode.IsGraphic(r) || r == ' ' })
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return '.' // not longer than what it replaces
		}
		return r
	}, text)
	if !cut {
		return text
	}
	end := min(len(text), maxReason-len(more))
	for end > 0 && !utf8.ValidString(text[:end]) {
		end--
	}
	return text[:end] + more
}
