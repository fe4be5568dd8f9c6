package health

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pen/internal/check"
)

func spec(t testing.TB, text string) check.Spec {
	t.Helper()
	s, err := check.ParseSpec(strings.Fields(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// server is the n-th server's address.
func server(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), 80)
}

func aTarget(t testing.TB, n int, text string, services ...string) Target {
	t.Helper()
	w := Target{Key: Key{Addr: server(n), Spec: spec(t, text)}}
	for _, s := range services {
		w.Subscribers = append(w.Subscribers, Subscriber{s, fmt.Sprint("server", n)})
	}
	return w
}

func outcome(v check.Verdict) Outcome {
	return Outcome{Result: check.Result{Verdict: v, Reason: "as the test says", Duration: time.Millisecond}}
}

// A book is what a logger writes to.
type book struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// A lab is a Monitor in a bubble of synctest, whose servers are what probe says.
// Its clock is ahead of the bubble's by skew: time in which nothing runs.
type lab struct {
	*Monitor
	logs book

	mu      sync.Mutex // guards all below
	skew    time.Duration
	changes []string
	reports []check.Report
}

func newLab(probe Prober, parallel int) *lab {
	l := &lab{}
	l.Monitor = New(Options{
		Log:   slog.New(slog.NewTextHandler(&l.logs, nil)),
		Probe: probe, Parallel: parallel,
		Now: func() time.Time {
			l.mu.Lock()
			defer l.mu.Unlock()
			return time.Now().Add(l.skew)
		},
		OnChange: func(k Key, s check.State) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.changes = append(l.changes, fmt.Sprint(k.Addr.Addr().As4()[3], " ", s))
		},
		OnReport: func(_ Key, r check.Report) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.reports = append(l.reports, r)
		},
	})
	return l
}

// freeze is a pause of the process: the clock goes on and nothing happens.
func (l *lab) freeze(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.skew += d
}

// during lets time pass and then returns the changes.
func (l *lab) during(d time.Duration) string {
	time.Sleep(d) // in the bubble
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	got := strings.Join(l.changes, ", ")
	l.changes = nil
	return got
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestRiseAndFall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		const script = "+---++-+----"
		l := newLab(func(_ context.Context, _ Target) Outcome {
			n++
			if n > len(script) || script[n-1] == '+' {
				return outcome(check.Passed)
			}
			return outcome(check.Failed)
		}, 0)
		defer l.Close()
		l.Set([]Target{aTarget(t, 1, "tcp interval 1 jitter 0 rise 2 fall 3", "web")})
		want(t, "first second", l.during(time.Second), "1 up")
		want(t, "three failures", l.during(3*time.Second), "1 down")
		want(t, "two good ones", l.during(2*time.Second), "1 up")
		want(t, "one failure", l.during(4*time.Second), "")
		want(t, "three", l.during(time.Second), "1 down")
		s := l.States()[0]
		if s.State != check.Down || s.Checks != 11 || s.Failures != 7 || s.Transitions != 4 || s.Reason != "as the test says" || s.Duration != time.Millisecond {
			t.Errorf("status %+v", s)
		}
		if since := time.Since(s.Since); since < 0 || since > time.Second || s.Checked != s.Since {
			t.Errorf("down since %v, checked %v", s.Since, s.Checked)
		}
		if got, ok := l.Status(s.Key); got.State != check.Down || !ok {
			t.Errorf("state %v, %t", got.State, ok)
		}
		for _, part := range []string{
			"level=WARN msg=\"server check: down\" services=web servers=server1 address=10.0.0.1:80 check=tcp reason=\"as the test says\" duration=1ms\n",
			"level=INFO msg=\"server check: up\"",
		} {
			if strings.Count(l.logs.String(), part) != 2 {
				t.Errorf("not twice in the log: %s\n%s", part, &l.logs)
			}
		}
	})
}

