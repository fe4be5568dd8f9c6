package dispatch

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pen/internal/pool"
)

// In no window do more events conform than the rate and its burst allow, and
// none is refused that a full bucket would allow.
func TestRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(0.2, 50).Draw(t, "rate")
		var g gcra
		var passed []time.Duration
		now := time.Duration(0)
		for range rapid.IntRange(1, 200).Draw(t, "events") {
			now += time.Duration(rapid.IntRange(0, 300).Draw(t, "ms")) * time.Millisecond
			wait := g.early(rate, now)
			if wait > 0 {
				if g.early(rate, now+wait-1) == 0 || g.early(rate, now+wait) > 0 {
					t.Fatalf("%v is not the time to wait", wait)
				}
				if len(passed) == 0 {
					t.Fatal("the first event does not conform")
				}
				continue
			}
			g.count(rate, now)
			passed = append(passed, now)
			burst := max(1, rate)
			for i, from := range passed {
				if n := float64(len(passed) - i); n > burst+rate*(now-from).Seconds()+1e-6 {
					t.Fatalf("%v events in %v at %v a second", n, now-from, rate)
				}
			}
		}
	})
}

func TestBurst(t *testing.T) {
	for _, tt := range []struct {
		rate float64
		want int
	}{{0.1, 1}, {1, 1}, {1.5, 1}, {2, 2}, {10, 10}, {1e-30, 1}} {
		var g gcra
		n := 0
		for g.early(tt.rate, time.Hour) == 0 {
			g.count(tt.rate, time.Hour)
			n++
		}
		if n != tt.want {
			t.Errorf("rate %v: %d at once, want %d", tt.rate, n, tt.want)
		}
	}
	var g gcra
	for range 100 {
		if g.count(0, 0); g.early(0, 0) != 0 {
			t.Fatal("rate 0 is a limit")
		}
	}
}

// open admits a client whose flow stays; it reports the server offered, or the
// error.
func open(t *testing.T, d *Dispatcher, client netip.AddrPort) (*Flow, int, error) {
	t.Helper()
	f, err := d.Admit(client, &carrier{})
	if err != nil {
		return nil, 0, err
	}
	target, ok := f.Next()
	if !ok {
		t.Fatal("no server")
	}
	f.Up()
	return f, target.Slot, nil
}

// The ladder, rung by rung, for every limit.
func TestLadder(t *testing.T) {
	for _, tt := range []struct {
		name   string
		limits Limits
		why    Refusal
		others bool // other clients are refused as well
		timed  bool // and time is all that it takes
	}{
		{"client connections", Limits{ClientConns: 2}, ClientConns, false, false},
		{"client rate", Limits{ClientRate: 2}, ClientRate, false, true},
		{"connections", Limits{Conns: 2}, ConnsLimit, true, false},
		{"rate", Limits{Rate: 2}, RateLimit, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clk := &clock{}
			cfg := config(1)
			cfg.Limits = tt.limits
			d := New(cfg, clk.now)
			a, _, _ := open(t, d, from(1))
			b, _, _ := open(t, d, from(1))
			if _, _, err := open(t, d, from(1)); !errors.Is(err, ErrLimited) {
				t.Fatalf("third: %v", err)
			}
			f, _, err := open(t, d, from(2))
			if (err != nil) != tt.others {
				t.Errorf("another client: %v", err)
			}
			if f != nil {
				f.Done(ByClient)
			}
			refused := uint64(1)
			if tt.others {
				refused++
			}
			var want [Refusals]uint64
			want[tt.why] = refused
			if got := d.Status().Refused; got != want {
				t.Errorf("refused %v, want %v", got, want)
			}

			cfg.Pool.Abuse = server("192.0.2.8:1")
			d.Configure(cfg)
			c, slot, err := open(t, d, from(1))
			if err != nil || slot != abuse || d.Status().Events[Diverted] != 1 {
				t.Errorf("with an abuse server: slot %d, %v", slot, err)
			}
			c.Done(ByClient)

			cfg.Limits.Delay = time.Second
			d.Configure(cfg)
			f, err = d.Admit(from(1), &carrier{})
			if err != nil {
				t.Fatal(err)
			}
			target, ok := f.Next()
			if held := !ok && f.Wait(func() {}); held != tt.timed {
				t.Errorf("held: %v, slot %d", held, target.Slot)
			}
			f.Done(ByClient)

			a.Done(ByClient)
			b.Done(ByClient)
			clk.t = 5 * time.Second
			f, slot, err = open(t, d, from(1))
			if err != nil || slot != 0 {
				t.Errorf("afterwards: slot %d, %v", slot, err)
			}
			f.Done(ByClient)
			checkNothingCounted(t, d)
		})
	}
}

