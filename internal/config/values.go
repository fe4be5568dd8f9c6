package config

import (
	"fmt"
	"math"
	"net/netip"
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

// parseAddr understands an address as netip does, and the other forms of IPv4
// that inet_aton knows, as C Pen does: 127.1, 0x7f000001, 2130706433, 0177.0.0.1.
func parseAddr(s string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		if old, ok := inetAton(s); ok {
			return old, nil
		}
	}
	return addr, err
}

// inetAton understands one to four numbers with dots between them, decimal,
// octal or hexadecimal as in C. The last one fills the bytes that are left.
func inetAton(s string) (netip.Addr, bool) {
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var all uint64
	for i, part := range parts {
		most := uint64(0xff)
		if i == len(parts)-1 {
			most = 1<<(8*(5-len(parts))) - 1
		}
		if part == "" || strings.ContainsAny(part, "_oObB+-") && !strings.HasPrefix(strings.ToLower(part), "0x") {
			return netip.Addr{}, false
		}
		n, err := strconv.ParseUint(part, 0, 64)
		if err != nil || n > most || strings.Contains(part, "_") {
			return netip.Addr{}, false
		}
		if i == len(parts)-1 {
			all = all<<(8*(5-len(parts))) | n
		} else {
			all = all<<8 | n
		}
	}
	return netip.AddrFrom4([4]byte{byte(all >> 24), byte(all >> 16), byte(all >> 8), byte(all)}), true
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
