package weblog

import (
	"strings"
	"testing"
)

func TestParseWeb(t *testing.T) {
	const at = int64(1_000_000_000) // 2001-09-09 01:46:40 UTC
	long := strings.Repeat("x", 200)
	for _, tt := range []struct {
		line    string
		time    int64 // -1: no log line
		request string
	}{
		{`h - - [09/Sep/2001:01:46:40 +0000] "GET / HTTP/1.1" 200 5`, at, "GET / HTTP/1.1"},
		{`h - - [09/Sep/2001:01:46:40 +0000] "GET /" 200 5 "ref \" x" "agent"`, at, "GET /"},
		{`h - - [09/Sep/2001:03:46:40 +0200] "GET /" 200`, at, "GET /"},
		{`h - - [08/Sep/2001:18:46:40 -0700] "GET /" 200`, at, "GET /"},
		{`h - - [09/Sep/2001:07:16:40 +0530] "GET /" 200`, at, "GET /"},
		{`h - - [9/sep/2001:1:46:40 +0000] "GET /" 200`, at, "GET /"},
		{`h [09/Sep/2001:01:46:40 +0000] "-"`, at, "-"},
		{`h - "a[b]" [x] [09/Sep/2001:01:46:40 +0000] x "" 200`, at, ""},
		{`h - - [09/Sep/2001:01:46:40 +0000] "GET /` + long + `"`, at, "GET /" + long[:95]},
		{`h - - [09/Sep/2001:01:46:40 +0000] "GET /\x22\"\\\xe9\x1F` + "\xc3\x7f" + `"`, at, `GET /""\....`},
		{`h - - [09/Sep/2001:01:46:40 +0000] "GET /\x0Anext"`, at, "GET /"},
		{`h - - [09/Sep/2001:01:46:40 +0000] "GET \xzz\x4\q"`, at, `GET \xzz\x4\q`},
		{"", -1, ""},
		{"garbage", -1, ""},
		{`h "GET /" 200`, -1, ""},
		{` h - - [09/Sep/2001:01:46:40 +0000] "GET /" 200`, -1, ""},
		{`h - - [09/Sep/2001:01:46:40] "GET /" 200`, at, "GET /"},
		{`h - - [09/Xyz/2001:01:46:40 +0000] "GET /" 200`, -1, ""},
		{`h - - [31/Feb/2001:01:46:40 +0000] "GET /" 200`, -1, ""},
		{`h - - [09/Sep/2001:25:46:40 +0000] "GET /" 200`, -1, ""},
		{`h - - [09/Sep/1901:01:46:40 +0000] "GET /" 200`, -1, ""},
		{`h - - [31/Dec/9999:23:59:59 -1200] "GET /" 200`, -1, ""},
		{`h - - [09/Sep/2001:01:46:40 +0000] GET / 200`, -1, ""},
		{`h - - [09/Sep/2001:01:46:40 +0000] "GET / 200`, -1, ""},
		{`h - - [09/Sep/2001:01:46:40 +0000] "GET \" 200`, -1, ""},
		{"h " + strings.Repeat("[", 60_000), -1, ""},
	} {
		w, ok := parseWeb([]byte(tt.line))
		if ok != (tt.time >= 0) || ok && (w.time != tt.time || w.request != tt.request) {
			t.Errorf("%.120q: %v, time %d, request %q, want %d, %q", tt.line, ok, w.time, w.request, tt.time, tt.request)
		}
	}
}

