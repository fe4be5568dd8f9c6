package check

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// MaxAgentLine is how many bytes an agent's line may have, without its end.
const MaxAgentLine = 1024

const (
	maxPercent = 1000
	maxConns   = 1<<31 - 1
)

// A Mode is what an agent wants to be done with its server, as an operator
// would.
type Mode uint8

// The modes.
const (
	NoMode Mode = iota // the agent does not say
	Ready              // clients may come again
	Drain              // no new clients
	Maint              // no clients
)

func (m Mode) String() string { return [...]string{"", "ready", "drain", "maint"}[m] }

// A Report is what an agent says of its server. What it does not speak of is
// left as it is. Two can be compared.
type Report struct {
	State       State  // Up or Down; Unknown is not said
	Description string // why it is down; see [Reason]
	Mode        Mode
	Weight      int // percent of the configured weight; -1 is not said
	MaxConn     int // most connections; -1 is not said
}

// ParseAgent understands a line of HAProxy's agent-check protocol (its
// configuration manual, "agent-check"): words that are separated by spaces,
// tabs or commas. They are
//
//	75%                    the weight
//	up, down, fail, failed, stopped
//	ready, drain, maint
//	maxconn:N
//
// A # and what follows it is a description. Case does not matter, the last word
// of a sort counts, and unknown words are ignored; a line in which nothing is
// known is an error, as is a number that makes no sense.
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

// String writes the report as a line of the protocol, without its end.
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
