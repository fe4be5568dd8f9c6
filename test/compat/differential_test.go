// Package compat_test compares Pen with C Pen, Debian's pen 0.34.1: the same commands
// give the same answers, except for the rows of docs/differences.md.
package compat_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pen/test/internal/lab"
)

// The C programs, from Debian.
const (
	cPen    = "/usr/bin/pen"
	cPenctl = "/usr/bin/penctl"
)

// A step is taken with both programs. The results must be equal, unless row names a row
// of docs/differences.md; then c and ours are the results of C Pen and of ours.
type step struct {
	do      string // see twin.do
	row     string
	c, ours string
}

func both(steps ...string) []step {
	var all []step
	for _, s := range steps {
		all = append(all, step{do: s})
	}
	return all
}

// differential are the scripts. The steps stop and start name servers, which both
// programs share.
var differential = []struct {
	name  string
	args  []string
	steps []step
}{
	{"stickiness and round-robin", nil, append([]step{
		{"visit 2", "round-robin-start", "b", "a"},
		{"visit 3", "round-robin-start", "c", "b"},
		{"visit 4", "round-robin-start", "a", "c"},
	}, both("clients_max", "tracking", "listen", "control")...)},
	{"weight", []string{"-W"}, both(
		"server 0 weight 1", "server 1 weight 1", "server 2 weight 2", "servers",
		"hold h1 2", "hold h2 3", "hold h3 4", "hold h4 5", "hold h5 6", "servers",
		"visit 2", "visit 3", "visit 4", "drop h2", "visit 9", "mode", "server 0 weight 0", "visit 10", "visit 11", "servers")},
	{"weight ties", []string{"-W"}, append(both("server 0 weight 300", "server 1 weight 300", "server 2 blacklist 500", "hold h1 2"),
		step{"hold h2 3", "weight-exact", "a", "b"})},
	{"unset weights", []string{"-W"}, []step{{"visit 2", "weight-default", "closed", "a"}}},
	{"prio", nil, both(
		"prio", "server 0 prio 3", "server 1 prio 2", "server 2 prio 2", "visit 2", "visit 3", "mode",
		"server 2 prio 1", "visit 4", "visit 2", "server 2 blacklist 60", "visit 4", "visit 5", "servers", "no prio", "mode")},
	{"hash", []string{"-h"}, both(
		"visit 1", "visit 2", "visit 3", "visit 4", "visit 1", "mode", "server 2 blacklist 90", "visit 5", "visit 2",
		"server 2 blacklist 0", "visit 8", "no hash", "mode")},
	{"failover", []string{"-h"}, append(both("visit 1", "visit 4", "stop b", "visit 6", "visit 1", "visit 1", "stop c", "visit 1", "visit 7",
		"stop a", "visit 1", "start a", "start b", "start c", "server 0 blacklist 0", "server 1 blacklist 0", "visit 8", "blacklist 30", "blacklist"),
		both("stubborn", "mode", "stop c", "server 2 blacklist 0", "visit 11", "no stubborn")...)},
	{"limits", []string{"-h"}, both(
		"server 1 max 1 hard 2", "hold h1 3", "servers", "hold h2 3", "visit 3", "visit 6", "drop h2", "visit 9", "visit 3", "drop h1", "visit 12", "servers")},
	{"access lists", []string{"-h"}, both(
		"acl 1 deny 127.0.0.3", "acl 1 deny 127.0.0.4", "client_acl 1", "visit 3", "visit 4", "visit 5", "no acl 1", "visit 3",
		"acl 2 permit 127.0.0.0 255.255.255.248", "client_acl 2", "visit 7", "visit 8", "client_acl 0", "server 0 acl 2", "visit 8", "visit 5", "client_acl", "control_acl")},
	{"replies", nil, append(both(
		"mode", "servers", "blacklist 17", "blacklist", "timeout 4", "timeout", "tracking 99", "tracking", "clients_max 4000", "clients_max",
		"client_acl 3", "client_acl", "control_acl 4", "debug", "debug 0", "web_stats", "web_stats page.html", "web_stats", "no web_stats", "web_stats",
		"idle_timeout", "idlers", "pending_max 9", "hash", "weight", "roundrobin", "stubborn", "mode", "no roundrobin", "no hash", "mode",
		"connection 3", "connection 99999999", "close 99999999", "close 3", "socket 3", "recent", "no ascii",
		"server 1 address 127.0.0.5", "servers", "server 3 address 0.0.0.0", "server 4 address 0", "servers", "server 5 address 127.0.0.6 port 81 max 3 hard 4 weight 5 prio 6", "log"),
		step{"foo bar", "unknown-words", "do_cmd: ignoring command starting with 'foo'\n", "unknown command \"foo\"\n"},
		step{"no foo", "unknown-words", "", "unknown command \"foo\"\n"},
		step{"ascii", "flag-questions", "", "off\n"},
		step{"abort_on_error", "flag-questions", "", "off\n"},
		step{"client_acl 12", "bad-argument", "0\n", "client_acl: list 12 is out of range, want 0 to 9\n"},
		step{"server x max 3", "bad-argument", "", "server: there is no server named x, want a slot, 0 to 65535, or the name of one\n"},
		step{"block", "obsolete-words", "do_cmd: ignoring command starting with 'block'\n", ""},
		step{"conn_max", "connections", "500\n", ""},
	)},
	{"settings", []string{"-h"}, both(
		"idle_timeout 7", "idle_timeout", "idle_timeout 0", "tcp_fastclose up", "tcp_fastclose down", "tcp_fastclose both", "tcp_fastclose off",
		"tcp_nodelay", "no tcp_nodelay", "keepalive on", "no keepalive", "transparent on", "no transparent", "poll", "epoll", "select", "kqueue",
		"source 127.0.0.1", "visit 2", "no weight", "no stubborn", "no transparent", "prio", "no prio", "mode", "debug 1", "debug 0",
		"acl 4 permit 2001:db8::/32", "acl 4 deny ::1", "acl 4 permit 10.0.0.0 255.0.0.0", "no acl 4", "control_acl 4", "control_acl 0",
		"server 0 port 1 max 2 hard 3 weight 4 prio 5 acl 6", "servers", "server 3 address 127.0.0.9 port 9", "servers", "server 1 blacklist 50 max 6",
		"server 3 address 127.1", "servers", "server 3 address 0x7f000002", "servers", "server 3 address 2130706435", "servers", "server 3 address 0177.0.0.4", "servers",
		"server 3 address 0 port 0 max 0 weight 0 prio 0", "servers",
		"recent 60", "recent", "clients_max", "pending_max 50", "listen", "control", "# nothing", "exit", "gone")},
	{"dummy", nil, append(both("dummy on"), step{"say 2 hello", "", "", ""}, step{"no dummy", "", "", ""}, step{"say 3 hello", "round-robin-start", "b", "a"})},
	{"log", []string{"-h"}, append(both(
		"log DIR/log", "log", "say 1 GET /one HTTP/1.0", "say 2 spaces  and\tmore", "say 4 \x80\xff\xc3\xa5 end", "say 5 "+strings.Repeat("long ", 40),
		"say 8", "no log", "log", "file log", "log DIR/second"),
		step{"say 4 \x00\x01\x7f end", "", "", ""},
		step{"no log", "", "", ""},
		step{"file second", "log-control", "127.0.0.4 TIME 127.0.0.1 \x00\x01\x7f end\n", "127.0.0.4 TIME 127.0.0.1 ... end\n"},
		step{"include DIR/missing", "bad-argument", "", "open DIR/missing: no such file or directory\n"},
		step{"server 9 address 127.0.0.9", "", "", ""},
		step{"log SINK", "log-network", "127.0.0.1\n", "SINK\n"},
		step{"say 1 GET /one HTTP/1.0", "", "", ""}, step{"sunk", "", "", ""},
		step{"say 4 " + strings.Repeat("long ", 300), "", "", ""}, step{"sunk", "", "", ""})},
}

