// Package testenv is for tests only: servers and addresses on loopback that
// behave in a known way, waits for conditions, and checks that nothing leaks.
//
// Everything is released at the end of the test that asked for it. Whoever
// checks for leaks calls [CheckLeaks] before anything else.
package testenv

import (
	"os"
	"testing"
	"time"
)

// Limit is how long tests wait for what must happen. It is generous: only a
// test that fails takes that long.
const Limit = 30 * time.Second

// Eventually waits until a condition holds, and fails the test when it does
// not within Limit.
func Eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	if !within(Limit, cond) {
		t.Fatalf("waited %v in vain: %s", Limit, what)
	}
}

// NeedRoot skips the test for an ordinary user, who can run all the others. `make
// test` runs as root where it counts, and skips nothing there.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// within asks for a condition, at growing intervals, until it holds or the
// time is over, and reports whether it holds.
func within(limit time.Duration, cond func() bool) bool {
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