func checkNothingCounted(t *testing.T, d *Dispatcher) {
	t.Helper()
	n := 0
	for i := range d.limits.clients.all {
		n += int(d.limits.clients.all[i].live)
	}
	if n != 0 || d.limits.conns != 0 || d.pending.Load() != 0 || d.queue.n != 0 || d.limits.delayed.n != 0 || d.queue.first != nil || d.queue.last != nil {
		t.Errorf("left: clients' %d, service's %d, pending %d, queued %d, held %d", n, d.limits.conns, d.pending.Load(), d.queue.n, d.limits.delayed.n)
	}
}

// Those that come too early are let on one by one, at the rate.
func TestHeldFlowsGoOnAtTheRate(t *testing.T) {
	clk := &clock{}
	cfg := config(1)
	cfg.Limits = Limits{ClientRate: 1, Delay: 2 * time.Second}
	d := New(cfg, clk.now)
	var flows []*Flow
	var woken []int
	for i := range 3 {
		f, err := d.Admit(from(1), &carrier{})
		if err != nil {
			t.Fatal(err)
		}
		flows = append(flows, f)
		if _, ok := f.Next(); ok != (i == 0) {
			t.Fatalf("flow %d goes on at once: %v", i, ok)
		}
		if i > 0 && !f.Wait(func() { woken = append(woken, i) }) {
			t.Fatalf("flow %d is not held", i)
		}
	}
	if _, err := d.Admit(from(1), &carrier{}); !errors.Is(err, ErrLimited) {
		t.Errorf("one that would have to wait for too long: %v", err)
	}
	for _, step := range []struct {
		at   time.Duration
		want []int
	}{{999 * time.Millisecond, nil}, {time.Second, []int{1}}, {2 * time.Second, []int{1, 2}}} {
		clk.t = step.at
		d.Tick()
		wantSlots(t, step.at.String(), woken, step.want...)
	}
	for _, f := range flows[1:] {
		if _, ok := f.Next(); !ok {
			t.Error("it does not go on")
		}
	}
	for _, f := range flows {
		f.Done(ByClient)
	}
	if d.Waiting() == nil {
		t.Error("somebody waits")
	}
	checkNothingCounted(t, d)
}

func TestHeldFlowsAreBounded(t *testing.T) {
	cfg := config(1)
	cfg.ConnMax = 10 * maxDelayed
	cfg.Limits = Limits{Rate: 1, Delay: 24 * time.Hour}
	d := New(cfg, (&clock{}).now)
	refused := 0
	for i := range maxDelayed + 10 {
		f, err := d.Admit(from(i), &carrier{})
		if err != nil {
			refused++
			continue
		}
		f.Next()
	}
	if refused != 9 || d.limits.delayed.n != maxDelayed { // the first one was in time
		t.Errorf("%d refused, %d held", refused, d.limits.delayed.n)
	}
}

func TestServerRate(t *testing.T) {
	clk := &clock{}
	cfg := config(2)
	cfg.NoTracking = true
	cfg.Limits.ServerRate = 1
	cfg.Pool.Emergency = []pool.Config{server("192.0.2.9:1")}
	d := New(cfg, clk.now)
	wantSlots(t, "the first", visit(t, d, from(1)), 0)
	wantSlots(t, "the second", visit(t, d, from(1)), 1)
	wantSlots(t, "both over their rate", visit(t, d, from(1)), emergency)
	wantSlots(t, "no limit there", visit(t, d, from(1)), emergency)
	clk.t = time.Second
	wantSlots(t, "later", visit(t, d, from(1)), 0)
}

