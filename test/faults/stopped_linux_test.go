package faults_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"pen/internal/testenv"
	"pen/test/internal/lab"
)

// stopped is how long TestPenStopped stops Pen: `make faults` takes 30 s.
var stopped = flag.Duration("stopped", 5*time.Second, "for how long TestPenStopped stops Pen")

// Pen is stopped for much longer than any of its timeouts, while it checks, connects,
// and waits for answers. It must not blame others: no server is marked down or
// blacklisted, and no request fails.
func TestPenStopped(t *testing.T) {
	t.Parallel()
	for _, plane := range []string{"loop", "stream"} {
		t.Run(plane, func(t *testing.T) { testPenStopped(t, plane) })
	}
}

func testPenStopped(t *testing.T, plane string) {
	s := newSite(t)
	// The timeouts are longer than it may take to stop Pen. One failed check would be
	// enough.
	const options = " interval 500ms timeout 3 rise 2 fall 1"
	web := s.add(t, "web", lab.NginxKind, "roundrobin", "timeout 3", "check http /"+options, "outlier failures 1 resets 1")
	cache := s.add(t, "cache", lab.RedisKind, "roundrobin", "timeout 3", `check send PING\r\n expect +PONG`+options)
	names := s.add(t, "names", lab.UnboundKind, "roundrobin", "check dns who.test"+options)
	s.start(t, plane)
	all := []*service{web, cache, names}
	var crowds []*crowd
	for _, svc := range all {
		crowds = append(crowds, svc.crowd(t, testenv.Limit+*stopped))
	}
	for _, c := range crowds {
		c.wantMore(t, "before Pen was stopped")
	}
	logged := len(lab.ReadFile(s.pen.Log))

	// Connects that are under way when Pen is stopped are answered only afterwards.
	// Open connections go on: a client that waits for an answer makes no new one.
	end := s.cut(t, unanswered, web.servers[1].Addr, cache.servers[1].Addr)
	// Wait for those of all clients, and of one check at least.
	testenv.Eventually(t, "connects are under way", func() bool { return s.connecting(t) > 2*crowdSize })
	s.pen.Cmd.Process.Signal(syscall.SIGSTOP)
	end()
	testenv.Eventually(t, "Pen is stopped", func() bool {
		status := lab.ReadFile(fmt.Sprintf("/proc/%d/status", s.pen.Cmd.Process.Pid))
		return strings.Contains(status, "State:\tT")
	})
	under := s.connecting(t)
	time.Sleep(*stopped) // the time that Pen misses is what the test is about
	before := web.checked(t)
	s.pen.Cmd.Process.Signal(syscall.SIGCONT)

	for _, c := range crowds {
		c.wantMore(t, "after Pen went on")
	}
	testenv.Eventually(t, "servers are checked again", func() bool { return web.checked(t) >= before+2*3 })
	for _, c := range crowds {
		c.stop()
		c.check(t, "until the end")
	}
	for _, svc := range all {
		for slot := range svc.servers {
			if state := svc.state(slot); state != "up" {
				t.Errorf("server %d of %s is %s", slot, svc.name, state)
			}
		}
	}
	if said := lab.ReadFile(s.pen.Log)[logged:]; said != "" {
		t.Errorf("Pen said: %s", said)
	}
	t.Logf("%d connects were under way", under)
}

// connecting returns the number of connects in the site that are not answered yet.
func (s *site) connecting(t *testing.T) int {
	t.Helper()
	var table []byte
	err := s.net.In(func() (err error) {
		table, err = os.ReadFile("/proc/thread-self/net/tcp")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return len(synSent.FindAll(table, -1))
}

// synSent matches a line of proc_net_tcp(5) for a socket in the state SYN_SENT.
var synSent = regexp.MustCompile(`(?m)^ *\d+: [0-9A-F]+:[0-9A-F]+ [0-9A-F]+:[0-9A-F]+ 02 `)

// checked returns how many checks the servers of a service have seen. They must be
// nginx.
func (svc *service) checked(t *testing.T) (n int) {
	t.Helper()
	for _, d := range svc.servers {
		n += strings.Count(lab.ReadFile(filepath.Join(d.Dir, "access.log")), `"pen"`)
	}
	return n
}
