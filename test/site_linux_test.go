package pen_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pen/internal/testenv"
)

// A site is a Pen with several services, their real servers, and clients, all
// in a network namespace of their own. Each server has an address of loopback
// for itself, which can be cut off.
type site struct {
	net      *testenv.Netns
	services []*service
	ctl, log string
	pen      *exec.Cmd
}

// A service is one of Pen's, with its servers in the order of their slots.
type service struct {
	site     *site
	name     string
	listen   string
	kind     *kind
	settings []string // lines of Pen's configuration
	servers  []*daemon
}

// What faultRules can do to an address, by the names of its sets.
const (
	blackholed = "blackholed" // what is sent there disappears
	refusing   = "refusing"   // there is no new connection, and datagrams come back
)

const faultRules = `table inet faults {
	set blackholed { type ipv4_addr; }
	set refusing { type ipv4_addr; }
	chain input {
		type filter hook input priority 0;
		ip daddr @blackholed drop
		ip daddr @refusing tcp flags & (syn | ack) == syn reject with tcp reset
		ip daddr @refusing meta l4proto udp reject with icmp type port-unreachable
	}
}
`

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{net: testenv.NewNetns(t)}
	rules := filepath.Join(t.TempDir(), "rules")
	writeFile(t, rules, faultRules)
	s.net.Run(t, "/usr/sbin/nft", "-f", rules)
	return s
}

// add has two servers of a kind run behind a service, with these settings.
func (s *site) add(t *testing.T, name string, k *kind, settings ...string) *service {
	t.Helper()
	n := len(s.services) + 1
	var servers []*daemon
	for i := range 2 {
		addr := fmt.Sprintf("127.0.1.%d", 10*n+i)
		dir := t.TempDir()
		d := newDaemon(t, s, k, addr, k.program(t, dir, addr))
		d.dir = dir
		servers = append(servers, d)
	}
	return s.addBefore(name, k, servers, settings...)
}

// addBefore is the same for servers that are there.
func (s *site) addBefore(name string, k *kind, servers []*daemon, settings ...string) *service {
	listen := fmt.Sprintf("127.0.0.1:%d", 8001+len(s.services))
	svc := &service{site: s, name: name, listen: listen, kind: k, settings: settings, servers: servers}
	s.services = append(s.services, svc)
	return svc
}

// leftAlone is how long a server is left alone to which no connect succeeds.
const leftAlone = time.Second

// config is Pen's configuration.
func (s *site) config() string {
	var b strings.Builder
	for _, svc := range s.services {
		fmt.Fprintf(&b, "service %s\nlisten %s\ntimeout 1\nblacklist %v\n%s\n", svc.name, svc.listen, leftAlone, strings.Join(svc.settings, "\n"))
		if svc.kind.network == "udp" {
			fmt.Fprintln(&b, "protocol udp")
		}
		for i, d := range svc.servers {
			fmt.Fprintf(&b, "server %d address %s port %d\n", i, d.addr, svc.kind.port)
		}
	}
	return b.String()
}

// start starts Pen and waits until it has found every server to be as it is:
// up, but for those that down names as SERVICE/SLOT.
func (s *site) start(t *testing.T, plane string, down ...string) {
	t.Helper()
	dir := t.TempDir()
	s.ctl, s.log = filepath.Join(dir, "ctl"), filepath.Join(dir, "log")
	conf := filepath.Join(dir, "conf")
	writeFile(t, conf, s.config())
	out, err := os.Create(s.log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	s.pen = exec.Command(filepath.Join(programs, "pen"), "-f", "-C", s.ctl, "-O", "plane "+plane, "-F", conf, "127.0.0.1:8000")
	s.pen.Stdout, s.pen.Stderr = out, out
	if err := s.net.In(s.pen.Start); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.pen.Process.Kill()
		s.pen.Wait()
		text := readFile(s.log)
		if strings.Contains(text, "DATA RACE") {
			t.Errorf("Pen has a data race")
		}
		if t.Failed() {
			t.Logf("Pen: %s", text)
		}
	})
	for _, svc := range s.services {
		for slot := range svc.servers {
			want := "up"
			for _, d := range down {
				if d == fmt.Sprintf("%s/%d", svc.name, slot) {
					want = "down"
				}
			}
			svc.await(t, slot, want)
		}
	}
}

// ask returns the reply to a control command, or why there is none.
func (s *site) ask(command string) string {
	c, err := net.DialTimeout("unix", s.ctl, patience)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintln(c, command)
	reply, _ := io.ReadAll(c)
	return string(reply)
}

// state is a server's, in Pen's word, once it was checked; "" is unknown.
func (svc *service) state(slot int) string {
	line := regexp.MustCompile(fmt.Sprintf(`(?m)^%d .* state (.+) check \w+ (up|down|\w+)`, slot))
	m := line.FindStringSubmatch(svc.site.ask("service " + svc.name + " state"))
	if m == nil || m[2] == "unknown" {
		return ""
	}
	return m[1]
}

// await waits until Pen says of a server that it is in a state, and returns
// how long that took.
func (svc *service) await(t *testing.T, slot int, state string) time.Duration {
	t.Helper()
	begin := time.Now()
	what := fmt.Sprintf("server %d of %s is %s", slot, svc.name, state)
	testenv.Eventually(t, what, func() bool { return svc.state(slot) == state })
	return time.Since(begin)
}

