package app

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pen/internal/build"
	"pen/internal/config"
	"pen/internal/dispatch"
	"pen/internal/testenv"
)

func quiet(t *testing.T) Options {
	return Options{Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})), SetDebug: func(int) {}}
}

func parse(t *testing.T, args ...string) config.Invocation {
	t.Helper()
	inv, errs := config.ParseArgs(args, Open)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return inv
}

// checkErr is the error of Check.
func checkErr(cfg config.Config) error {
	_, err := Check(cfg)
	return err
}

// start starts an App that is stopped at the end of the test.
func start(t *testing.T, args ...string) *App {
	t.Helper()
	a, err := New(parse(t, args...), quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Stop(0); err != nil {
			t.Error(err)
		}
	})
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	return a
}

// named serves its name to each client and waits for the client's end.
func named(t *testing.T, name string) string {
	return testenv.Serve(t, func(c testenv.Conn) {
		io.WriteString(c, name+"\n")
		io.Copy(io.Discard, c)
	}).String()
}

// visit returns who answers.
func visit(t *testing.T, addr string) string {
	t.Helper()
	c := connect(t, addr)
	defer c.Close()
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(line)
}

func connect(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	return c
}

// refuses reports whether nobody listens on an address.
func refuses(addr string) bool {
	c, err := net.Dial("tcp", addr)
	if err == nil {
		c.Close()
	}
	return err != nil
}

func command(t testing.TB, line string) config.Command {
	t.Helper()
	cmd, err := config.ParseLine(line)
	if err != nil {
		t.Fatal(err)
	}
	return cmd
}

func TestServes(t *testing.T) {
	testenv.CheckLeaks(t)
	a := start(t, "127.0.0.1:0", named(t, "one"))
	if got := visit(t, a.Addr()); got != "one" {
		t.Errorf("answer %q", got)
	}
}

// What keeps New from success leaves nothing open, whatever was made before.
func TestNewFailsWhole(t *testing.T) {
	testenv.CheckLeaks(t)
	taken := testenv.Listen(t, "tcp", testenv.Loopback).Addr().String()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	sock := filepath.Join(t.TempDir(), "ctl")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-C", sock, taken, "127.0.0.1:1"}, "can't bind local address"},
		{[]string{"-C", file, "127.0.0.1:0", "127.0.0.1:1"}, "is not a socket"},
		{[]string{"-C", sock, "127.0.0.1:0", "no..such..host:1"}, "unknown or invalid address [no..such..host]"},
		{[]string{"-C", sock, "127.0.0.1:0", "127.0.0.1"}, "has no port"},
		{[]string{"-C", sock, "127.0.0.1:nowhere", "127.0.0.1:1"}, "unknown port"},
	} {
		if _, err := New(parse(t, tt.args...), quiet(t)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v, want %q", tt.args, err, tt.want)
		}
		if _, err := os.Stat(sock); err == nil {
			t.Errorf("%v: the control socket is still there", tt.args)
		}
	}
}

func TestStartFailsWhole(t *testing.T) {
	testenv.CheckLeaks(t)
	a, err := New(parse(t, "-p", "/no/such/folder/pid", "127.0.0.1:0", "127.0.0.1:1"), quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(); err == nil || !strings.Contains(err.Error(), "/no/such/folder") {
		t.Errorf("Start: %v", err)
	}
	if err := a.Stop(0); err != nil {
		t.Error(err)
	}
}

func TestTwoInstances(t *testing.T) {
	testenv.CheckLeaks(t)
	a, b := start(t, "127.0.0.1:0", named(t, "one")), start(t, "127.0.0.1:0", named(t, "two"))
	if got := visit(t, a.Addr()) + visit(t, b.Addr()); got != "onetwo" {
		t.Errorf("answers %q", got)
	}
}

// Stop lets connections go on until drain is over, and no longer.
func TestStopDrains(t *testing.T) {
	testenv.CheckLeaks(t)
	a := start(t, "127.0.0.1:0", testenv.Echo(t).String())
	c := connect(t, a.Addr())
	echo := func() error {
		if _, err := io.WriteString(c, "x"); err != nil {
			return err
		}
		_, err := io.ReadFull(c, make([]byte, 1))
		return err
	}
	if err := echo(); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- a.Stop(time.Hour) }()
	testenv.Eventually(t, "the listener is closed", func() bool { return refuses(a.Addr()) })
	if err := echo(); err != nil {
		t.Errorf("while draining: %v", err)
	}
	c.Close()
	if err := <-stopped; err != nil {
		t.Error(err)
	}

	b := start(t, "127.0.0.1:0", testenv.Echo(t).String())
	c = connect(t, b.Addr())
	if err := echo(); err != nil {
		t.Fatal(err)
	}
	if err := b.Stop(0); err != nil {
		t.Error(err)
	}
	if err := echo(); err == nil {
		t.Error("the connection outlived Stop")
	}
}