func TestParsePen(t *testing.T) {
	for _, tt := range []struct {
		line string
		want penLine // the zero value: no line of Pen's log
	}{
		{"192.0.2.1 1000000000 10.0.0.1 GET / HTTP/1.1", penLine{key{"10.0.0.1", "GET / HTTP/1.1"}, "192.0.2.1", 1000000000}},
		{"2001:db8::9 5 0:0::1 GET /", penLine{key{"::1", "GET /"}, "2001:db8::9", 5}},
		{"unix 5 ::ffff:10.0.0.1  a  b ", penLine{key{"10.0.0.1", " a  b "}, "unix", 5}},
		{"h 5 /run/app.sock x\ty\xe9\r", penLine{key{"/run/app.sock", "x.y.."}, "h", 5}},
		{"h 5 s " + strings.Repeat("x", 150), penLine{key{"s", strings.Repeat("x", 100)}, "h", 5}},
		{"h 5 s ", penLine{key{"s", ""}, "h", 5}},
		{"h 5 s", penLine{}},
		{"h x s GET /", penLine{}},
		{"h -5 s GET /", penLine{}},
		{"h 99999999999999999999 s GET /", penLine{}},
		{"h 999999999999 s GET /", penLine{}},
		{" 5 s GET /", penLine{}},
		{"h 5  GET /", penLine{}},
		{strings.Repeat("h", 200) + " 5 s GET /", penLine{}},
		{"h 5 " + strings.Repeat("s", 200) + " GET /", penLine{}},
		{"", penLine{}},
	} {
		got, ok := parsePen([]byte(tt.line))
		if got != tt.want || ok != (tt.want != penLine{}) {
			t.Errorf("%.80q: %+v, %v, want %+v", tt.line, got, ok, tt.want)
		}
	}
}

func TestSplitSource(t *testing.T) {
	for _, tt := range []struct {
		arg, server, file string
		ok                bool
	}{
		{"10.0.0.1:access.log", "10.0.0.1", "access.log", true},
		{"10.0.0.1:/var/log/a:b", "10.0.0.1", "/var/log/a:b", true},
		{"www1:C:log", "www1", "C:log", true},
		{"::1:/x", "::1", "/x", true},
		{"2001:db8::1:log", "2001:db8::1", "log", true},
		{"1:2:3:4:5:6:7:8:log:a", "1:2:3:4:5:6:7:8", "log:a", true},
		{"[::1]:/x", "::1", "/x", true},
		{"[::1]:[x]:y", "::1", "[x]:y", true},
		{"/run/app.sock:log", "/run/app.sock", "log", true},
		{"10.0.0.1:", "10.0.0.1", "", true},
		{":log", "", "log", true},
		{"10.0.0.1", "10.0.0.1", "", false},
		{"[::1]", "::1]", "", false},
		{"", "", "", false},
	} {
		if server, file, ok := SplitSource(tt.arg); server != tt.server || file != tt.file || ok != tt.ok {
			t.Errorf("%q: %q, %q, %v", tt.arg, server, file, ok)
		}
	}
}

func FuzzWebLine(f *testing.F) {
	for _, line := range []string{
		`h - - [09/Sep/2001:01:46:40 +0000] "GET / HTTP/1.1" 200 5`, `h [`, `h [] ""`, `h [09/Sep/2001:01:46:40 +0000] "\x`, `"`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		w, ok := parseWeb(line)
		if !ok {
			return
		}
		if w.client <= 0 || w.from < w.client || w.to <= w.from || w.to > len(line) || len(w.request) > MaxRequest {
			t.Fatalf("%q: %+v", line, w)
		}
		// What Merge writes is a log line again, with the same meaning.
		var out strings.Builder
		if _, err := Merge(&out, strings.NewReader(""), "pen", []Source{{"s", "log", strings.NewReader(string(line))}}, Options{}); err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(out.String(), "\n")
		if strings.Contains(string(line), "\n") {
			return
		}
		again, ok := parseWeb([]byte(first))
		if !ok || again.time != w.time || again.request != w.request || string(again.line[:again.client]) != "s" {
			t.Fatalf("%q became %q", line, first)
		}
	})
}

func FuzzPenLine(f *testing.F) {
	for _, line := range []string{"192.0.2.1 1000000000 10.0.0.1 GET / HTTP/1.1", "h 5 s ", "", "   ", "h 5 ::1 \x00"} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		l, ok := parsePen(line)
		if !ok {
			return
		}
		if l.client == "" || l.server == "" || l.time < 0 || len(l.request) > MaxRequest {
			t.Fatalf("%q: %+v", line, l)
		}
		for _, c := range []byte(l.request) {
			if c != Clean(c) {
				t.Fatalf("%q: request %q", line, l.request)
			}
		}
	})
}

func FuzzSplitSource(f *testing.F) {
	for _, arg := range []string{"10.0.0.1:log", "::1:log", "[::1]:log", "", ":"} {
		f.Add(arg)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		server, file, ok := SplitSource(arg)
		if ok && arg != server+":"+file && arg != "["+server+"]:"+file {
			t.Fatalf("%q: %q and %q", arg, server, file)
		}
	})
}
