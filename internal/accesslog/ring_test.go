package accesslog

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

var web = netip.MustParseAddr("10.0.0.1")

func TestRing(t *testing.T) {
	long := "GET /" + strings.Repeat("x", 200) + " HTTP/1.1"
	r := NewRing(4)
	for _, line := range []string{
		"+ 192.0.2.1 10.0.0.1 GET /a HTTP/1.1",
		"+ 192.0.2.2 10.0.0.2 GET /a HTTP/1.1",
		"+ 2001:db8::7 10.0.0.1 GET /b HTTP/1.1",
		"+ 192.0.2.3 10.0.0.1 " + long[:100],
	} {
		if err := r.Add(line); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		server     netip.Addr
		line, want string
	}{
		{web, `10.9.9.9 - - [t] "GET /a HTTP/1.1" 200 1`, `192.0.2.1 - - [t] "GET /a HTTP/1.1" 200 1`},
		{netip.MustParseAddr("::ffff:10.0.0.1"), `p - "GET /b HTTP/1.1" 2`, `2001:db8::7 - "GET /b HTTP/1.1" 2`},
		{netip.MustParseAddr("10.0.0.2"), `p "GET /a HTTP/1.1"`, `192.0.2.2 "GET /a HTTP/1.1"`},
		{web, `p "` + long + `" 200`, `192.0.2.3 "` + long + `" 200`},
		{web, `p "GET /c HTTP/1.1"`, `p "GET /c HTTP/1.1"`},
		{netip.MustParseAddr("10.0.0.3"), `p "GET /a HTTP/1.1"`, `p "GET /a HTTP/1.1"`},
		{web, "p - \x1b[2J\r \"GET /a HTTP/1.1\" \xff\u202e\té", `192.0.2.1 - .[2J. "GET /a HTTP/1.1" ..` + "\té"},
		{web, "p\x00 \"GET /c HTTP/1.1\"", `p. "GET /c HTTP/1.1"`},
		{web, `"GET`, ""},
		{web, "no request", ""},
	} {
		got, ok := r.Convert(tt.server, tt.line)
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("%.30q: %q, %v, want %q", tt.line, got, ok, tt.want)
		}
	}

	// The newest of equal requests counts, the oldest ones are forgotten.
	for i := range 4 {
		if err := r.Add(fmt.Sprintf("+ 192.0.2.%d 10.0.0.1 GET /c", 10+i)); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := r.Convert(web, `p "GET /c"`); got != `192.0.2.13 "GET /c"` {
		t.Errorf("newest: %q", got)
	}
	if got, _ := r.Convert(web, `p "GET /a HTTP/1.1"`); got != `p "GET /a HTTP/1.1"` {
		t.Errorf("forgotten: %q", got)
	}
}

func FuzzRing(f *testing.F) {
	for _, line := range []string{
		"+ 192.0.2.1 10.0.0.1 GET / HTTP/1.1", "+ a b", "+", "+  10.0.0.1 x", "+ x 300.1.1.1 y", `p - - [t] "GET / HTTP/1.1" 200`, `"`, `""`,
	} {
		f.Add(line, line)
	}
	f.Fuzz(func(t *testing.T, pen, line string) {
		r := NewRing(2)
		r.Add("+ 192.0.2.1 10.0.0.1 GET / HTTP/1.1")
		if r.Add(pen) == nil && len(r.seen) != 2 {
			t.Fatalf("%q was taken and is not there", pen)
		}
		out, ok := r.Convert(web, line)
		if ok && strings.Count(line, `"`) < 2 {
			t.Fatalf("%q has no request, and became %q", line, out)
		}
	})
}