// TestDifferential runs each script against both programs. C Pen runs with poll, since
// its default loses connections when a connect is refused. Our penctl controls C Pen,
// and C penctl controls ours.
func TestDifferential(t *testing.T) {
	rows := lab.Document(t, "docs/differences.md")
	for _, script := range differential {
		t.Run(script.name, func(t *testing.T) {
			servers := nameServers(t)
			c := startTwin(t, "C Pen", cPen, lab.Program(t, "penctl"), servers, script.args)
			ours := startTwin(t, "ours", lab.Program(t, "pen"), cPenctl, servers, script.args)
			for _, s := range script.steps {
				if verb, name, _ := strings.Cut(s.do, " "); verb == "stop" {
					servers[name].Close()
					continue
				} else if verb == "start" {
					if err := servers[name].Start(); err != nil {
						t.Fatal(err)
					}
					continue
				}
				s.check(t, c.do(s.do), ours.do(s.do), rows)
			}
		})
	}
}

func (s step) check(t *testing.T, c, ours, rows string) {
	switch {
	case s.row == "" && c != ours:
		t.Errorf("%s\nC Pen: %q\nours:  %q", s.do, c, ours)
	case s.row == "":
	case !strings.Contains(rows, "| `"+s.row+"` |"):
		t.Errorf("%s: docs/differences.md has no row %s", s.do, s.row)
	case c != s.c || s.ours != "" && ours != s.ours:
		t.Errorf("%s (row %s)\nC Pen: %q, want %q\nours:  %q, want %q", s.do, s.row, c, s.c, ours, s.ours)
	}
}

