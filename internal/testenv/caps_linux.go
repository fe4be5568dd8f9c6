package testenv

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// OnThread runs f on a thread of its own, which ends with f: changes that f makes to
// its thread affect nothing else. A t.Fatal in f ends only f.
func OnThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: Go ends the thread with the goroutine
		f()
	}()
	<-done
}

// WithCaps runs f on a thread of root that has only these capabilities, of the first 32
// (capabilities(7)). Goroutines that f starts run on other threads.
func WithCaps(t testing.TB, caps uint32, f func()) {
	t.Helper()
	NeedRoot(t)
	OnThread(func() {
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		data := [2]unix.CapUserData{{Effective: caps, Permitted: caps}}
		if err := unix.Capset(&head, &data[0]); err != nil {
			t.Errorf("set capabilities: %v", err)
			return
		}
		f()
	})
}
