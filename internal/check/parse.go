package check

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"pen/internal/duration"
	"pen/internal/wire"
)

const (
	maxArg   = 1024 // bytes of a path or a string
	maxToken = 253  // bytes of a word such as a user's name

	minInterval = 50 * time.Millisecond
	maxInterval = 24 * time.Hour
	// A shorter timeout could expire while this process waits for the processor.
	minTimeout = 50 * time.Millisecond
	maxTimeout = time.Hour
	maxRise    = 1000
)

const options = "interval, timeout, rise, fall, port, host, method, header, body, status, expect, user, alpn, jitter, start, verify or dry_run"

// ParseSpec parses the words of a check:
//
//	KIND [ARGUMENTS] [KEY VALUE]... [verify] [dry_run]
//
// Strings are one word each, in which \r \n \t \s (a space) \\ and \xNN stand for bytes.
// Durations are in seconds, or written as in 200ms and 5m. If a key is given twice, the
// last value counts. The error is one line: what is wrong, and what would be right.
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

// parseKind parses the kind and its arguments, and returns the other words.
func parseKind(words []string) (s Spec, rest []string, err error) {
	if len(words) == 0 {
		return s, nil, errors.New("the kind of check is missing, want " + kinds)
	}
	kind := Kind(words[0])
	if k, ok := otherNames[kind]; ok {
		kind = k
	}
	s, rest = defaults(kind), words[1:]
	switch kind {
	case TCP, TLS, SMTP, MySQL, PostgreSQL, Redis, LDAP:
	case Script:
		rest, err = s.parseSteps(rest)
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

// sendExpect parses [send STRING] [expect STRING]; the two flags say which of them must be
// there.
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

// onlyFor lists the kinds that an option is for. Other options are for all kinds.
var onlyFor = map[string][]Kind{
	"host":   {HTTP, HTTPS, TLS, SMTP},
	"method": {HTTP, HTTPS},
	"header": {HTTP, HTTPS},
	"body":   {HTTP, HTTPS},
	"status": {HTTP, HTTPS},
	"expect": {HTTP, HTTPS},
	"user":   {MySQL, PostgreSQL},
	"alpn":   {TLS},
	"verify": {TLS, HTTPS},
}

// option parses one option and returns the words after it.
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
	case "method":
		s.Method, err = parseMethod(value)
	case "header":
		err = s.addHeader(value)
	case "body":
		s.Send, err = unescape(value)
	case "expect":
		s.Expect, err = unescape(value)
	case "user":
		s.User, err = parseToken(value, "a name of letters, digits and what is usual in names, without spaces")
	case "alpn":
		s.ALPN, err = parseToken(value, "protocols such as h2,http/1.1")
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

// complete sets the options that depend on others, and checks that all of them agree.
func (s *Spec) complete() error {
	if s.Timeout == 0 {
		s.Timeout = min(s.Interval, defaultTimeout)
	}
	switch {
	case s.Kind == Agent && s.Port == 0:
		return errors.New("agent: the port where it listens is missing, want port N")
	case s.Method == "HEAD" && s.Expect != "":
		return errors.New("expect: the answer to HEAD has no body, want method GET")
	}
	return nil
}

// parseMethod parses the method of a request.
func parseMethod(text string) (string, error) {
	if text == "" || len(text) > 16 || strings.ContainsFunc(text, func(r rune) bool { return r < 'A' || r > 'Z' }) || text == "CONNECT" {
		return "", fmt.Errorf("%.40q, want one such as GET, HEAD, OPTIONS or POST", text)
	}
	return text, nil
}

// parseToken accepts one printable word.
func parseToken(text, want string) (string, error) {
	if text == "" || len(text) > maxToken || !isGraphic(text) || strings.ContainsRune(text, '#') {
		return "", fmt.Errorf("%.40q, want %s", text, want)
	}
	return text, nil
}

// framing are the headers that Pen sets itself.
var framing = []string{"Host", "Connection", "Content-Length", "Transfer-Encoding"}

// addHeader adds a header, NAME:VALUE, to the request.
func (s *Spec) addHeader(word string) error {
	text, err := unescape(word)
	if err != nil {
		return err
	}
	name, value, ok := strings.Cut(text, ":")
	bad := func(r rune) bool { return r != '\t' && (r < ' ' || r > '~') }
	switch {
	case !ok || name == "" || strings.ContainsFunc(name, notInHeader) || strings.ContainsFunc(value, bad):
		return fmt.Errorf(`%.40q, want NAME:VALUE in printable ASCII, with \s for a space`, word)
	case slices.ContainsFunc(framing, func(own string) bool { return strings.EqualFold(own, name) }):
		return fmt.Errorf("%s is set by Pen; for another Host use host NAME", name)
	case len(s.Headers)+len(text) > 4*maxArg:
		return fmt.Errorf("more than %d bytes of headers", 4*maxArg)
	}
	s.Headers += name + ": " + strings.TrimSpace(value) + "\r\n"
	return nil
}

// notInHeader reports whether a character may not be in the name of a header.
func notInHeader(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// parseDuration parses seconds, or a number with a unit as in 200ms.
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

// parseStatus parses a status code, or two with a hyphen between them.
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

// isPath accepts a path that fits into a request line, and into a configuration as one
// word.
func isPath(s string) bool { return strings.HasPrefix(s, "/") && len(s) <= maxArg && isGraphic(s) }

func isGraphic(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// isName accepts names of hosts and of other records in DNS, such as _ldap._tcp.
func isName(s string) bool {
	_, ok := wire.HostName(s)
	return ok
}

// isHost accepts a name or an address, with or without a port, and an address in
// brackets as HTTP and SMTP write it.
func isHost(s string) bool {
	if at, err := netip.ParseAddrPort(s); err == nil {
		return at.Addr().Zone() == ""
	}
	bare := strings.TrimPrefix(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"), "IPv6:")
	if addr, err := netip.ParseAddr(bare); err == nil {
		return addr.Zone() == ""
	}
	name, port, ported := strings.Cut(s, ":")
	_, err := strconv.ParseUint(port, 10, 16)
	return isName(name) && (!ported || err == nil)
}