// cut puts addresses into one of the sets of faultRules. The function that it
// returns takes them out again.
func (s *site) cut(t *testing.T, set string, addrs ...string) (end func()) {
	t.Helper()
	change := func(verb string) {
		s.net.Run(t, "/usr/sbin/nft", verb, "element", "inet", "faults", set, "{ "+strings.Join(addrs, ", ")+" }")
	}
	change("add")
	return func() { change("delete") }
}

// A daemon is a real server at an address of its own.
type daemon struct {
	site    *site
	kind    *kind
	addr    string
	dir     string // of its files
	program func() *exec.Cmd
	cmd     *exec.Cmd
	ended   chan struct{} // closed when cmd has ended
}

// newDaemon starts a server, which ends with the test.
func newDaemon(t *testing.T, s *site, k *kind, addr string, program func() *exec.Cmd) *daemon {
	t.Helper()
	d := &daemon{site: s, kind: k, addr: addr, program: program}
	t.Cleanup(func() { d.end(k.end) })
	d.start(t)
	return d
}

// start starts the server and waits until it answers. One that ends again, as
// it may soon after another one was killed, is started once more.
func (d *daemon) start(t *testing.T) {
	t.Helper()
	testenv.Eventually(t, d.addr+" answers", func() bool {
		if d.hasEnded() {
			d.cmd = d.program()
			if err := d.site.net.In(d.cmd.Start); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			d.ended = ended
			go func() {
				d.cmd.Wait()
				close(ended)
			}()
		}
		return d.answers()
	})
}

func (d *daemon) hasEnded() bool {
	if d.cmd == nil {
		return true
	}
	select {
	case <-d.ended:
		return true
	default:
		return false
	}
}

// answers reports whether the server itself is there.
func (d *daemon) answers() bool {
	var got string
	err := d.site.net.In(func() (err error) {
		got, err = d.kind.ask(fmt.Sprintf("%s:%d", d.addr, d.kind.port), "", time.Second)
		return err
	})
	return err == nil && got == d.addr
}

// end ends the server by a signal, also a frozen one, and waits.
func (d *daemon) end(by syscall.Signal) {
	if d.hasEnded() {
		return
	}
	d.cmd.Process.Signal(by)
	d.cmd.Process.Signal(syscall.SIGCONT)
	select {
	case <-d.ended:
	case <-time.After(patience):
		d.cmd.Process.Kill()
		<-d.ended
	}
}

// signal sends the server a signal.
func (d *daemon) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := d.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// A crowd is clients that ask a service again and again, each time by a new
// connection. Every second time it is a client that was there before.
type crowd struct {
	svc   *service
	limit time.Duration // for one answer
	quit  chan struct{}
	once  sync.Once
	wg    sync.WaitGroup

	mu       sync.Mutex
	answers  map[string]int // by address of the server
	failures int
	first    error
	longest  time.Duration // that one client had no answer
}

const crowdSize = 2

// crowd begins to ask. It ends with the test at the latest.
func (svc *service) crowd(t *testing.T, limit time.Duration) *crowd {
	c := &crowd{svc: svc, limit: limit, quit: make(chan struct{}), answers: map[string]int{}}
	for i := range crowdSize {
		c.wg.Go(func() {
			// The whole loop is on one thread that is in the namespace.
			if err := svc.site.net.In(func() error { c.run(i); return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(c.stop)
	return c
}

func (c *crowd) run(who int) {
	ticker := time.NewTicker(c.svc.kind.pace)
	defer ticker.Stop()
	var failing time.Time
	for n := 0; ; n++ {
		select {
		case <-c.quit:
			return
		case <-ticker.C:
		}
		from := fmt.Sprintf("127.0.2.%d", 1+who)
		if n%2 == 1 {
			from = fmt.Sprintf("127.%d.%d.%d", 3+who, n/2>>8&255, n/2&255)
		}
		begin := time.Now()
		server, err := c.svc.kind.ask(c.svc.listen, from, c.limit)
		if err != nil && failing.IsZero() {
			failing = begin
		}
		c.mu.Lock()
		if err != nil {
			c.failures++
			if c.first == nil {
				c.first = err
			}
		} else {
			c.answers[server]++
		}
		if !failing.IsZero() {
			c.longest = max(c.longest, time.Since(failing))
		}
		c.mu.Unlock()
		if err == nil {
			failing = time.Time{}
		}
	}
}

// stop waits for what is under way.
func (c *crowd) stop() {
	c.once.Do(func() { close(c.quit) })
	c.wg.Wait()
}

// of returns how many answers came from a server, and from all.
func (c *crowd) of(addr string) (n, all int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for a, m := range c.answers {
		all += m
		if a == addr {
			n += m
		}
	}
	return n, all
}

// enough is how many answers say that something works.
const enough = 10

// wantMore waits for more answers and checks that none failed.
func (c *crowd) wantMore(t *testing.T, when string) {
	t.Helper()
	_, before := c.of("")
	c.await(t, when, func() bool { _, all := c.of(""); return all >= before+enough })
	c.check(t, when)
}

// await waits for a condition while clients ask; a failed one ends the wait.
func (c *crowd) await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	testenv.Eventually(t, what, func() bool {
		c.mu.Lock()
		failed := c.failures > 0
		c.mu.Unlock()
		return failed || ok()
	})
}

// check fails the test if a client had no answer.
func (c *crowd) check(t *testing.T, when string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failures > 0 {
		t.Fatalf("%s: %s, %d clients had no answer, the first: %v; answers: %v\n%s",
			c.svc.name, when, c.failures, c.first, c.answers, c.svc.site.ask("service "+c.svc.name+" state"))
	}
}
