package faults_test

import (
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pen/internal/testenv"
	"pen/test/internal/lab"
)

// thorough has TestFaultyServers do more. `make faults` sets it.
var thorough = flag.Bool("thorough", false, "TestFaultyServers on every plane, with longer faults, and faults of PostgreSQL's primary")

// How servers are checked here. The timeout is long: a server on a busy machine must
// not be taken for a faulty one.
const (
	checkEvery   = 500 * time.Millisecond
	checkTimeout = time.Second
	checkFall    = 2
	checkOptions = " interval 500ms timeout 1 rise 2 fall 2"
)

// bound is how long it may take to detect a fault if nothing else delays the checks:
// they follow each other, and the first one may have just started.
const bound = (checkFall+1)*checkTimeout + checkEvery

// A fault is something that happens to a server. begin returns a function that ends it.
type fault struct {
	name  string
	begin func(t *testing.T, s *site, d *lab.Daemon) (end func())
}

var faults = []fault{
	{"killed", func(t *testing.T, s *site, d *lab.Daemon) func() {
		d.Stop(syscall.SIGKILL)
		return func() { d.Start(t) }
	}},
	{"frozen", func(t *testing.T, s *site, d *lab.Daemon) func() {
		d.Signal(t, syscall.SIGSTOP)
		return func() { d.Signal(t, syscall.SIGCONT) }
	}},
	{"resetting", resetting},
	{"blackholed", func(t *testing.T, s *site, d *lab.Daemon) func() { return s.cut(t, blackholed, d.Addr) }},
}

// resetting has connections to a server accepted and reset, and datagrams rejected.
func resetting(t *testing.T, s *site, d *lab.Daemon) (end func()) {
	if d.Kind.Network == "udp" {
		return s.cut(t, refusing, d.Addr)
	}
	d.Stop(syscall.SIGKILL)
	// Processes of the killed server, such as PostgreSQL's, may hold the address a
	// little longer.
	var ln net.Listener
	testenv.Eventually(t, "the address of a killed server", func() bool {
		return s.net.In(func() (err error) {
			ln, err = net.Listen("tcp", d.Endpoint())
			return err
		}) == nil
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
	})
	stop := sync.OnceFunc(func() {
		ln.Close()
		wg.Wait()
	})
	t.Cleanup(stop)
	return func() {
		stop()
		d.Start(t)
	}
}

// Real servers of many kinds are killed, frozen, made to reset, cut off, and made to
// flap. As soon as Pen reports a server as down, no request fails, until the server is
// back and after that.
func TestFaultyServers(t *testing.T) {
	t.Parallel()
	planes := []string{"loop"}
	if *thorough {
		planes = append(planes, "stream")
	}
	for _, plane := range planes {
		t.Run(plane, func(t *testing.T) { testFaultyServers(t, plane) })
	}
}

func testFaultyServers(t *testing.T, plane string) {
	s := newSite(t)
	pg := lab.NewPostgres(t, s.place, "127.0.1.1")
	pg.Replicate(t, "127.0.1.2")
	// Each service has a victim, and all victims have their faults at the same time.
	victims := []*victim{
		{service: s.add(t, "web", lab.NginxKind, "roundrobin", "check http /"+checkOptions), slot: 0},
		{service: s.add(t, "shop", lab.NginxKind, "check http /"+checkOptions, "outlier failures 2 resets 2", "on_down close"), slot: 1},
		{service: s.add(t, "cache", lab.RedisKind, "balance leastconn", `check send PING\r\n expect +PONG`+checkOptions), slot: 0},
		{service: s.add(t, "names", lab.UnboundKind, "roundrobin", "check dns who.test"+checkOptions), slot: 1},
		{service: s.addBefore("reads", lab.PostgresKind, pg.Servers, "roundrobin",
			"check send "+escaped(lab.PostgresStartup)+" expect in_hot_standby"+checkOptions), slot: 1},
	}
	primary := s.addBefore("primary", lab.PostgresKind, pg.Servers, "roundrobin", "check exec "+asksPrimary(t, pg)+" timeout 2 rise 2 fall 2")
	s.start(t, plane, "primary/1")

	clients := primary.crowd(t, testenv.Limit)
	for _, f := range faults {
		must(t, f.name, func(t *testing.T) { withstand(t, victims, f) })
	}
	must(t, "flapping", func(t *testing.T) { flap(t, victims) })
	clients.stop()
	clients.check(t, "while the replica had faults")
	if n, _ := clients.of(pg.Servers[1].Addr); n > 0 {
		t.Errorf("%d clients of the primary were answered by the replica", n)
	}
	if *thorough {
		for _, f := range faults {
			must(t, "primary "+f.name, func(t *testing.T) { primary.loseOnly(t, 0, f) })
		}
	}
	must(t, "promotion", func(t *testing.T) { promote(t, s, pg, primary) })
}

