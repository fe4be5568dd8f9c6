package check

import (
	"errors"
	"fmt"
	"iter"
	"strings"
)

// maxSteps bounds the steps of a script.
const maxSteps = 64

// A Step of a script sends bytes, or expects them in what the server sends next.
type Step struct {
	Expect bool
	Text   string
}

// Script yields the steps of a [Script] or [Send] check.
func (s Spec) Script() iter.Seq[Step] {
	return func(yield func(Step) bool) {
		if s.Kind != Script {
			if s.Send == "" || yield(Step{false, s.Send}) {
				yield(Step{true, s.Expect})
			}
			return
		}
		words := strings.Fields(s.Steps)
		for i := 0; i+1 < len(words); i += 2 {
			text, _ := unescape(words[i+1]) // parseSteps has checked it
			if !yield(Step{words[i] == first, text}) {
				return
			}
		}
	}
}

// parseSteps parses the steps of a script and returns the words after them.
func (s *Spec) parseSteps(words []string) (rest []string, err error) {
	var steps []string
	for rest = words; len(rest) > 0 && (rest[0] == string(Send) || rest[0] == first); rest = rest[2:] {
		if len(rest) < 2 {
			return nil, fmt.Errorf("script: %s has no value, want %s STRING", rest[0], rest[0])
		}
		text, err := unescape(rest[1])
		if err != nil {
			return nil, fmt.Errorf("script: %s: %w", rest[0], err)
		}
		steps = append(steps, rest[0], escape(text))
	}
	switch {
	case len(steps) > 2*maxSteps:
		return nil, fmt.Errorf("script: %d steps, want %d at most", len(steps)/2, maxSteps)
	case len(steps) < 2 || steps[len(steps)-2] != first:
		return nil, errors.New("script: want steps, send STRING or expect STRING, of which the last one is expect STRING")
	}
	s.Steps = strings.Join(steps, " ")
	return rest, nil
}
