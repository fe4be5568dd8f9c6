package lab

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"pen/internal/testenv"
)

// A Setup says how to start a Pen.
type Setup struct {
	Plain  bool     // the program that users have, instead of the one with the race detector
	Plane  string   // data plane; "" is Pen's own choice
	Config string   // text of the configuration file; "" is none
	Args   []string // further arguments
	Place  Place    // Dir is where its files are; "" is a folder of its own
}

// A Pen is a Pen in the foreground.
type Pen struct {
	Config  string // file with its configuration
	Control string // socket
	Log     string // file with its log
	Cmd     *exec.Cmd

	t    testing.TB
	done chan struct{} // closed when it has ended
}

// StartPen starts a Pen and waits until it listens everywhere. It is killed at the end
// of the test at the latest. The test fails if it had a data race.
func StartPen(t testing.TB, s Setup) *Pen {
	t.Helper()
	dir := s.Place.Dir
	if dir == "" {
		dir = t.TempDir()
	}
	p := &Pen{
		Config: filepath.Join(dir, "pen.conf"), Control: filepath.Join(dir, "ctl"), Log: filepath.Join(dir, "pen.log"),
		t: t, done: make(chan struct{}),
	}
	log, err := os.Create(p.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	program := Program
	if s.Plain {
		program = Plain
	}
	p.Cmd = exec.Command(program(t, "pen"), p.arguments(t, s)...)
	p.Cmd.Stdout, p.Cmd.Stderr = log, log
	if err := s.Place.in(p.Cmd.Start); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.Cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(p.end)
	listeners := max(1, len(listenLine.FindAllString(s.Config, -1)))
	p.Await("Pen listens", func() bool {
		return p.Ended() || strings.Count(ReadFile(p.Log), " listening ") >= listeners && p.Ask("pid") == fmt.Sprintln(p.Cmd.Process.Pid)
	})
	if p.Ended() {
		t.Fatal("Pen has ended")
	}
	return p
}

var listenLine = regexp.MustCompile(`(?m)^listen `)

func (p *Pen) arguments(t testing.TB, s Setup) []string {
	args := []string{"-f", "-C", p.Control}
	if s.Plane != "" {
		args = append(args, "-O", "plane "+s.Plane)
	}
	if s.Config != "" {
		WriteFile(t, p.Config, s.Config)
		args = append(args, "-F", p.Config)
	}
	return append(args, s.Args...)
}

func (p *Pen) end() {
	p.Cmd.Process.Kill()
	<-p.done
	log := ReadFile(p.Log)
	if strings.Contains(log, "DATA RACE") {
		p.t.Error("Pen has a data race")
	}
	if p.t.Failed() {
		p.t.Logf("the end of the log of Pen %q:\n%s", p.Cmd.Args[1:], log[max(0, len(log)-16<<10):])
	}
}

// Ended reports whether Pen has ended.
func (p *Pen) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Await waits until a condition is true, for longer than most tests do: Pen may have
// much to start with.
func (p *Pen) Await(what string, ok func() bool) {
	p.t.Helper()
	if !testenv.Within(2*testenv.Limit, ok) {
		p.t.Fatalf("waited in vain: %s", what)
	}
}

// Ask returns the reply to a control command, or why there is none.
func (p *Pen) Ask(format string, args ...any) string {
	c, err := net.DialTimeout("unix", p.Control, testenv.Limit)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(testenv.Limit))
	fmt.Fprintf(c, format+"\n", args...)
	c.(*net.UnixConn).CloseWrite()
	reply, err := io.ReadAll(c)
	if err != nil {
		return err.Error()
	}
	return string(reply)
}

// Reload replaces the configuration file, has Pen read it, and returns the time from
// the signal to the line in the log.
func (p *Pen) Reload(config string) time.Duration {
	p.t.Helper()
	WriteFile(p.t, p.Config+".new", config) // and renamed: Pen may be reading it
	if err := os.Rename(p.Config+".new", p.Config); err != nil {
		p.t.Fatal(err)
	}
	reloads := func() int { return strings.Count(ReadFile(p.Log), " reloaded\n") }
	before, start := reloads(), time.Now()
	p.Signal(syscall.SIGHUP)
	p.Await("a reload", func() bool { return reloads() > before })
	return time.Since(start)
}

// Signal sends Pen a signal.
func (p *Pen) Signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.Cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// Stop stops Pen in an orderly way and returns how long that took.
func (p *Pen) Stop() time.Duration {
	p.t.Helper()
	start := time.Now()
	p.Signal(syscall.SIGTERM)
	p.Await("Pen's end", p.Ended)
	if code := p.Cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Fatalf("exit code %d", code)
	}
	return time.Since(start)
}

// PeakMemory returns the most memory that Pen has had resident, in bytes.
func (p *Pen) PeakMemory() int {
	p.t.Helper()
	var kib int
	_, after, found := strings.Cut(ReadFile(fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid)), "VmHWM:")
	if _, err := fmt.Sscan(after, &kib); !found || err != nil {
		p.t.Fatalf("the system does not tell the memory of Pen: %v", err)
	}
	return kib << 10
}