// must runs a part of a test that the next parts depend on.
func must(t *testing.T, name string, part func(t *testing.T)) {
	t.Helper()
	if !t.Run(name, part) {
		t.FailNow()
	}
}

// A victim is the server of a service that has a fault.
type victim struct {
	*service
	slot int

	clients *crowd
	end     func()        // ends the fault
	took    time.Duration // until Pen reported the last change; 0 before that
	ignored bool          // Pen ignored a failed check, since it was late itself
}

func (v *victim) daemon() *lab.Daemon { return v.servers[v.slot] }

func (v *victim) hasClients() bool { n, _ := v.clients.of(v.daemon().Addr); return n > 0 }

// become waits until Pen reports all victims in a state.
func become(t *testing.T, victims []*victim, state string) {
	t.Helper()
	begin := time.Now()
	for _, v := range victims {
		v.took, v.ignored = 0, false
	}
	testenv.Eventually(t, "all victims are "+state, func() bool {
		all := true
		for _, v := range victims {
			v.ignored = v.ignored || strings.Contains(v.site.pen.Ask("service "+v.name+" state"), "ignored")
			if v.took == 0 && v.state(v.slot) == state {
				v.took = time.Since(begin)
			}
			all = all && v.took > 0
		}
		return all
	})
}

// withstand gives all victims a fault, and then ends it.
func withstand(t *testing.T, victims []*victim, f fault) {
	t.Cleanup(func() {
		for _, v := range victims {
			if t.Failed() {
				t.Logf("%s: %s", v.name, v.site.pen.Ask("service "+v.name+" state"))
			}
		}
	})
	crowds(t, victims, 2*time.Second)
	for _, v := range victims {
		v.clients.await(t, v.name+": the victim has clients", v.hasClients)
	}
	for _, v := range victims {
		v.end = f.begin(t, v.site, v.daemon())
	}
	become(t, victims, "down")
	for _, v := range victims {
		v.clients.stop()
		_, all := v.clients.of("")
		t.Logf("%s: found in %v, in time: %v, checks ignored: %v; meanwhile %d clients were answered, %d were not, none for more than %v, as of: %v",
			v.name, v.took.Round(time.Millisecond), v.took <= bound, v.ignored, all, v.clients.failures, v.clients.longest.Round(time.Millisecond), v.clients.first)
	}

	crowds(t, victims, testenv.Limit)
	for _, v := range victims {
		v.clients.wantMore(t, "after the server was found "+f.name)
		if v.hasClients() {
			t.Errorf("%s: the server that is %s has answered clients", v.name, f.name)
		}
		elsewhere := fmt.Sprintf("goes to server %d ", 1-v.slot)
		if got := v.site.pen.Ask("service " + v.name + " explain 192.0.2.1"); !strings.Contains(got, elsewhere) {
			t.Errorf("%s: explain: %q, want %q", v.name, got, elsewhere)
		}
	}
	for _, v := range victims {
		v.end()
	}
	become(t, victims, "up")
	for _, v := range victims {
		v.clients.await(t, v.name+": the server has clients again", v.hasClients)
	}
	for _, v := range victims {
		v.clients.stop()
		v.clients.check(t, "until the server had clients again")
	}
}

// crowds starts a crowd for each victim.
func crowds(t *testing.T, victims []*victim, limit time.Duration) {
	for _, v := range victims {
		v.clients = v.crowd(t, limit)
	}
}

// flapTime is how long a client may be without an answer while a server flaps.
const flapTime = 10 * time.Second

