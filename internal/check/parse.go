package check

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"pen/internal/duration"
)

const (
	maxArg  = 1024 // bytes of a path or a string
	maxName = 253  // bytes of a host's name (RFC 1035)

	minInterval = 50 * time.Millisecond
	maxInterval = 24 * time.Hour
	// A shorter timeout could not be told from a process that had to wait for
	// its turn.
	minTimeout = 50 * time.Millisecond
	maxTimeout = time.Hour
	maxRise    = 1000
)

const options = "interval, timeout, rise, fall, port, host, status, jitter, start, verify or dry_run"

// ParseSpec understands the words of a check:
//
//	KIND [ARGUMENTS] [KEY VALUE]... [verify] [dry_run]
//
// Strings are one word each, in which \r \n \t \s (a space) \\ and \xNN stand
// for the byte. Durations are in seconds, or 200ms, 5m. Of a key that is given
// twice the last value counts. The error is one line that says what is wrong
// and what would be right.
func ParseSpec(words []string) (Spec, error) {
	s, rest, err := parseKind(words)
	for err == nil && len(rest) > 0 {
		rest, err = s.option(rest)
	}
	if err == nil {
		err = s.complete()
	}
	if err != nil {
		return Spec{}, err
	}
	return s, nil
}

// parseKind understands the kind and its arguments, and returns the other
// words.
func parseKind(words []string) (s Spec, rest []string, err error) {
	if len(words) == 0 {
		return s, nil, errors.New("the kind of check is missing, want " + kinds)
	}
	kind := Kind(words[0])
	s, rest = defaults(kind), words[1:]
	switch kind {
	case TCP, TLS:
	case HTTP, HTTPS:
		s.Arg, rest, err = parseArg(rest, kind, "PATH", isPath)
	case DNS:
		s.Arg, rest, err = parseArg(rest, kind, "NAME", isName)
	case Exec:
		s.Arg, rest, err = parseArg(rest, kind, "FILE", isPath)
	case Send, first:
		s.Kind = Send
		rest, err = s.sendExpect(words, kind == Send, true)
	case UDP:
		rest, err = s.sendExpect(rest, true, true)
	case Agent:
		if len(rest) > 0 && rest[0] == "send" {
			rest, err = s.sendExpect(rest, true, false)
		}
	default:
		err = fmt.Errorf("unknown kind of check %.40q, want %s", words[0], kinds)
	}
	return s, rest, err
}

func parseArg(words []string, kind Kind, what string, good func(string) bool) (string, []string, error) {
	if len(words) == 0 {
		return "", nil, fmt.Errorf("%s: its argument is missing, want %s %s", kind, kind, what)
	}
	if !good(words[0]) {
		want := "a slash and what follows it, in printable ASCII"
		if what == "NAME" {
			want = "a host name of letters, digits, hyphens and dots"
		}
		return "", nil, fmt.Errorf("%s: bad %s %.40q, want %s", kind, what, words[0], want)
	}
	return words[0], words[1:], nil
}

// sendExpect understands [send STRING] [expect STRING], of which each part is
// there or not.
func (s *Spec) sendExpect(words []string, send, expect bool) (rest []string, err error) {
	for _, part := range []struct {
		key  string
		want bool
		to   *string
	}{{"send", send, &s.Send}, {"expect", expect, &s.Expect}} {
		if !part.want {
			continue
		}
		if len(words) < 2 || words[0] != part.key {
			return nil, fmt.Errorf("%s: want %s STRING", s.Kind, part.key)
		}
		if *part.to, err = unescape(words[1]); err != nil {
			return nil, fmt.Errorf("%s: %w", part.key, err)
		}
		words = words[2:]
	}
	return words, nil
}

// onlyFor are the kinds that an option makes sense for; any other is for all.
var onlyFor = map[string][]Kind{
	"host":   {HTTP, HTTPS, TLS},
	"status": {HTTP, HTTPS},
	"verify": {TLS, HTTPS},
}

// option understands one option and returns the words behind it.
func (s *Spec) option(words []string) (rest []string, err error) {
	key, rest := words[0], words[1:]
	if kinds := onlyFor[key]; kinds != nil && !slices.Contains(kinds, s.Kind) {
		return nil, fmt.Errorf("%s: not for %s, only for %s", key, s.Kind, strings.Trim(fmt.Sprint(kinds), "[]"))
	}
	switch key {
	case "verify":
		s.Verify = true
		return rest, nil
	case "dry_run":
		s.DryRun = true
		return rest, nil
	}
	if len(rest) == 0 {
		rest = []string{""}
	}
	value := rest[0]
	switch key {
	case "interval":
		s.Interval, err = parseDuration(value, minInterval, maxInterval)
	case "timeout":
		s.Timeout, err = parseDuration(value, minTimeout, maxTimeout)
	case "rise":
		s.Rise, err = parseInt(value, 1, maxRise)
	case "fall":
		s.Fall, err = parseInt(value, 1, maxRise)
	case "port":
		s.Port, err = parseInt(value, 0, 65535)
	case "jitter":
		s.Jitter, err = parseInt(strings.TrimSuffix(value, "%"), 0, 100)
	case "status":
		s.StatusMin, s.StatusMax, err = parseStatus(value)
	case "start":
		s.Start, err = parseState(value)
	case "host":
		s.Host = value
		if !isHost(value) {
			err = fmt.Errorf("bad host %.40q, want a name or an address, and :PORT if need be", value)
		}
	default:
		return nil, fmt.Errorf("unknown option %.40q, want %s", key, options)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", key, err)
	}
	return rest[1:], err
}

// complete sets what depends on other options and checks what they must be
// together.
func (s *Spec) complete() error {
	if s.Timeout == 0 {
		s.Timeout = min(s.Interval, defaultTimeout)
	}
	if s.Kind == Agent && s.Port == 0 {
		return errors.New("agent: the port where it listens is missing, want port N")
	}
	return nil
}

// parseDuration understands a bare number as seconds, and units as in 200ms.
func parseDuration(text string, least, most time.Duration) (time.Duration, error) {
	d, err := duration.Parse(text)
	if err != nil {
		return 0, err
	}
	if d < least || d > most {
		return 0, fmt.Errorf("%.40q is out of range, want %v to %v", text, least, most)
	}
	return d, nil
}

func parseInt(text string, least, most int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%.40q, want a number from %d to %d", text, least, most)
	}
	return n, nil
}

// parseStatus understands a status code, or two and a hyphen.
func parseStatus(text string) (least, most int, err error) {
	low, high, ranged := strings.Cut(text, "-")
	if !ranged {
		high = low
	}
	if least, err = parseInt(low, 100, 599); err == nil {
		most, err = parseInt(high, least, 599)
	}
	return least, most, err
}

// isPath accepts what can stand in a request line, and in a configuration as
// one word.
func isPath(s string) bool { return strings.HasPrefix(s, "/") && len(s) <= maxArg && isGraphic(s) }

func isGraphic(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// isName accepts names of hosts and of what else is in DNS, such as _ldap.
func isName(s string) bool {
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, notInName) {
			return false
		}
	}
	return len(s) <= maxName
}

func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// isHost accepts a name or an address, which may be in brackets, with or
// without a port.
func isHost(s string) bool {
	return s != "" && len(s) <= maxName && !strings.ContainsFunc(s, func(r rune) bool {
		return notInName(r) && !strings.ContainsRune(".:[]", r)
	})
}