func TestConcurrentChangesAndStop(t *testing.T) {
	testenv.CheckLeaks(t)
	file := filepath.Join(t.TempDir(), "pen.conf")
	addr := named(t, "one")
	write := func(n int) {
		if err := os.WriteFile(file+".new", fmt.Appendf(nil, "blacklist %d\n", 10+n), 0o600); err != nil {
			t.Error(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Error(err)
		}
	}
	write(0)
	a := start(t, "-F", file, "-C", filepath.Join(t.TempDir(), "ctl"), "127.0.0.1:0", addr)
	change, listen := command(t, "timeout 7"), command(t, "listen 127.0.0.1:0")
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				switch i {
				case 0:
					write(n)
					if err := a.Reload(); err != nil && ctx.Err() == nil {
						t.Error(err)
					}
				case 1:
					if err := a.Apply(change); err != nil && ctx.Err() == nil {
						t.Error(err)
					}
				case 2:
					a.cfg.Load().services[config.DefaultService].Snapshot()
					a.cfg.Load().services[config.DefaultService].Servers()
				case 3:
					if err := a.Apply(listen); err != nil && ctx.Err() == nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Go(func() {
		<-ctx.Done()
		a.Stop(0)
	})
	wg.Wait()
	if err := a.Reload(); err == nil {
		t.Error("reloaded after Stop")
	}
	if err := a.Apply(listen); err == nil {
		t.Error("listens after Stop")
	}
}

// A new listener takes over at once, the connections of the old one go on; one
// that can't be bound changes nothing.
func TestListen(t *testing.T) {
	testenv.CheckLeaks(t)
	a := start(t, "127.0.0.1:0", testenv.Echo(t).String())
	old := a.Addr()
	c := connect(t, old)
	io.WriteString(c, "a")
	io.ReadFull(c, make([]byte, 1))
	taken := testenv.Listen(t, "tcp", testenv.Loopback).Addr().String()
	if err := a.Apply(command(t, "listen "+taken)); err == nil || a.Addr() != old {
		t.Errorf("a taken address: %v, now at %s", err, a.Addr())
	}
	if got := a.Config().Services[0].Listen; got != "127.0.0.1:0" {
		t.Errorf("listen says %q", got)
	}
	if err := a.Apply(command(t, "listen 127.0.0.2:0")); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(a.Addr(), "127.0.0.2:") {
		t.Errorf("listens on %s", a.Addr())
	}
	testenv.Eventually(t, "the old listener is closed", func() bool { return refuses(old) })
	io.WriteString(c, "b")
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Errorf("a connection of the old listener: %v", err)
	}
	n := connect(t, a.Addr())
	io.WriteString(n, "c")
	if _, err := io.ReadFull(n, make([]byte, 1)); err != nil {
		t.Errorf("a connection of the new listener: %v", err)
	}
}

// A rejected change leaves the old configuration whole.
func TestRejectedChanges(t *testing.T) {
	testenv.CheckLeaks(t)
	file := filepath.Join(t.TempDir(), "pen.conf")
	if err := os.WriteFile(file, []byte("blacklist 20\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := start(t, "-F", file, "127.0.0.1:0", named(t, "one"))
	before := a.Config()
	for _, text := range []string{
		"blacklist 40\ntimeout never\n",
		"blacklist 40\nserver 1 address no..such..host port 80\n",
		"blacklist 40\nlisten 192.0.2.1:80\n",
		"include " + file + ".missing\nblacklist 40\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := a.Reload(); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
			t.Errorf("%q: %v", text, err)
		}
		for _, line := range []string{
			"exit_enabled on", "backlog 7", "server 9 max 3 blacklist 10", "server 9 weight 4 blacklist 0",
		} {
			if err := a.Apply(command(t, line)); err == nil {
				t.Errorf("%s was accepted", line)
			}
		}
		if got := config.Print(a.Config()); got != config.Print(before) {
			t.Errorf("%q changed something:\n%s", text, got)
		}
	}
	if err := os.WriteFile(file, []byte("blacklist 40\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.Reload(); err != nil || a.Config().Services[0].Blacklist != 40*time.Second {
		t.Errorf("the good file: %v, blacklist %v", err, a.Config().Services[0].Blacklist)
	}
}

// HUP with an unchanged file changes nothing, actions in it included.
func TestReloadUnchanged(t *testing.T) {
	testenv.CheckLeaks(t)
	file := filepath.Join(t.TempDir(), "pen.conf")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("blacklist 20\nserver 0 blacklist 100\n")
	a := start(t, "-F", file, "127.0.0.1:0", named(t, "one"), named(t, "two"))
	if got := visit(t, a.Addr()); got != "two" {
		t.Errorf("answer %q, with server 0 blacklisted by the file", got)
	}
	for _, line := range []string{"server 0 blacklist 0", "blacklist 60"} {
		if err := a.Apply(command(t, line)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Reload(); err != nil {
		t.Fatal(err)
	}
	if a.Config().Services[0].Blacklist != time.Minute || !a.cfg.Load().services[config.DefaultService].Servers()[0].FailedAt.IsZero() {
		t.Errorf("an unchanged file set blacklist to %v, server 0 to %+v", a.Config().Services[0].Blacklist, a.cfg.Load().services[config.DefaultService].Servers()[0])
	}
	write("blacklist 20\nserver 0 blacklist 101\n")
	if err := a.Reload(); err != nil {
		t.Fatal(err)
	}
	if a.Config().Services[0].Blacklist != time.Minute || a.cfg.Load().services[config.DefaultService].Servers()[0].FailedAt.IsZero() {
		t.Errorf("the changed line: blacklist %v, server 0 %+v", a.Config().Services[0].Blacklist, a.cfg.Load().services[config.DefaultService].Servers()[0])
	}
}

// As root a TCP control port needs -u, a Unix socket does not.
func TestControlAsRoot(t *testing.T) {
	testenv.CheckLeaks(t)
	root := os.Getuid() == 0
	for _, tt := range []struct {
		args []string
		want bool
	}{
		{[]string{"-C", "127.0.0.1:0"}, !root},
		{[]string{"-C", "127.0.0.1:0", "-u", "root"}, true},
		{[]string{"-C", filepath.Join(t.TempDir(), "ctl")}, true},
	} {
		a := start(t, append(tt.args, "127.0.0.1:0", "127.0.0.1:1")...)
		if got := a.control != nil; got != tt.want {
			t.Errorf("%v: control socket open: %v, want %v", tt.args, got, tt.want)
		}
	}
}

// UDP flows have half of the descriptors where there are connections as well, all
// services of theirs together, unless the user says how many.
func TestUDPShare(t *testing.T) {
	a := &App{nofile: 20000}
	a.budget = dispatch.NewBudget(a.nofile.ForConnections())
	a.budgetUDP = a.budget.Share(a.nofile.ForConnections() / 2)
	tcp, udp := config.Service{Listen: "80"}, config.Service{Listen: "53", UDP: true}
	set := udp
	set.ConnMax = 15000
	for _, tt := range []struct {
		name     string
		cfg      config.Config
		s        config.Service
		want     int
		ofShared bool
	}{
		{"UDP beside TCP", config.Config{Services: []config.Service{tcp, udp, udp}}, udp, 9872, true},
		{"TCP beside UDP", config.Config{Services: []config.Service{tcp, udp}}, tcp, 9872, false},
		{"conn_max", config.Config{Services: []config.Service{tcp, set}}, set, 15000, false},
		{"UDP alone", config.Config{Services: []config.Service{udp}}, udp, 19744, false},
		{"TCP without a listener", config.Config{Services: []config.Service{{}, udp}}, udp, 19744, false},
	} {
		shared := build.IsShared(tt.cfg)
		if got := a.nofile.ConnMax(tt.s, shared); got != tt.want {
			t.Errorf("%s: %d at most, want %d", tt.name, got, tt.want)
		}
		if got := a.budgetOf(tt.s, shared) == a.budgetUDP; got != tt.ofShared {
			t.Errorf("%s: of the share of UDP: %v, want %v", tt.name, got, tt.ofShared)
		}
	}
}