// Whoever is there before and after goes on; whoever goes is waited for.
func TestSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checks, brokenOff := map[Key]int{}, 0
		var mu sync.Mutex
		l := newLab(func(ctx context.Context, w Target) Outcome {
			mu.Lock()
			checks[w.Key]++
			mu.Unlock()
			if w.Addr == server(2) {
				<-ctx.Done()
				time.Sleep(time.Second)
				brokenOff++
			}
			return outcome(check.Failed)
		}, 0)
		defer l.Close()
		kept := aTarget(t, 1, "tcp jitter 0", "a", "b")
		stuck := aTarget(t, 2, "tcp", "a")
		again := aTarget(t, 1, "tcp jitter 0", "c")
		otherCheck := aTarget(t, 1, "tls start up", "a")
		l.Set([]Target{kept, stuck, again, otherCheck})
		if got := l.during(3 * time.Second); got != "1 down" {
			t.Errorf("changes %q", got)
		}
		states := l.States()
		if len(states) != 3 || states[0].services() != "a,b,c" || states[0].Checks != 2 && states[0].Checks != 1 {
			t.Fatalf("states: %+v", states)
		}
		l.Set([]Target{aTarget(t, 3, "tcp"), kept})
		if brokenOff != 1 {
			t.Error("Set did not wait for the check of a target that is gone")
		}
		after := l.States()
		if len(after) != 2 || after[1].services() != "a,b" || after[1].State != check.Down || after[1].Checks < states[0].Checks {
			t.Errorf("states: %+v", after)
		}
		ofStuck := func() int {
			mu.Lock()
			defer mu.Unlock()
			return checks[stuck.Key]
		}
		before := ofStuck()
		l.during(10 * time.Second)
		if ofStuck() != before {
			t.Error("a target that is gone is still checked")
		}
		if _, ok := l.Status(stuck.Key); ok {
			t.Error("a target that is gone has a state")
		}
		l.Close()
		l.Set([]Target{stuck})
		if l.during(time.Minute); ofStuck() != before {
			t.Error("checked after Close")
		}
	})
}

// Many targets, room for few: no more than those at once, everybody has a turn,
// and nobody is late for it.
func TestParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		busy, most := 0, 0
		l := newLab(func(context.Context, Target) Outcome {
			mu.Lock()
			busy++
			most = max(most, busy)
			mu.Unlock()
			time.Sleep(100 * time.Millisecond)
			mu.Lock()
			busy--
			mu.Unlock()
			return outcome(check.Passed)
		}, 8)
		defer l.Close()
		var all []Target
		for i := range 400 {
			all = append(all, aTarget(t, i, "tcp interval 1 timeout 200ms")) // 5 s of work each second
		}
		l.Set(all)
		l.during(20 * time.Second)
		least := ^uint64(0)
		for _, s := range l.States() {
			least = min(least, s.Checks)
			if s.Ignored+s.Failures > 0 {
				t.Fatalf("%+v", s)
			}
		}
		if most != 8 || least < 2 {
			t.Errorf("%d at once, %d checks of one", most, least)
		}
	})
}

// The first checks are spread over the interval.
func TestPhase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(func(context.Context, Target) Outcome { return outcome(check.Passed) }, 0)
		defer l.Close()
		var all []Target
		for i := range 1000 {
			all = append(all, aTarget(t, i, "tcp interval 10"))
		}
		l.Set(all)
		checked := func() (n int) {
			for _, s := range l.States() {
				n += int(s.Checks)
			}
			return n
		}
		l.during(time.Second)
		if n := checked(); n < 20 || n > 300 {
			t.Errorf("%d of 1000 checked in a tenth of the interval", n)
		}
		l.during(9 * time.Second)
		if n := checked(); n < 1000 {
			t.Errorf("%d of 1000 checked in the interval", n)
		}
	})
}

// Of a server that flaps some lines are left out and counted, and the last word
// is right.
func TestFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		l := newLab(func(context.Context, Target) Outcome {
			if n++; n <= 101 && n%2 == 1 {
				return outcome(check.Failed)
			}
			return outcome(check.Passed)
		}, 0)
		defer l.Close()
		l.Set([]Target{aTarget(t, 1, "tcp interval 100ms rise 1 fall 1 jitter 0")})
		changes := l.during(10 * time.Minute)
		if n := strings.Count(changes, "1 "); n != 102 {
			t.Errorf("%d changes", n)
		}
		lines := strings.Split(strings.TrimSpace(l.logs.String()), "\n")
		last := lines[len(lines)-1]
		if len(lines) != journalLines+1 || !strings.Contains(last, "left_out=96") || !strings.Contains(last, `"server check: up"`) {
			t.Errorf("%d lines, the last %s", len(lines), last)
		}
	})
}

func TestDryRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		report := check.Report{State: check.Down, Weight: -1, MaxConn: -1}
		l := newLab(func(context.Context, Target) Outcome {
			o := outcome(check.Failed)
			o.Report = &report
			return o
		}, 0)
		defer l.Close()
		l.Set([]Target{aTarget(t, 1, "agent port 1 dry_run")})
		want(t, "changes", l.during(time.Minute), "")
		if s := l.States()[0]; s.State != check.Down || *s.Report != report || len(l.reports) > 0 || !strings.Contains(l.logs.String(), "dry_run=true") {
			t.Errorf("%+v; told %v; log %s", s, l.reports, &l.logs)
		}
	})
}