// Clients of one network share an entry of the client table, and a limit; a
// change of that holds for live flows as well.
func TestPrefix(t *testing.T) {
	for _, tt := range []struct {
		p4, p6 int
		a, b   string
		same   bool
	}{
		{0, 0, "192.0.2.1:1", "192.0.2.1:2", true},
		{0, 0, "192.0.2.1:1", "192.0.2.2:1", false},
		{24, 0, "192.0.2.1:1", "192.0.2.2:1", true},
		{24, 0, "192.0.2.1:1", "192.0.3.1:1", false},
		{24, 0, "[::ffff:192.0.2.1]:1", "192.0.2.2:1", true},
		{24, 0, "[2001:db8::1]:1", "[2001:db8::2]:1", false},
		{0, 64, "[2001:db8::1]:1", "[2001:db8::2]:1", true},
		{0, 64, "[2001:db8:0:1::1]:1", "[2001:db8::2]:1", false},
		{32, 128, "192.0.2.1:1", "192.0.2.2:1", false},
	} {
		cfg := config(1)
		cfg.Prefix4, cfg.Prefix6, cfg.Limits.ClientConns = tt.p4, tt.p6, 1
		d := New(cfg, (&clock{}).now)
		a, b := netip.MustParseAddrPort(tt.a), netip.MustParseAddrPort(tt.b)
		f, _, _ := open(t, d, a)
		g, _, err := open(t, d, b)
		if (err != nil) != tt.same {
			t.Errorf("%+v: %v", tt, err)
		}
		if n := len(d.Clients()); n != 1 && tt.same {
			t.Errorf("%+v: %d clients", tt, n)
		}
		if c := d.Status().Flows[0].Client; c < 0 {
			t.Errorf("%+v: the flow has no client", tt)
		}
		cfg.Prefix4, cfg.Prefix6 = 8, 16
		d.Configure(cfg)
		if _, _, err := open(t, d, b); err == nil && a.Addr().Unmap().Is4() == b.Addr().Is4() {
			t.Errorf("%+v: live flows do not count after the change", tt)
		}
		f.Done(ByClient)
		if g != nil {
			g.Done(ByClient)
		}
		if _, err := d.Admit(b, &carrier{}); err != nil {
			t.Errorf("%+v: at the end: %v", tt, err)
		}
	}
}

// Against a map that forgets nothing.
func TestTallies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ts usages
		live := map[int][]int32{}
		now := time.Duration(0)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			c := rapid.IntRange(1, 8).Draw(t, "client")
			switch rapid.IntRange(0, 2).Draw(t, "do") {
			case 0:
				i := ts.count(from(c).Addr())
				ts.all[i].rate = gcra(now + 3)
				live[c] = append(live[c], i)
			case 1:
				if n := len(live[c]); n > 0 {
					ts.uncount(live[c][n-1])
					live[c] = live[c][:n-1]
				}
			case 2:
				now += time.Duration(rapid.IntRange(0, 3).Draw(t, "time"))
				ts.prune(now)
			}
			idle, known := 0, 0
			for c := 1; c <= 8; c++ {
				got := ts.of(from(c).Addr())
				if int(got.live) != len(live[c]) {
					t.Fatalf("client %d has %d flows, want %d", c, got.live, len(live[c]))
				}
				if got.key != [16]byte{} {
					known++
					if got.live == 0 {
						idle++
					}
				}
			}
			if idle != ts.idle || known != len(ts.index) || known+len(ts.free)+1 != max(1, len(ts.all)) {
				t.Fatalf("%d idle, %d known, want %d and %d", ts.idle, len(ts.index), idle, known)
			}
		}
	})
}

func TestTalliesAreBounded(t *testing.T) {
	var ts usages
	for i := range 2 * maxIdle {
		n := ts.count(from(i).Addr())
		ts.all[n].rate = gcra(time.Hour)
		ts.prune(0)
		ts.uncount(n)
	}
	if ts.idle != maxIdle || len(ts.all) > maxIdle+2 {
		t.Errorf("%d idle of %d", ts.idle, len(ts.all))
	}
	if ts.of(from(maxIdle-1).Addr()).rate != 0 || ts.of(from(maxIdle).Addr()).rate == 0 {
		t.Error("it was not the oldest that went")
	}
	for range maxIdle {
		ts.prune(2 * time.Hour)
	}
	if ts.idle != 0 {
		t.Errorf("%d are remembered for no reason", ts.idle)
	}
}

func TestLimitsDoNotAllocate(t *testing.T) {
	cfg := config(10)
	cfg.Limits = Limits{ClientConns: 10, ClientRate: 1e6, Conns: 100, Rate: 1e6, ServerRate: 1e6}
	cfg.Prefix4, cfg.Queue = 24, 10
	clk := &clock{}
	d := New(cfg, clk.now)
	c := &carrier{}
	if n := testing.AllocsPerRun(1000, func() {
		clk.t += time.Millisecond
		admitDone(d, from(1), c)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
