package config

import (
	"strings"
	"testing"
)

// Whatever can be read as a server can be written, in both ways, and read
// again as the same one.
func FuzzServerSpec(f *testing.F) {
	for _, spec := range []string{
		"www1", "10.0.0.1:80", "10.0.0.1:80:100:120:3:1", "[2001:db8::1]:http:5", "/run/app.sock:0:10", "0.0.0.0:80", "a::::7", "[::1]", "[::1",
		"h:99999", "h:-1", "a b:1", "#x", ":80", "h:80:1:2:3:4:5", "x/y:1:2147483647", "h:http-alt",
	} {
		f.Add(spec)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		s, err := parseServer(Server{}, spec)
		if err != nil {
			if strings.ContainsRune(err.Error(), '\n') {
				t.Errorf("%q: the error is more than one line: %q", spec, err)
			}
			return
		}
		if !s.Used() {
			return
		}
		again, err := parseServer(Server{}, s.spec())
		if err != nil || again != s {
			t.Errorf("%q is written %q and read as %+v, %v; want %+v", spec, s.spec(), again, err, s)
		}
		cmd, err := ParseLine("server " + s.line(3, true))
		if err != nil {
			t.Fatalf("%q: line %q: %v", spec, s.line(3, true), err)
		}
		c, err := Default().With(cmd)
		if err != nil || c.Services[0].server(3) != s {
			t.Errorf("%q: line %q is read as %+v, %v; want %+v", spec, s.line(3, true), c.Services[0].server(3), err, s)
		}
	})
}