// An agent's words count, its silence does not; only what is new is told.
func TestAgentReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := []string{"75%", "75%", "up 75%", "", "", "down", "down", "50%", "up"}
		var reports []check.Report
		n := 0
		l := newLab(func(context.Context, Target) Outcome {
			line := lines[min(n, len(lines)-1)]
			n++
			if line == "" {
				return outcome(check.Silent)
			}
			r, err := check.ParseAgent(line)
			if err != nil {
				t.Error(err)
			}
			return Outcome{Result: result(check.Spec{}, &r, "", nil), Report: &r}
		}, 0)
		defer l.Close()
		l.Set([]Target{aTarget(t, 1, "agent port 1 interval 1 jitter 0")})
		want(t, "changes", l.during(20*time.Second), "1 up, 1 down, 1 up")
		for _, line := range []string{"75%", "up 75%", "down", "50%", "up"} {
			r, _ := check.ParseAgent(line)
			reports = append(reports, r)
		}
		if !slices.Equal(l.reports, reports) {
			t.Errorf("reports %v, want %v", l.reports, reports)
		}
	})
}

// The calls for one key are in order and never at once, also when they are
// slow, and other keys do not wait for them.
func TestCallsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		busy, calls, last := map[Key]bool{}, map[Key]int{}, map[Key]check.State{}
		failed := map[Key]bool{}
		m := New(Options{
			Log: slog.New(slog.DiscardHandler),
			Probe: func(_ context.Context, w Target) Outcome {
				mu.Lock()
				defer mu.Unlock()
				failed[w.Key] = !failed[w.Key]
				if failed[w.Key] {
					return outcome(check.Failed)
				}
				return outcome(check.Passed)
			},
			OnChange: func(k Key, s check.State) {
				mu.Lock()
				if busy[k] || last[k] == s {
					t.Errorf("%v: told of %v after %v, busy %t", k.Addr, s, last[k], busy[k])
				}
				busy[k], last[k] = true, s
				calls[k]++
				mu.Unlock()
				if k.Addr == server(1) {
					time.Sleep(10 * time.Second)
				}
				mu.Lock()
				busy[k] = false
				mu.Unlock()
			},
		})
		one, two := aTarget(t, 1, "tcp interval 100ms rise 1 fall 1"), aTarget(t, 2, "tcp interval 100ms rise 1 fall 1")
		m.Set([]Target{one, two})
		time.Sleep(time.Minute)
		m.Close()
		if calls[one.Key] < 5 || calls[one.Key] > 7 || calls[two.Key] < 500 {
			t.Errorf("%d and %d calls", calls[one.Key], calls[two.Key])
		}
	})
}

// Ten thousand targets cost neither goroutines nor much memory.
func TestManyTargets(t *testing.T) {
	const n, each = 10_000, 2 << 10
	m := New(Options{Log: slog.New(slog.DiscardHandler), Probe: func(context.Context, Target) Outcome { return outcome(check.Passed) }})
	defer m.Close()
	all := make([]Target, n)
	for i := range all {
		all[i] = aTarget(t, i, "http /health interval 1h")
	}
	before, goroutines := heapInUse(), runtime.NumGoroutine()
	m.Set(all)
	if used := int(heapInUse() - before); used > n*each {
		t.Errorf("%d targets take %d bytes each, want at most %d", n, used/n, each)
	}
	if g := runtime.NumGoroutine() - goroutines; g > defaultParallel+1 {
		t.Errorf("%d more goroutines", g)
	}
	runtime.KeepAlive(all)
}

func heapInUse() int64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// Each check that passes is told while the server is up, and no other.
func TestOnPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const script = "+--++++"
		n := 0
		var passed []int // numbers of checks
		m := New(Options{
			Log: slog.New(slog.DiscardHandler),
			Probe: func(context.Context, Target) Outcome {
				n++
				if n <= len(script) && script[n-1] == '-' {
					return outcome(check.Failed)
				}
				return outcome(check.Passed)
			},
			OnPass: func(Key) { passed = append(passed, n) },
		})
		m.Set([]Target{aTarget(t, 1, "tcp interval 1 jitter 0% rise 2 fall 2")})
		time.Sleep(time.Minute)
		synctest.Wait()
		m.Close()
		if len(passed) < 4 || !slices.Equal(passed[:4], []int{1, 5, 6, 7}) {
			t.Errorf("told of the checks %v", passed)
		}
	})
}