// flapLines returns how many lines one server may add to Pen's log in a time: one each
// time that it is blacklisted, and a few a minute for the results of checks.
func flapLines(took time.Duration) int {
	const ofChecks = 6
	return 1 + int(took/blacklistTime) + ofChecks*(1+int(took/time.Minute))
}

// flap has victims refuse and accept connections in quick succession.
func flap(t *testing.T, victims []*victim) {
	const down, up = 300 * time.Millisecond, 400 * time.Millisecond
	times := 6
	if *thorough {
		times = 90
	}
	before := map[*victim]int{}
	var addrs []string
	for _, v := range victims {
		addrs = append(addrs, v.daemon().Addr)
		before[v] = v.lines(v.daemon())
	}
	begin := time.Now()
	crowds(t, victims, testenv.Limit)
	// The lengths of these times are what the test is about.
	for range times {
		end := victims[0].site.cut(t, refusing, addrs...)
		time.Sleep(down)
		end()
		time.Sleep(up)
	}
	took := time.Since(begin)
	become(t, victims, "up")
	for _, v := range victims {
		v.clients.wantMore(t, "while the server came and went")
		v.clients.stop()
		v.clients.check(t, "until the end")
		lines := v.lines(v.daemon()) - before[v]
		n, all := v.clients.of(v.daemon().Addr)
		t.Logf("%s: %d times down in %v: %d lines in the log, %d clients, of which the server had %d",
			v.name, times, took.Round(time.Millisecond), lines, all, n)
		if most := flapLines(took); lines > most {
			t.Errorf("%s: %d lines in the log, want at most %d", v.name, lines, most)
		}
		if v.clients.longest > flapTime {
			t.Errorf("%s: a client had no answer for %v", v.name, v.clients.longest)
		}
	}
}

// lines returns the number of lines in Pen's log that name a server.
func (svc *service) lines(d *lab.Daemon) int {
	return strings.Count(lab.ReadFile(svc.site.pen.Log), "="+d.Endpoint()+" ")
}

// loseOnly gives the only server of a service a fault. Pen closes clients' connections
// at once until the server is back.
func (svc *service) loseOnly(t *testing.T, slot int, f fault) {
	end := f.begin(t, svc.site, svc.servers[slot])
	svc.await(t, slot, "down")
	for range enough {
		var err error
		svc.site.net.In(func() error {
			_, err = svc.kind.Ask(svc.listen, "", testenv.Limit)
			return nil
		})
		if err == nil || os.IsTimeout(err) {
			t.Errorf("%s: a client without a server: %v, want its connection closed", f.name, err)
		}
	}
	end()
	svc.await(t, slot, "up")
	clients := svc.crowd(t, testenv.Limit)
	clients.wantMore(t, "after the primary was "+f.name)
	clients.stop()
}

// asksPrimary writes a program that succeeds for a primary and fails for a replica.
func asksPrimary(t *testing.T, pg *lab.Postgres) string {
	name := filepath.Join(t.TempDir(), "is-primary")
	script := "#!/bin/sh\nexec " + filepath.Join(pg.Bin, "psql") +
		` "host=$1 port=$2 user=postgres dbname=postgres connect_timeout=2 target_session_attrs=primary" -qc 'select 1'` + "\n"
	if err := os.WriteFile(name, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

// promote kills the primary and promotes the replica.
func promote(t *testing.T, s *site, pg *lab.Postgres, primary *service) {
	old, next := pg.Servers[0], pg.Servers[1]
	old.Stop(syscall.SIGKILL)
	primary.await(t, 0, "down")
	pg.Run(t, "pg_ctl", "promote", "-D", pg.Data(next.Addr))
	t.Logf("followed in %v", primary.await(t, 1, "up").Round(time.Millisecond))
	clients := primary.crowd(t, testenv.Limit)
	clients.wantMore(t, "after the replica was promoted")
	clients.stop()
	if n, all := clients.of(next.Addr); n != all {
		t.Errorf("%d of %d clients were answered by the new primary", n, all)
	}
}

// escaped encodes a text for the check command.
func escaped(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, `\x%02x`, c)
	}
	return b.String()
}
