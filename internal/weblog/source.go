package weblog

import (
	"net/netip"
	"strings"
)

// SplitSource splits SERVER:LOGFILE at the first colon that is not part of an IPv6 address,
// which may be in brackets: 10.0.0.1:log, ::1:log and [::1]:log. It reports false if there
// is no such colon.
func SplitSource(s string) (server, file string, ok bool) {
	if inside, found := strings.CutPrefix(s, "["); found {
		server, file, ok = strings.Cut(inside, "]:")
		return server, file, ok
	}
	// In ::1:2:log the server is ::1:2, the longest possible address.
	for i := len(s) - 1; i > 0; i-- {
		if s[i] != ':' {
			continue
		}
		if a, err := netip.ParseAddr(s[:i]); err == nil && a.Is6() {
			return s[:i], s[i+1:], true
		}
	}
	return strings.Cut(s, ":")
}
