package app

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pen/internal/config"
	"pen/internal/testenv"
)

// confFile is a configuration file that a test writes again and again.
type confFile struct {
	t    *testing.T
	name string
}

func newConfFile(t *testing.T, text string) confFile {
	f := confFile{t, filepath.Join(t.TempDir(), "pen.conf")}
	f.write(text)
	return f
}

func (f confFile) write(text string) {
	f.t.Helper()
	if err := os.WriteFile(f.name, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// reload is what HUP does.
func reload(t *testing.T, a *App) {
	t.Helper()
	if err := a.Reload(); err != nil {
		t.Fatal(err)
	}
}

func plan(t *testing.T, a *App, file string) string {
	t.Helper()
	text, err := ask(t, a, "plan "+file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What changes nothing can't be taken back, and does not push out what can:
// neither reloads of the same file nor settings to the value that they have.
func TestChangesOfNothingLeaveNoHistory(t *testing.T) {
	file := newConfFile(t, "timeout 3\n")
	a := start(t, "-F", file.name, "127.0.0.1:0", named(t, "one"))
	run(t, a, "timeout 9")
	for range 50 {
		reload(t, a)
		run(t, a, "timeout 9", "server 0 blacklist 0", "no acl 3")
		if _, err := a.Include("", file.name+"-"); err == nil {
			t.Fatal("a file that is missing was included")
		}
	}
	if said, err := a.Rollback(); err != nil || said.String() != "first service:\n  - timeout 9\n  + timeout 3\n" {
		t.Errorf("%v %q", err, said)
	}
	if _, err := a.Rollback(); err == nil {
		t.Error("there was more to take back")
	}
}

// After a rollback the file is compared with what is in force, not with what it
// had meant before: a plan says what is different, and a reload applies it.
func TestRollbackAndFileAreOneStory(t *testing.T) {
	file := newConfFile(t, "timeout 5\ntracking 60\n")
	a := start(t, "-F", file.name, "127.0.0.1:0", named(t, "one"))
	file.write("timeout 9\ntracking 90\nserver 0 blacklist 0\n")
	reload(t, a)
	if _, err := a.Rollback(); err != nil {
		t.Fatal(err)
	}
	// The rotation of logs does not bring back what was taken back.
	reload(t, a)
	if c := a.Config(); c.Services[0].Timeout != 5*time.Second || c.Services[0].Tracking != time.Minute || a.store.Changes() != 0 {
		t.Errorf("a reload of the same file: timeout %v, tracking %v, %d changes", c.Services[0].Timeout, c.Services[0].Tracking, a.store.Changes())
	}
	said := "nothing changes: this was rolled back, and applies once the file is changed:\n"
	if got, want := plan(t, a, file.name), said+"first service:\n  - timeout 5\n  - tracking 60\n  + timeout 9\n  + tracking 90\n"; got != want {
		t.Errorf("the plan of what was taken back:\n%s", got)
	}
	file.write("timeout 7\ntracking 90\n")
	want := "first service:\n  - timeout 5\n  - tracking 60\n  + timeout 7\n  + tracking 90\n"
	if got := plan(t, a, file.name); got != want {
		t.Errorf("the plan of the corrected file:\n%s", got)
	}
	reload(t, a)
	if c := a.Config(); c.Services[0].Timeout != 7*time.Second || c.Services[0].Tracking != 90*time.Second {
		t.Errorf("timeout %v, tracking %v, want 7s and 90s", c.Services[0].Timeout, c.Services[0].Tracking)
	}
	if got := plan(t, a, file.name); got != "nothing changes\n" {
		t.Errorf("after the reload:\n%s", got)
	}
}

// A file that is empty, or of which a part is missing, does not close a service;
// the plan says so too.
func TestFileThatLeavesNothingIsRefused(t *testing.T) {
	server := named(t, "one")
	whole := "listen 127.0.0.1:0\nserver 0 address 127.0.0.1 port " + portOf(server) + "\n"
	file := newConfFile(t, whole)
	a := start(t, "-F", file.name)
	for text, want := range map[string]string{
		"":                                  "the file leaves nothing listening",
		"# nothing\n":                       "the file leaves nothing listening",
		"timeout 3\n":                       "the file leaves nothing listening",
		"listen 127.0.0.1:0\n":              "the file leaves no server behind 127.0.0.1:0",
		"listen 127.0.0.1:0\nserver 0 addr": "pen.conf:2: server: ",
	} {
		file.write(text)
		for what, err := range map[string]error{"reload": a.Reload(), "plan": func() error { _, err := a.Plan(file.name); return err }()} {
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q: %s: %v, want one line with %q", text, what, err, want)
			}
		}
		if got := visit(t, a.Addr()); got != "one" {
			t.Errorf("after %q: %s", text, got)
		}
	}
	file.write(whole)
	reload(t, a)
	if a.store.Changes() != 0 {
		t.Errorf("%d changes, want none", a.store.Changes())
	}
}

// A service that goes on by another name is planned as what it is: no client loses
// its server. One whose server is drained does.
func TestPlanOfRenamesAndDrains(t *testing.T) {
	server := named(t, "one")
	text := "service x\nlisten 127.0.0.1:0\nserver 0 address 127.0.0.1 port " + portOf(server) + "\n"
	file := newConfFile(t, text)
	a := start(t, "-F", file.name)
	x := a.cfg.Load().services["x"]
	visit(t, x.addresses()[0])
	file.write(strings.Replace(text, "service x", "service y", 1))
	if got := plan(t, a, file.name); got != "service x: is now called y\n" {
		t.Errorf("renamed:\n%s", got)
	}
	file.write(text + "drain 0\n")
	want := "service x: 1 of 1 remembered clients lose their server\n"
	if got := plan(t, a, file.name); !strings.HasSuffix(got, want) || !strings.Contains(got, "+ server 0") {
		t.Errorf("drained:\n%s", got)
	}
	file.write(strings.Replace(text, "service x", "service y", 1) + "disable 0\n")
	if got := plan(t, a, file.name); !strings.HasSuffix(got, want) || !strings.HasPrefix(got, "service x: is now called y\n") {
		t.Errorf("renamed and disabled:\n%s", got)
	}
	file.write("listen 127.0.0.1:0\nserver 0 address 127.0.0.1 port 1\nservice z\n")
	if got := plan(t, a, file.name); !strings.Contains(got, "service x: ends\n") || !strings.Contains(got, "service z: new\n") || !strings.HasSuffix(got, want) {
		t.Errorf("gone:\n%s", got)
	}
	reload(t, a) // which reads that file
	file.write(text)
	if said, err := a.Rollback(); err != nil || !strings.Contains(said.String(), "service x, new:\n") || !strings.Contains(said.String(), "service z: ends\n") {
		t.Errorf("taken back: %v\n%s", err, said)
	}
}

// A plan fails where the reload would: an address that another service has must
// be given up first.
func TestPlanFailsAsReloadDoes(t *testing.T) {
	addr := testenv.Unused(t)
	server := named(t, "one")
	base := "listen " + addr + "\nserver 0 address 127.0.0.1 port " + portOf(server) + "\n"
	file := newConfFile(t, base)
	a := start(t, "-F", file.name)
	file.write("dummy\nservice w\nlisten " + addr + "\nserver 0 address 127.0.0.1 port " + portOf(server) + "\n")
	_, planned := a.Plan(file.name)
	reloaded := a.Reload()
	for _, err := range []error{planned, reloaded} {
		if err == nil || !strings.Contains(err.Error(), "default service listens there") {
			t.Error(err)
		}
	}
}

// A listener that is taken away and given back at once is there.
func TestListenerComesBackAtOnce(t *testing.T) {
	for _, plane := range []string{"loop", "stream"} {
		for _, addr := range []string{testenv.Unused(t), filepath.Join(t.TempDir(), "s")} {
			a := start(t, "--plane", plane, addr, named(t, "one"))
			for range 30 {
				run(t, a, "no listen", "listen "+addr)
			}
			if strings.Contains(addr, "/") {
				if _, err := os.Stat(addr); err != nil {
					t.Errorf("%s: %v", plane, err)
				}
			} else if got := visit(t, addr); got != "one" {
				t.Errorf("%s: %s", plane, got)
			}
		}
	}
}

// What was opened for a change that fails at last is closed again: here the log
// of requests, where an address is taken.
func TestChangeThatFailsLeavesNoLog(t *testing.T) {
	testenv.CheckLeaks(t)
	a := start(t, "127.0.0.1:0", named(t, "one"))
	taken := testenv.Listen(t, "tcp", testenv.Loopback).Addr().String()
	log := filepath.Join(t.TempDir(), "log")
	file := newConfFile(t, "log "+log+"\nservice web\nlisten "+taken+"\n")
	if _, err := a.Include("", file.name); err == nil || !strings.Contains(err.Error(), syscall.EADDRINUSE.Error()) {
		t.Fatal(err)
	}
	if a.Config().Log != "" {
		t.Error("half of the change was made")
	}
}

// A range of servers is blacklisted and drained as a whole.
func TestRangesAtRunTime(t *testing.T) {
	one := named(t, "one")
	a := start(t, "-r", "127.0.0.1:0", one, one, one)
	run(t, a, "server 0-1 blacklist 100", "server 2-7 blacklist 100")
	for _, s := range a.services[config.DefaultService].Servers() {
		if s.State != "blacklisted" {
			t.Errorf("server %d is %s", s.Slot, s.State)
		}
	}
	run(t, a, "server 0-9 blacklist 0")
	if err := a.Apply(command(t, "server 5-9 blacklist 100")); err == nil || !strings.Contains(err.Error(), "there is no server 5-9, nothing to blacklist") {
		t.Error(err)
	}
	var conns []net.Conn
	for range 3 {
		c := connect(t, a.Addr())
		if _, err := c.Read(make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	run(t, a, "drain 0-2 within 1ms")
	for _, c := range conns {
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a connection to a drained server goes on: %v", err)
		}
	}
}
