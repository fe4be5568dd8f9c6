package testenv

import (
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// CheckLeaks fails the test if, at its end, a goroutine runs or a descriptor is open
// that was not there when CheckLeaks was called. Call it before anything
// else, and not in parallel tests.
func CheckLeaks(t testing.TB) {
	t.Helper()
	wakePoller(t)
	goroutines := goleak.IgnoreCurrent()
	before := descriptors(t)
	t.Cleanup(func() {
		if t.Failed() {
			return // leaks are not what is wrong
		}
		var leak error
		if !Within(Limit, func() bool { leak = goleak.Find(goroutines); return leak == nil }) {
			t.Errorf("goroutines left over: %v", leak)
		}
		var left []string
		if !Within(Limit, func() bool { left = opened(before, descriptors(t)); return len(left) == 0 }) {
			t.Errorf("descriptors left over: %v", left)
		}
	})
}

// Descriptors returns how many descriptors the process has open. It fails the test
// where the system has no list of them.
func Descriptors(t testing.TB) int {
	t.Helper()
	fds := descriptors(t)
	if fds == nil {
		t.Fatal("this test needs /proc/self/fd, the list of a process's descriptors")
	}
	return len(fds)
}

// NeedDescriptors raises the limit of descriptors, and fails the test if the process
// may not have n of them.
func NeedDescriptors(t testing.TB, n uint64) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if uint64(limit.Cur) < n {
		t.Fatalf("this test needs %d descriptors, the limit is %d; raise it with ulimit -Hn", n, limit.Cur)
	}
}

// descriptors returns a description of every open descriptor, or nil where the system
// has no list of them.
func descriptors(t testing.TB) map[string]string {
	t.Helper()
	const dir = "/proc/self/fd"
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		t.Fatal(err)
	}
	fds := make(map[string]string, len(names))
	for _, name := range names {
		// A descriptor that was closed meanwhile, such as that of dir, has no link.
		if link, err := os.Readlink(dir + "/" + name); err == nil && name != fmt.Sprint(f.Fd()) {
			fds[name] = link
		}
	}
	return fds
}

func opened(before, after map[string]string) []string {
	maps.DeleteFunc(after, func(fd, link string) bool { return before[fd] == link })
	left := make([]string, 0, len(after))
	for fd, link := range after {
		left = append(left, fd+" -> "+link)
	}
	slices.Sort(left)
	return left
}

// wakePoller has Go open the descriptors of its poller, which it never closes.
func wakePoller(t testing.TB) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
}
