package check

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A State is what checks say of a server.
type State uint8

// The states.
const (
	Unknown State = iota // there was no result yet
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

// A Verdict is what one check says of the server.
type Verdict uint8

// The verdicts.
const (
	Failed Verdict = iota
	Passed
	Silent // nothing: an agent that did not say whether its server works
	Local  // nothing: it could not be made, for lack of something on this machine
)

// A Result is the outcome of one check.
type Result struct {
	Verdict  Verdict
	Reason   string // a few words for people; see [Reason]
	Duration time.Duration
}

// A Machine makes states of results: so many good ones in a row make a server
// up, so many bad ones down, and the first decides where nothing is known. The
// zero Machine needs one.
type Machine struct {
	state      State
	streak     int // results in a row that speak against the state
	rise, fall int
}

// NewMachine returns a Machine for a check, in its first state.
func NewMachine(s Spec) Machine { return Machine{state: s.Start, rise: s.Rise, fall: s.Fall} }

// State is the present state.
func (m *Machine) State() State { return m.state }

// Add takes a result and reports whether it changed the state.
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

// Reason makes a text that may come from a server fit to be shown in a line:
// printable, without outer spaces, and not too long.
func Reason(text string) string {
	const more = "..."
	cut := len(text) > maxReason
	text = strings.TrimFunc(text[:min(len(text), maxReason)], func(r rune) bool { return !unicode.IsGraphic(r) || r == ' ' })
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return '.' // not longer than what it stands for
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
