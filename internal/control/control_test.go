package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"pen/internal/config"
	"pen/internal/dispatch"
	"pen/internal/engine"
	"pen/internal/stats"
	"pen/internal/testenv"
)

// A fake engine keeps a Config and counts what is asked of it.
type fake struct {
	mu      sync.Mutex
	cfg     config.Config
	acted   []string
	denied  bool
	servers int // size of the table
}

func (e *fake) Config() config.Config {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.cfg
}

func (e *fake) Apply(settings ...config.Command) (err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := e.cfg
	for _, cmd := range settings {
		if next, err = next.With(cmd); err != nil {
			return err
		}
	}
	e.cfg = next
	return nil
}

func (e *fake) act(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.acted = append(e.acted, name)
}

func (e *fake) Write(string) error {
	e.act("write")
	return errors.New("write: the disk is full")
}

func (e *fake) Exit() error {
	e.act("exit")
	return nil
}

func (e *fake) Include(string, string) ([]config.Command, error) {
	e.act("include")
	return nil, nil
}

func (e *fake) Rollback() (config.Changes, error) {
	e.act("rollback")
	return nil, nil
}

func (e *fake) Kill(int) bool {
	e.act("close")
	return true
}

func (e *fake) Service(name string) (engine.Service, error) {
	if name != config.DefaultService {
		return nil, engine.NotFound.Of(fmt.Errorf("there is no service %s", name))
	}
	return e, nil
}

func (e *fake) Services() []stats.Service {
	return []stats.Service{{Protocol: "tcp", Listen: []string{"127.0.0.1:80"}, Servers: 2, Available: 1, Conns: 3, ConnMax: 100}}
}

func (e *fake) Plan(string) (engine.Plan, error) { return engine.Plan{}, nil }

func (e *fake) Explain(client netip.AddrPort) dispatch.Explanation {
	return dispatch.Explanation{Key: client.Addr()}
}

func (e *fake) Numbers() dispatch.Numbers { return dispatch.Numbers{ConnMax: 100} }

func (e *fake) Idlers() int { return 2 }

func (e *fake) Servers() []stats.Server {
	s := make([]stats.Server, e.servers)
	for i := range s {
		s[i] = stats.Server{Slot: i, Used: true, Addr: "192.0.2.1", Port: 80}
	}
	return s
}

func (e *fake) Snapshot() stats.Snapshot {
	return stats.Snapshot{Servers: e.Servers(), ConnMax: 100, Conns: []stats.Conn{{ID: 7, State: 2, DownFD: 11, UpFD: 12}}}
}

func (e *fake) Permits(netip.Addr) bool { return !e.denied }

// start serves an engine until the test ends, to clients that may do all.
func start(t *testing.T, e *fake) string {
	t.Helper()
	return startWith(t, e, Options{Level: config.Local})
}

func startWith(t *testing.T, e *fake, o Options) string {
	t.Helper()
	testenv.CheckLeaks(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, ln, e, o)
	return ln.Addr().String()
}

// serve runs a Server until the test ends.
func serve(t *testing.T, ln net.Listener, e *fake, o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := New(ln, e, o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Serve(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return s
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	return c
}

// ask sends bytes and reads to the end.
func ask(t *testing.T, addr, text string) string {
	t.Helper()
	c := dial(t, addr)
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("%.40q: %v", text, err)
	}
	return string(b)
}

func TestCommands(t *testing.T) {
	e := &fake{cfg: config.Default(), servers: 1}
	addr := start(t, e)
	servers := stats.ServersText(e.Servers())
	for _, tt := range []struct{ send, want string }{
		{"blacklist\n", "30\n"},
		{"blacklist 40\n", "40\n"},
		{"blacklist 41\r\n", "41\n"},
		{"mode\rservers\n", "no hash no roundrobin no stubborn no weight no prio\n"},
		{"\n", ""},
		{"# nothing\n", ""},
		{"blacklist 1\ntimeout 2\n\nservers\n", "1\n2\n" + servers},
		{"blacklist 5\nwrite\nblacklist\n", "5\nwrite: the disk is full\n5\n"},
		{"write\n", "write: the disk is full\n"},
		{"close 3\n", "Forcibly closing connection 3\n"},
		{"connection 7\n", "Connection 7:\nstate = 2\ndownfd = 11, upfd = 12\nclient = 0, server = 0\npend = 0\n"},
		{"connection 8\n", "Connection 8:\nstate = 0\ndownfd = -1, upfd = -1\nclient = 0, server = 0\npend = 0\n"},
		{"connection 100\n", "Connection 100 out of range\n"},
		{"socket 12\n", "Socket 12 belongs to connection 7\n"},
		{"socket 13\n", "Socket 13 belongs to connection -1\n"},
		{"recent soon\n", "recent: \"soon\" is not a duration, want seconds such as 30, or 200ms, 5m\n"},
		{"help nothing\n", "help: there is no command \"nothing\"\n"},
		{strings.Repeat("x", 5000) + "\n", "a line of more than 4095 bytes\n"},
		{"\x00\xff\n", "byte 1 of the line is NUL, want text with line ends of LF or CRLF\n"},
	} {
		if got := ask(t, addr, tt.send); got != tt.want {
			t.Errorf("%.40q: %q, want %q", tt.send, got, tt.want)
		}
	}
}

// A client that says nothing, or a part, or does not read, delays nobody.
func TestSlowClientsDelayNobody(t *testing.T) {
	e := &fake{cfg: config.Default(), servers: 100_000}
	addr := start(t, e)
	for i := range 9 {
		c := dial(t, addr)
		switch i % 3 {
		case 1:
			io.WriteString(c, "black")
		case 2:
			io.WriteString(c, "servers\n") // some 7 MB that it does not read
		}
	}
	for range 20 {
		if got := ask(t, addr, "blacklist\n"); got != "30\n" {
			t.Fatalf("%q", got)
		}
	}
}

// The replies are whole however long they are.
func TestLongReply(t *testing.T) {
	e := &fake{cfg: config.Default(), servers: 30_000}
	if got, want := ask(t, start(t, e), "servers\n"), stats.ServersText(e.Servers()); got != want {
		t.Errorf("%d bytes, want %d", len(got), len(want))
	}
}

func TestDeniedIsClosedInSilence(t *testing.T) {
	e := &fake{cfg: config.Default(), denied: true}
	c := dial(t, start(t, e))
	fmt.Fprintln(c, "blacklist 77")
	if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
	if e.Config().Services[0].Blacklist != 30*time.Second {
		t.Error("the command was run")
	}
}