// Ours saves every line that C Pen saves, in the same order, and a file that C Pen has
// saved configures ours in the same way.
func TestDifferentialWrite(t *testing.T) {
	servers := nameServers(t)
	// Weights are saved by C Pen in weight mode only, as the table says.
	args := []string{"-W"}
	c := startTwin(t, "C Pen", cPen, lab.Program(t, "penctl"), servers, args)
	ours := startTwin(t, "ours", lab.Program(t, "pen"), cPenctl, servers, args)
	for _, do := range []string{
		"acl 1 permit 10.0.0.0 255.0.0.0", "acl 1 deny 192.0.2.1", "acl 9 permit 2001:db8::/32", "client_acl 0", "control_acl 0", "ascii on",
		"blacklist 17", "debug 1", "hash", "log DIR/log", "roundrobin", "stubborn", "tcp_fastclose down", "timeout 7", "tracking 99",
		"web_stats DIR/stats", "prio", "clients_max 3000",
		"server 0 acl 1 max 5 hard 6 weight 7 prio 8", "server 1 weight 1", "server 2 weight 2 prio 1",
	} {
		if a, b := c.do(do), ours.do(do); a != b {
			t.Errorf("%s: C Pen %q, ours %q", do, a, b)
		}
	}
	lines := func(tw *twin) []string {
		if reply := tw.do("write DIR/saved"); reply != "" {
			t.Errorf("%s: write: %s", tw.name, reply)
		}
		text := tw.do("file saved")
		if !strings.HasPrefix(text, "# Generated by pen ") {
			t.Errorf("%s: the file begins %.40q", tw.name, text)
		}
		return slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool {
			// Words without effect are not saved, and Debian builds C Pen without -H.
			return l == "" || l[0] == '#' || strings.HasSuffix(l, "tcp_nodelay") || l == "no http"
		})
	}
	saved := lines(ours)
	for _, line := range lines(c) {
		n := slices.Index(saved, line)
		if n < 0 {
			t.Errorf("C Pen saves %q; ours does not, or not in that order:\n%s", line, strings.Join(saved, "\n"))
			break
		}
		saved = saved[n+1:]
	}

	second := startTwinAt(t, "ours from C Pen's file", lab.Program(t, "pen"), cPenctl, nil,
		[]string{"-F", filepath.Join(c.dir, "saved")})
	for _, ask := range []string{"servers", "mode", "blacklist", "timeout", "tracking", "client_acl", "control_acl", "debug"} {
		if a, b := c.do(ask), second.do(ask); a != b {
			t.Errorf("%s: C Pen %q, ours from its file %q", ask, a, b)
		}
	}
}

// The status pages of both have the same text, except for numbers.
func TestDifferentialStatus(t *testing.T) {
	servers := nameServers(t)
	numbers := regexp.MustCompile(`-?\d+`)
	var pages []string
	for _, tw := range []*twin{
		startTwin(t, "C Pen", cPen, lab.Program(t, "penctl"), servers, []string{"-h"}),
		startTwin(t, "ours", lab.Program(t, "pen"), cPenctl, servers, []string{"-h"}),
	} {
		for _, do := range []string{"web_stats DIR/page", "hold h1 1", "hold h2 5", "server 3 address 0.0.0.0", "server 4 address 127.0.0.7 port 7"} {
			tw.do(do)
		}
		pages = append(pages, numbers.ReplaceAllString(tw.do("status"), "N"))
	}
	if pages[0] != pages[1] {
		t.Errorf("C Pen:\n%s\nours:\n%s", pages[0], pages[1])
	}
}
