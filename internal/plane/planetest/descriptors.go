package planetest

import (
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"pen/internal/testenv"
)

// childEnv marks the process whose descriptors may run out.
const childEnv = "PEN_PLANETEST_CHILD"

// noDescriptors runs outOfDescriptors in a process of its own.
func noDescriptors(t *testing.T, listen Listen) {
	if os.Getenv(childEnv) != "" {
		outOfDescriptors(t, listen)
		return
	}
	child := again(t)
	child.Env = append(os.Environ(), childEnv+"=1")
	out, err := child.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in a process of its own: %v\n%s", err, out)
	}
}

// again is this test in a process of its own.
func again(t *testing.T) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var pattern []string
	for name := range strings.SplitSeq(t.Name(), "/") {
		pattern = append(pattern, "^"+regexp.QuoteMeta(name)+"$")
	}
	return exec.Command(exe, "-test.run="+strings.Join(pattern, "/"), "-test.v", "-test.timeout=2m")
}

// While no descriptor is to be had, flows go on and the accept loop keeps
// still; then the clients that have waited are served.
func outOfDescriptors(t *testing.T, listen Listen) {
	s := start(t, listen, testenv.Loopback, config(testenv.Echo(t)))
	early := s.dial(t)
	echo(t, early)

	// The limit falls when the late client has its socket and nobody has yet
	// seen it come. That it is below what is in use is no trouble.
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	low := old
	low.Cur = 1
	dialer := net.Dialer{Control: func(_, _ string, _ syscall.RawConn) error {
		return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low)
	}}
	c, err := dialer.Dial("tcp", s.plane.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	late := testenv.Own(t, c)
	testenv.Write(t, late, "echo")

	if used := cpuTime(t, time.Second); used > 500*time.Millisecond {
		t.Errorf("%v of CPU time used in a second without descriptors", used)
	}
	echo(t, early)
	echoMuch(t, early, 4<<20)
	if n := len(s.d.Status().Flows); n != 1 {
		t.Errorf("%d flows without descriptors, want 1", n)
	}

	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	testenv.WantBytes(t, late, "echo")
	echo(t, s.dial(t))
	s.wantFailed(t, false)
}

// cpuTime returns what the process uses in a while.
func cpuTime(t *testing.T, while time.Duration) time.Duration {
	used := func() time.Duration {
		var ru syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
			t.Fatal(err)
		}
		return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
	}
	before := used()
	time.Sleep(while)
	return used() - before
}
