// Package testenv is for tests only: servers and addresses on loopback that behave in a
// known way, certificates, network namespaces, waits for conditions, and checks for
// leaks. Everything is released at the end of the test.
package testenv

import (
	"os"
	"testing"
	"time"
)

// Limit is how long tests wait for a condition. It is generous: only a test that fails
// waits that long.
const Limit = 30 * time.Second

// A Failer can end a test: a testing.TB, or a script of testscript.
type Failer interface {
	Fatalf(format string, args ...any)
}

// Eventually waits until a condition is true. It fails the test if that takes longer
// than Limit.
func Eventually(t Failer, what string, cond func() bool) {
	if t, ok := t.(interface{ Helper() }); ok {
		t.Helper()
	}
	if !Within(Limit, cond) {
		t.Fatalf("waited %v in vain: %s", Limit, what)
	}
}

// NeedRoot fails the test for an ordinary user. The name of such a test ends with
// AsRoot, so that `make unit` can leave it out.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test needs root; make unit runs the tests that do not")
	}
}

// Within checks a condition, at growing intervals, until it is true or the time is
// over, and reports whether it is true.
func Within(limit time.Duration, cond func() bool) bool {
	const longest = 50 * time.Millisecond
	pause := time.Millisecond
	for end := time.Now().Add(limit); !cond(); {
		if time.Now().After(end) {
			return false
		}
		time.Sleep(pause)
		pause = min(2*pause, longest)
	}
	return true
}
