package accesslog

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"pen/internal/weblog"
)

// A Ring remembers the latest requests that balancers have passed on. Web servers log the
// balancer as the client; with a Ring their lines get the real client (specification,
// section 22, penlogd). It is not safe for concurrent use.
type Ring struct {
	seen []passed
	next int // index to use next
}

// passed is one line of Pen's log.
type passed struct {
	client  string
	server  netip.Addr
	request string
}

// NewRing returns a Ring that remembers n requests, at least one.
func NewRing(n int) *Ring { return &Ring{seen: make([]passed, 0, max(n, 1))} }

// Add remembers a line of Pen's log: + CLIENT SERVER REQUEST.
func (r *Ring) Add(line string) error {
	rest, ok := strings.CutPrefix(line, "+ ")
	client, rest, ok1 := strings.Cut(rest, " ")
	server, request, ok2 := strings.Cut(rest, " ")
	addr, err := netip.ParseAddr(server)
	_, errClient := netip.ParseAddr(client)
	if !ok || !ok1 || !ok2 || errClient != nil || err != nil {
		return fmt.Errorf("bad line from Pen: %.80q, want: + CLIENT SERVER REQUEST, with the addresses of both", line)
	}
	p := passed{client, addr.Unmap(), key(request)}
	if len(r.seen) < cap(r.seen) {
		r.seen = append(r.seen, p)
	} else {
		r.seen[r.next] = p
	}
	r.next = (r.next + 1) % cap(r.seen)
	return nil
}

// Convert replaces the first word of a web server's log line by the real client. A line
// that matches no request keeps its first word. Characters that do not print become dots,
// so that a line can't control a terminal. Convert reports false for a line without a
// request in quotes.
func (r *Ring) Convert(server netip.Addr, line string) (string, bool) {
	_, quoted, ok := strings.Cut(line, `"`)
	request, _, closed := strings.Cut(quoted, `"`)
	if !ok || !closed {
		return "", false
	}
	request, server = key(request), server.Unmap()
	for i := range r.seen {
		// The newest first.
		p := r.seen[(r.next-1-i+2*len(r.seen))%len(r.seen)]
		if p.server == server && p.request == request {
			if _, rest, ok := strings.Cut(line, " "); ok {
				return p.client + " " + printable(rest), true
			}
		}
	}
	return printable(line), true
}

// printable replaces each character that does not print, except tabs, by a dot.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || r != utf8.RuneError && unicode.IsPrint(r) {
			return r
		}
		return '.'
	}, s)
}

// key is the part of a request that Pen logs.
func key(request string) string { return request[:min(len(request), weblog.MaxRequest)] }
