package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"pen/internal/duration"
)

// ParseDuration understands a bare number as seconds, as in Pen, and units as
// in "200ms" and "5m".
func ParseDuration(s string) (time.Duration, error) {
	const most = time.Duration(math.MaxInt32) * time.Second
	d, err := duration.Parse(s)
	if err != nil {
		return 0, err
	}
	if d < 0 || d > most {
		return 0, fmt.Errorf("%q is out of range, want 0 to %d seconds", s, int64(most/time.Second))
	}
	return d, nil
}

// parseInt understands a whole number within bounds.
func parseInt(what, s string, least, most int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf("%s %q is not a number, want %d to %d", what, s, least, most)
	}
	if n < least || n > most {
		return 0, fmt.Errorf("%s %d is out of range, want %d to %d", what, n, least, most)
	}
	return n, nil
}

// maxWord is how long a word may be, so that a line can hold it.
const maxWord = maxLine - 200

// splitWords splits a line at spaces and tabs; the end of a line, however it
// is written, is no part of a word.
func splitWords(line string) []string {
	return strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\r\n", r) })
}

// parseWord accepts what can stand as one word in a file.
func parseWord(s string) error {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) || s[0] == '#' {
		return fmt.Errorf("%q can't be written as one word: it must not be empty, begin with # or contain spaces", s)
	}
	if len(s) > maxWord {
		return fmt.Errorf("a word of %d bytes, want at most %d", len(s), maxWord)
	}
	return nil
}
