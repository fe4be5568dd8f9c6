package control

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"

	"pen/internal/config"
)

const (
	minToken = 16 // bytes: what nobody can guess
	maxToken = 256
)

// Tokens are secrets and the levels that they give. Only their digests are
// kept.
type Tokens []token

type token struct {
	sum   [sha256.Size]byte
	level config.Level
}

// ParseTokens understands a file with the tokens of a level, one a line; empty
// lines and those that begin with # do not count. Errors do not quote it.
func ParseTokens(level config.Level, text string) (Tokens, error) {
	var out Tokens
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if len(line) < minToken || len(line) > maxToken || strings.ContainsFunc(line, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, fmt.Errorf("line %d: not a token, want %d to %d letters, digits or signs without spaces, such as 'openssl rand -hex 24' makes", i+1, minToken, maxToken)
		}
		out = append(out, token{sha256.Sum256([]byte(line)), level})
	}
	if out == nil {
		return nil, errors.New("there is no token in it, want one a line")
	}
	return out, nil
}

// level returns what a token gives. It takes the same time whatever is in it.
func (t Tokens) level(word string) (config.Level, bool) {
	sum := sha256.Sum256([]byte(word))
	var best config.Level
	for _, known := range t {
		if subtle.ConstantTimeCompare(sum[:], known.sum[:]) == 1 {
			best = max(best, known.level)
		}
	}
	return best, best > 0
}
