package check

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// MaxAgentLine bounds an agent's line, in bytes without its end.
const MaxAgentLine = 1024

const (
	maxPercent = 1000
	maxConns   = 1<<31 - 1
)

// A Mode is an agent's request to treat its server as an operator would.
type Mode uint8

// The modes.
const (
	NoMode Mode = iota // no request
	Ready              // accept clients again
	Drain              // no new clients
	Maint              // no clients
)

func (m Mode) String() string { return [...]string{"", "ready", "drain", "maint"}[m] }

// A Report is what an agent says about its server. Settings that it does not mention stay
// as they are. Two can be compared.
type Report struct {
	State       State  // Up or Down; Unknown if not mentioned
	Description string // why it is down; see [Reason]
	Mode        Mode
	Weight      int // percent of the configured weight; -1 if not mentioned
	MaxConn     int // maximum of connections; -1 if not mentioned
}

// ParseAgent parses a line of HAProxy's agent-check protocol (its configuration manual,
// "agent-check"): words separated by spaces, tabs or commas. They are
//
//	75%                    the weight
//	up, down, fail, failed, stopped
//	ready, drain, maint
//	maxconn:N
//
// A # starts a description. Case does not matter, the last word of each kind counts, and
// unknown words are ignored. A line without any known word is an error, and so is a number
// out of range.
func ParseAgent(line string) (Report, error) {
	r := Report{Weight: -1, MaxConn: -1}
	if len(line) > MaxAgentLine {
		return r, fmt.Errorf("an agent's line of more than %d bytes", MaxAgentLine)
	}
	words, description, _ := strings.Cut(line, "#")
	nothing := r
	for word := range strings.FieldsFuncSeq(words, func(c rune) bool { return strings.ContainsRune(" \t,\r\n", c) }) {
		if err := r.word(strings.ToLower(word)); err != nil {
			return nothing, err
		}
	}
	if r == nothing {
		return nothing, errors.New("nothing in the agent's line is known, want up, down, ready, drain, maint, 75% or maxconn:N")
	}
	r.Description = Reason(description)
	return r, nil
}

func (r *Report) word(word string) error {
	var err error
	switch word {
	case "up":
		r.State = Up
	case "down", "fail", "failed", "stopped":
		r.State = Down
	case "ready":
		r.Mode = Ready
	case "drain":
		r.Mode = Drain
	case "maint":
		r.Mode = Maint
	default:
		if n, ok := strings.CutPrefix(word, "maxconn:"); ok {
			r.MaxConn, err = parseCount("maxconn", n, maxConns)
		} else if n, ok := strings.CutSuffix(word, "%"); ok {
			r.Weight, err = parseCount("weight", n, maxPercent)
		}
	}
	return err
}

// parseCount accepts digits only: no sign.
func parseCount(what, text string, most int) (int, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n > uint64(most) {
		return 0, fmt.Errorf("%s %.40q, want a number from 0 to %d", what, text, most)
	}
	return int(n), nil
}

// String returns the report as a line of the protocol, without its end.
func (r Report) String() string {
	var words []string
	if r.State != Unknown {
		words = append(words, r.State.String())
	}
	if r.Mode != NoMode {
		words = append(words, r.Mode.String())
	}
	if r.Weight >= 0 {
		words = append(words, strconv.Itoa(r.Weight)+"%")
	}
	if r.MaxConn >= 0 {
		words = append(words, "maxconn:"+strconv.Itoa(r.MaxConn))
	}
	if r.Description != "" {
		words = append(words, "#"+r.Description)
	}
	return strings.Join(words, " ")
}
