package script_test

import (
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pen/internal/testenv"
	"pen/test/internal/lab"
)

// webresolve runs the program and returns what it wrote to standard output and
// standard error.
func webresolve(t *testing.T, in string, args ...string) (stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(lab.Program(t, "webresolve"), args...)
	var out, errs strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("webresolve %v: %v: %s", args, err, errs.String())
	}
	return out.String(), errs.String()
}

func TestWebresolve(t *testing.T) {
	server := testenv.DNS(t, func(addr netip.Addr) ([]string, bool) {
		switch addr.String() {
		case "192.0.2.1":
			return []string{"one.example."}, true
		case "2001:db8::1":
			return []string{"six.example."}, true
		case "192.0.2.2":
			return []string{"10.0.0.1."}, true // somebody else's address
		case "192.0.2.3":
			return []string{"a\"b.example."}, true
		}
		return nil, true
	})
	const in = `192.0.2.1 - - [09/Sep/2001:01:46:41 +0000] "GET /a HTTP/1.1" 200 5
2001:db8::1 1000000000 10.0.0.1 GET /a HTTP/1.1
192.0.2.2 - - x
192.0.2.3 - - x
192.0.2.4 - - x
unix 1000000000 10.0.0.1 GET /
192.0.2.1 - - x
192.0.2.4 - - x`
	want := strings.NewReplacer("192.0.2.1 ", "one.example ", "2001:db8::1 ", "six.example ").Replace(in)
	cache := filepath.Join(t.TempDir(), "cache")
	for _, args := range [][]string{
		{"-n", server.Addr.String(), "-c", cache},
		{"-n", server.Addr.String(), "-c", cache}, // all names are in the cache now
		{"-n", server.Addr.String(), "-j", "1"},
	} {
		if out, errs := webresolve(t, in, args...); out != want || errs != "" {
			t.Errorf("%v: %q, got\n%s\nwant\n%s", args, errs, out, want)
		}
	}
	// Five addresses, queried once without the cache and once with it.
	if n := server.Asked(); n != 10 {
		t.Errorf("%d questions, want 10", n)
	}
	lab.WriteFile(t, cache, lab.ReadFile(cache)+"not an entry\n")
	out, errs := webresolve(t, in, "-n", server.Addr.String(), "-c", cache)
	if out != want || !strings.Contains(errs, "lines passed over, want ADDRESS TIME NAME: 1") {
		t.Errorf("with a bad line in the cache: %q\n%s", errs, out)
	}
}

// When DNS does not answer, webresolve sends few queries, however many addresses there
// are.
func TestWebresolveOffline(t *testing.T) {
	server := testenv.DNS(t, func(netip.Addr) ([]string, bool) { return nil, false })
	var in strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&in, "10.%d.%d.%d - - x\n", i>>16, i>>8&255, i&255)
	}
	out, errs := webresolve(t, in.String(), "-n", server.Addr.String(), "-t", "100ms")
	if out != in.String() {
		t.Error("lines have changed")
	}
	if !strings.Contains(errs, "webresolve: DNS did not answer; questions that were not asked: 99") {
		t.Errorf("it says %q", errs)
	}
	// Twenty at once, each repeated once or twice, and another one after a pause.
	if n := server.Asked(); n > 500 {
		t.Errorf("%d questions", n)
	}
}
