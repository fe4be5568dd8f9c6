package testenv

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// OnThread runs f on a thread of its own, which ends with f: what f does to its
// thread stays there. A t.Fatal in f ends only f.
func OnThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for ever: Go ends such a thread with its goroutine
		f()
	}()
	<-done
}

// WithCaps runs f on a thread that is root with these capabilities only, of the
// first 32 (capabilities(7)). It is of use for what f does itself; goroutines
// that f starts are not on that thread.
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
