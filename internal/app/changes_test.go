package app

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pen/internal/names"
	"pen/internal/testenv"
)

// A silence is a DNS that hears questions and does not answer before it is told
// to give up. It hangs, as a file system may: it does not look at the context.
type silence struct {
	asked chan context.Context // of the first question
	end   chan struct{}
	once  sync.Once
}

func newSilence(t *testing.T) *silence {
	s := &silence{asked: make(chan context.Context, 1), end: make(chan struct{})}
	t.Cleanup(s.giveUp)
	return s
}

func (s *silence) giveUp() { s.once.Do(func() { close(s.end) }) }

func (s *silence) options() names.Options {
	return names.Options{Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")}, Exchange: s.exchange, Hosts: "/dev/null"}
}

func (s *silence) exchange(ctx context.Context, _, _ string, _ *dns.Msg) (*dns.Msg, error) {
	select {
	case s.asked <- ctx:
	default:
	}
	<-s.end
	return nil, errors.New("no answer")
}

// waiting starts an App and a change of it that waits for DNS. The channel gets
// the change's error.
func waiting(t *testing.T, s *silence, opt Options, args ...string) (*App, context.Context, <-chan error) {
	t.Helper()
	opt.Names = s.options()
	a, err := New(parse(t, args...), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.giveUp()
		a.Stop(0)
	})
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	changed := make(chan error, 1)
	cmd := command(t, "server 1 address www.silent.example port 80")
	go func() { changed <- a.Apply(cmd) }()
	return a, <-s.asked, changed
}

// Stop does not wait for the answer that a change waits for: it is what ends the
// wait.
func TestStopEndsTheWaitOfAChange(t *testing.T) {
	testenv.CheckLeaks(t)
	s := newSilence(t)
	a, ctx, changed := waiting(t, s, quiet(t), "127.0.0.1:0", named(t, "one"))
	go func() {
		<-ctx.Done()
		s.giveUp()
	}()
	if err := a.Stop(0); err != nil {
		t.Error(err)
	}
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("the question ended with %v, want %v", ctx.Err(), context.Canceled)
	}
	if err := <-changed; err == nil {
		t.Error("the change was made")
	}
}

// A change that hangs whatever it is told, as on a file system that is away,
// does not keep Stop from ending.
func TestStopLeavesWhatHangs(t *testing.T) {
	s, opt := newSilence(t), quiet(t)
	opt.EndTime = 20 * time.Millisecond
	a, _, changed := waiting(t, s, opt, "127.0.0.1:0", named(t, "one"))
	if err := a.Stop(0); err != nil {
		t.Error(err)
	}
	select {
	case err := <-changed:
		t.Errorf("the change does not hang: %v", err)
	default:
	}
	s.giveUp()
	if err := <-changed; err == nil {
		t.Error("the change was made after the end")
	}
}

// New waits for DNS no longer than its Context.
func TestNewIsInterrupted(t *testing.T) {
	s, opt := newSilence(t), quiet(t)
	opt.Names = s.options()
	var cancel context.CancelFunc
	opt.Context, cancel = context.WithCancel(t.Context())
	go func() {
		cause := <-s.asked
		cancel()
		<-cause.Done()
		s.giveUp()
	}()
	if _, err := New(parse(t, "127.0.0.1:0", "www.silent.example:80"), opt); err == nil {
		t.Error("New went on")
	}
}

// Connections are timed out, drained and reported while a change waits.
func TestTimersGoOnWhileAChangeWaits(t *testing.T) {
	testenv.CheckLeaks(t)
	s := newSilence(t)
	one := named(t, "one")
	a, _, changed := waiting(t, s, quiet(t), "-O", "idle_timeout 50ms",
		"-O", "service old", "-O", "service old server 0 address 127.0.0.1 port "+portOf(one), "-O", "service old max_age 50ms", "-O", "service old listen 127.0.0.1:0",
		"127.0.0.1:0", one)
	old := a.cfg.Load().services["old"]
	idle, aged := connect(t, a.Addr()), connect(t, old.addresses()[0])
	for what, c := range map[string]io.Reader{"idle_timeout": idle, "max_age": aged} {
		if b, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s does not end the connection while a change waits: %q", what, b)
		}
	}
	if got := a.Services(); len(got) != 2 {
		t.Errorf("%d services, want 2", len(got))
	}
	select {
	case err := <-changed:
		t.Errorf("the change did not wait: %v", err)
	default:
	}
}

// Nobody writes into these pipes or reads from them. To open one must not wait
// for that.
func TestPipesDoNotHang(t *testing.T) {
	testenv.CheckLeaks(t)
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	a := start(t, "127.0.0.1:0", named(t, "one"))
	if _, err := a.Plan(fifo); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("plan: %v", err)
	}
	if _, err := a.Include("", fifo); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("include: %v", err)
	}
	if err := a.Apply(command(t, "log "+fifo)); err == nil || !strings.Contains(err.Error(), "nobody reads") {
		t.Errorf("log: %v", err)
	}
	for _, setting := range []string{"geoip_db " + fifo, "ssl " + fifo} {
		if err := a.Apply(command(t, setting)); err == nil {
			t.Errorf("%s: no error", setting)
		}
	}
	run(t, a, "table_file "+fifo, "no table_file")
	if got := visit(t, a.Addr()); got != "one" {
		t.Errorf("answer %q", got)
	}
}

// A step of the clean-up that hangs is left behind, and the others are taken.
func TestCleanupLeavesWhatHangs(t *testing.T) {
	var c cleanups
	var taken []string
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	c.addSlow("first", time.Minute, func() error { taken = append(taken, "first"); return nil })
	c.addSlow("slow", time.Minute, func() error { taken = append(taken, "slow"); return nil })
	c.add("hangs", func() error { <-end; return nil })
	late, err := c.run(quiet(t).Log, time.Millisecond)
	if late == nil || !strings.Contains(late.Error(), "stop hangs") || err != nil {
		t.Errorf("%v, %v, want an error that says what hangs", late, err)
	}
	if strings.Join(taken, " ") != "slow first" {
		t.Errorf("taken: %v", taken)
	}
}
