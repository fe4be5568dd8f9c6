package lab

import (
	"bytes"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"pen/internal/testenv"
)

// A Place is where a test starts programs. The zero value is the test's own folder and
// network namespace.
type Place struct {
	In  func(f func() error) error // runs f in the network namespace: Netns.In
	Dir string
}

func (p Place) in(f func() error) error {
	if p.In == nil {
		return f()
	}
	return p.In(f)
}

// Start starts a program and waits until it accepts connections at an address. At the
// end of the test it kills the program with all its processes.
func Start(t testing.TB, addr, name string, args ...string) *exec.Cmd {
	t.Helper()
	return Place{}.Start(t, addr, name, args...)
}

// Start is [Start] in this place.
func (p Place) Start(t testing.TB, addr, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(name, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Dir = &out, &out, p.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	input, err := cmd.StdinPipe() // some programs stop when their input ends
	if err != nil {
		t.Fatal(err)
	}
	if err := p.in(cmd.Start); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		input.Close()
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s %q: %s", name, args, out.String())
		}
	})
	testenv.Eventually(t, name+" listens on "+addr, func() bool { return p.Reaches(addr) })
	return cmd
}

// Reaches reports whether an address accepts connections.
func (p Place) Reaches(addr string) bool {
	return p.in(func() error {
		c, err := net.DialTimeout(networkOf(addr), addr, time.Second)
		if err == nil {
			c.Close()
		}
		return err
	}) == nil
}

// Reachable reports whether an address accepts connections: HOST:PORT, or the path of
// a Unix socket.
func Reachable(addr string) bool { return Place{}.Reaches(addr) }

func networkOf(addr string) string {
	if strings.Contains(addr, "/") {
		return "unix"
	}
	return "tcp"
}

// Output runs a program, which must succeed, and returns what it prints.
func Output(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}
