package health

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pen/internal/check"
	"pen/internal/testenv"
)

const (
	roleEnv      = "PEN_TEST_ROLE"
	watchTimeout = 2 * time.Second // of the role "watch"
)

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "serve":
		os.Exit(roleServe())
	case "watch":
		os.Exit(roleWatch())
	}
	os.Exit(m.Run())
}

// roleServe is a web server that says where it listens.
func roleServe() int {
	ln, err := net.Listen("tcp", testenv.Loopback)
	if err != nil {
		return 1
	}
	fmt.Println(ln.Addr())
	http.Serve(ln, nil)
	return 1
}

// roleWatch checks the servers that the arguments name, and says what became of
// it whenever it is asked: checks made, failures ignored, states that changed.
func roleWatch() int {
	m := New(Options{Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	defer m.Close()
	s, err := check.ParseSpec(strings.Fields("expect fine interval 100ms fall 1 start up"))
	s.Timeout = watchTimeout
	if err != nil {
		return 1
	}
	var all []Target
	for _, a := range os.Args[1:] {
		all = append(all, Target{Key: Key{Addr: netip.MustParseAddrPort(a), Spec: s}})
	}
	m.Set(all)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var checks, ignored, changes uint64
		for _, s := range m.States() {
			checks += s.Checks
			ignored += s.Ignored
			changes += s.Transitions
		}
		fmt.Println(checks, ignored, changes)
	}
	return 0
}

// A child is this program in a role.
type child struct {
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Reader
}

func inRole(t *testing.T, role string, args ...string) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: exec.Command(exe, args...)}
	c.cmd.Env = append(os.Environ(), roleEnv+"="+role)
	c.cmd.Stderr = t.Output()
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.in, c.out = in, bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.cmd.Process.Kill()
		c.cmd.Wait()
	})
	return c
}

// scan reads a line of values.
func (c *child) scan(t *testing.T, values ...any) {
	t.Helper()
	line, err := c.out.ReadString('\n')
	if err == nil {
		_, err = fmt.Sscan(line, values...)
	}
	if err != nil {
		t.Fatalf("the child said %q: %v", line, err)
	}
}

// pause stops the process for some time.
func (c *child) pause(t *testing.T, d time.Duration) {
	t.Helper()
	c.stop(t)
	<-time.After(d)
	c.signal(t, syscall.SIGCONT)
}

// stop stops the process and waits until it is.
func (c *child) stop(t *testing.T) {
	t.Helper()
	c.signal(t, syscall.SIGSTOP)
	testenv.Eventually(t, "the process is stopped", func() bool {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid))
		return strings.Contains(string(b), ") T ")
	})
}

func (c *child) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// A recorder holds the states that a Monitor tells of.
type recorder struct {
	mu     sync.Mutex // guards states
	states map[string]check.State
}

func (r *recorder) set(k Key, s check.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.states[string(k.Spec.Kind)] = s
}

func (r *recorder) is(kind string, s check.State) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.states[kind] == s
}

// A server that is frozen accepts connections still: its system does. The
// checks that want an answer find it, and find it well afterwards.
func TestFrozenServer(t *testing.T) {
	testenv.CheckLeaks(t)
	srv := inRole(t, "serve")
	var at string
	srv.scan(t, &at)
	r := &recorder{states: map[string]check.State{}}
	m := New(Options{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), OnChange: r.set})
	defer m.Close()
	var all []Target
	for _, text := range []string{"tcp", "http / status 404", `send GET\s/\sHTTP/1.0\r\n\r\n expect 404`} {
		all = append(all, Target{Key: Key{Addr: netip.MustParseAddrPort(at), Spec: spec(t, text+" interval 100ms timeout 500ms fall 2")}})
	}
	m.Set(all)
	all3 := func(tcp, answer check.State) func() bool {
		return func() bool { return r.is("tcp", tcp) && r.is("http", answer) && r.is("send", answer) }
	}
	testenv.Eventually(t, "up", all3(check.Up, check.Up))
	srv.stop(t)
	testenv.Eventually(t, "those that want an answer down", all3(check.Up, check.Down))
	for _, s := range m.States() {
		if s.Spec.Kind != check.TCP && s.Reason != "timeout after 500ms" {
			t.Errorf("%v: %q", s.Spec, s.Reason)
		}
	}
	srv.signal(t, syscall.SIGCONT)
	testenv.Eventually(t, "up again", all3(check.Up, check.Up))
}

// A process that is stopped for longer than the timeout finds its servers well
// when it goes on, though one failure would be enough: what was under way fails
// and is ignored.
func TestStoppedProcess(t *testing.T) {
	var gate sync.RWMutex // servers answer while nobody has locked it
	var waiting atomic.Int64
	var addrs []string
	for range 20 {
		// The answer takes some time, so that checks are under way at any time.
		addrs = append(addrs, testenv.Serve(t, func(c testenv.Conn) {
			<-time.After(50 * time.Millisecond)
			waiting.Add(1)
			gate.RLock()
			waiting.Add(-1)
			io.WriteString(c, "fine")
			gate.RUnlock()
			io.Copy(io.Discard, c)
		}).String())
	}
	watch := inRole(t, "watch", addrs...)
	count := func() (checks, ignored, changes int) {
		io.WriteString(watch.in, "\n")
		watch.scan(t, &checks, &ignored, &changes)
		return checks, ignored, changes
	}
	pass := func() {
		t.Helper()
		before, _, _ := count()
		testenv.Eventually(t, "checks are made", func() bool {
			now, _, _ := count()
			return now >= before+100
		})
		if _, _, changes := count(); changes > 0 {
			t.Fatalf("%d changes of states", changes)
		}
	}
	const pause = watchTimeout + time.Second
	pass()
	watch.pause(t, pause)
	pass()
	func() {
		// Nobody answers while it is stopped, and until it has seen so.
		gate.Lock()
		defer gate.Unlock()
		testenv.Eventually(t, "a check is under way", func() bool { return waiting.Load() > 0 })
		_, before, _ := count()
		watch.pause(t, pause)
		testenv.Eventually(t, "its failure is ignored", func() bool {
			_, ignored, _ := count()
			return ignored > before
		})
	}()
	pass()
}
