package app

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pen/internal/config"
	"pen/internal/control"
	"pen/internal/testenv"
)

// run runs commands as the control socket does.
func run(t *testing.T, a *App, lines ...string) {
	t.Helper()
	for _, line := range lines {
		cmd, err := config.ParseLine(line)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Apply(cmd); err != nil {
			t.Fatal(err)
		}
	}
}

// ask runs a command as the control socket does, and returns its reply.
func ask(t testing.TB, a *App, line string) (string, error) {
	t.Helper()
	return control.Run(a, command(t, line))
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

func reachable(addr string) bool {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// A service that ends takes nothing new and keeps what it has; the App ends
// what is left of it.
func TestServiceEnds(t *testing.T) {
	testenv.CheckLeaks(t)
	a := start(t, "127.0.0.1:0", named(t, "first"))
	run(t, a, "service web", "service web server 0 address 127.0.0.1 port "+portOf(named(t, "second")), "service web listen 127.0.0.1:0")
	web := a.cfg.Load().services["web"]
	addr := web.addresses()[0]
	c := connect(t, addr)
	r := bufio.NewReader(c)
	if line, err := r.ReadString('\n'); line != "second\n" {
		t.Fatal(line, err)
	}
	run(t, a, "no service web")
	if _, err := a.Service("web"); err == nil {
		t.Error("the service is still there")
	}
	testenv.Eventually(t, "the listener's end", func() bool { return !reachable(addr) })
	if n := len(a.dispatchers()); n != 2 {
		t.Errorf("%d dispatchers, want the first service's and one that ends", n)
	}
	c.Close()
	testenv.Eventually(t, "the last connection's end", func() bool { return len(a.dispatchers()) == 1 })
	if got := visit(t, a.Addr()); got != "first" {
		t.Errorf("the other service: %s", got)
	}
}

// A service that has another name after a change of the file is the same one.
func TestServiceIsRenamed(t *testing.T) {
	a := start(t, "127.0.0.1:0", named(t, "first"))
	run(t, a, "service old", "service old server 0 address 127.0.0.1 port "+portOf(named(t, "second")), "service old listen 127.0.0.2:0")
	old := a.cfg.Load().services["old"]
	addr := old.addresses()[0]
	c := connect(t, addr)
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || line != "second\n" {
		t.Fatal(line, err)
	}
	next := a.Config().Clone()
	next.Services[1].Name, next.Services[1].Listen = "new", "127.0.0.2:0 127.0.0.3:0"
	err := a.change(func(ctx context.Context) error {
		d := a.store.Same()
		d.Config = next
		return a.apply(ctx, d, false)
	})
	if err != nil {
		t.Fatal(err)
	}
	web := a.cfg.Load().services["new"]
	if web == nil || web.d != old.d || len(web.addresses()) != 2 || web.addresses()[0] != addr {
		t.Fatalf("it is another one: %+v", web)
	}
	if n := web.d.Flows(); n != 1 {
		t.Errorf("%d connections, want the one from before", n)
	}
}

// An address that can't be had keeps a change of several services from being
// made at all.
func TestServicesChangeTogether(t *testing.T) {
	a := start(t, "127.0.0.1:0", named(t, "first"))
	taken := testenv.Listen(t, "tcp", testenv.Loopback).Addr().String()
	name := filepath.Join(t.TempDir(), "more.conf")
	if err := os.WriteFile(name, fmt.Appendf(nil, "timeout 3\nservice a\nlisten 127.0.0.1:0\nservice b\nlisten %s\n", taken), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Include("", name); err == nil {
		t.Fatal("an address was used twice")
	}
	if len(a.Config().Services) != 1 || a.Config().Services[0].Timeout == 3*time.Second || len(a.services) != 1 {
		t.Error("half of a change was made")
	}
}

// A shared table is as large as the largest service wants it.
func TestSharedTable(t *testing.T) {
	a := start(t, "127.0.0.1:0", named(t, "first"))
	run(t, a, "table both", "clients_max 10", "service web", "service web table both", "service web clients_max 500", "service web tracking 5")
	if n := a.tables["both"].Max(); n != 500 {
		t.Errorf("the table has %d places, want 500", n)
	}
	run(t, a, "no service web")
	if n := a.tables["both"].Max(); n != 10 {
		t.Errorf("the table has %d places, want 10", n)
	}
	run(t, a, "no table")
	if len(a.tables) != 0 {
		t.Error("a table that nobody uses is kept")
	}
}

// A plan tells what a file would change and whom it would move, and changes
// nothing; a change is taken back as it was made.
func TestPlanAndRollback(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pen.conf")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("timeout 3\n")
	first, second := named(t, "first"), named(t, "second")
	a := start(t, "-F", file, "127.0.0.1:0", first, second)
	visit(t, a.Addr())
	write("timeout 4\nserver 0 address 127.0.0.1 port 1\nservice web\nserver 0 address 127.0.0.1 port 2\n")
	got, err := ask(t, a, "plan "+file)
	want := "first service:\n  - server 0 acl 0 address 127.0.0.1 port " + portOf(first) + " max 0 hard 0\n  - timeout 3\n" +
		"  + server 0 acl 0 address 127.0.0.1 port 1 max 0 hard 0\n  + timeout 4\n" +
		"service web, new:\n  + server 0 acl 0 address 127.0.0.1 port 2 max 0 hard 0\n" +
		"first service: 1 of 1 remembered clients lose their server\n"
	if err != nil || got != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
	if a.Config().Services[0].Timeout != 3*time.Second || len(a.Config().Services) != 1 {
		t.Error("a plan has changed something")
	}
	if got := visit(t, a.Addr()); got != "first" {
		t.Errorf("after the plan: %s", got)
	}

	run(t, a, "blacklist 7")
	if err := a.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := visit(t, a.Addr()); got != "second" {
		t.Errorf("after the change: %s", got)
	}
	if _, err := a.Rollback(); err != nil {
		t.Fatal(err)
	}
	if c := a.Config(); c.Services[0].Timeout != 3*time.Second || len(c.Services) != 1 || c.Services[0].Blacklist != 7*time.Second {
		t.Errorf("taken back: %+v", c)
	}
	if said, err := a.Rollback(); err != nil || said.String() != "first service:\n  - blacklist 7\n  + blacklist 30\n" {
		t.Errorf("%v %s", err, said)
	}
	if _, err := a.Rollback(); err == nil {
		t.Error("there was nothing left to take back")
	}
	write("timeout much\n")
	if _, err := a.Plan(file); err == nil {
		t.Error("a plan of a broken file")
	}
}

// Clients keep their servers over a restart, also where servers have other
// slots; a damaged file is said and left alone.
func TestTableFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "clients")
	first, second := named(t, "first"), named(t, "second")
	args := []string{"-O", "table_file " + file, "127.0.0.1:0"}
	a := start(t, append(args, first, second)...)
	visit(t, a.Addr()) // first
	run(t, a, "server 0 blacklist 99")
	if got := visit(t, a.Addr()); got != "second" {
		t.Fatal(got)
	}
	if err := a.Stop(0); err != nil {
		t.Fatal(err)
	}
	b := start(t, append(args, second, first)...)
	if got := visit(t, b.Addr()); got != "second" {
		t.Errorf("after a restart: %s", got)
	}
	c := start(t, append(args, first, second)...)
	if got := visit(t, c.Addr()); got != "second" {
		t.Errorf("after a restart with other slots: %s", got)
	}
	damaged, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	damaged[len(damaged)/2] ^= 1
	other := filepath.Join(t.TempDir(), "damaged")
	if err := os.WriteFile(other, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	d := start(t, "-O", "table_file "+other, "127.0.0.1:0", first, second)
	if n := len(d.services[config.DefaultService].d.Clients()); n != 0 {
		t.Errorf("%d clients of a damaged file", n)
	}
	if kept, err := os.ReadFile(other + ".damaged"); err != nil || !bytes.Equal(kept, damaged) {
		t.Errorf("the damaged file is lost: %v", err)
	}
}

// What is restored is logged with its service, and only once for each file.
func TestRestoredTableNamesItsService(t *testing.T) {
	file := filepath.Join(t.TempDir(), "clients")
	args := []string{"-O", "service web", "-O", "service web table_file " + file, "127.0.0.1:0", named(t, "one")}
	if err := start(t, args...).Stop(0); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	opt := quiet(t)
	opt.Log = slog.New(slog.NewTextHandler(&log, nil))
	a, err := New(parse(t, args...), opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(); err != nil {
		t.Error(err)
	}
	if err := a.Stop(0); err != nil {
		t.Error(err)
	}
	if got := log.String(); strings.Count(got, `msg="client table restored" service=web file=`) != 1 {
		t.Error(got)
	}
}

// An error of a server of last resort calls it what it is.
func TestErrorsOfServersOfLastResort(t *testing.T) {
	for option, want := range map[string]string{"-e": "emergency server: ", "-B": "abuse server: "} {
		for _, lines := range [][]string{{"-U", "-O", "send_proxy v1"}, {"-O", "tls on ca /no/such/file"}} {
			args := append(lines, option, "127.0.0.1:1", "127.0.0.1:0")
			if a, err := New(parse(t, args...), quiet(t)); err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%s: %v, want %s", args, err, want)
				if a != nil {
					a.Stop(0)
				}
			}
		}
	}
}

// The report and the page tell of all services.
func TestStatsOfAllServices(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.html")
	a := start(t, "-w", file, "-O", "service web", "127.0.0.1:0", named(t, "first"))
	a.WriteStats()
	page, err := os.ReadFile(file)
	if err != nil || strings.Count(string(page), "<h2>Active clients</h2>") != 2 || !strings.Contains(string(page), "<h1>Service web</h1>") {
		t.Errorf("%v\n%s", err, page)
	}
}
