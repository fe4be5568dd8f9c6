package dispatch

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whoever does as it is told moves the bytes of the rate, no more but a burst
// and a piece, and not less.
func TestBandwidth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clk := &clock{}
		cfg := config(1)
		rate := int64(1) << rapid.IntRange(5, 32).Draw(t, "rate")
		if rapid.Bool().Draw(t, "of the service") {
			cfg.Limits.Bandwidth = rate
		} else {
			cfg.Limits.ConnBandwidth = rate
		}
		d := New(cfg, clk.now)
		f, _ := d.Admit(from(1), &carrier{})
		target, _ := f.Next()
		if target.Meter == nil || target.MaxRead < leastRead || target.MaxRead > mostRead {
			t.Fatalf("reads of %d", target.MaxRead)
		}
		moved := int64(0)
		burst := rate/burstsPerSecond + int64(target.MaxRead)
		for i := range rapid.IntRange(1, 300).Draw(t, "pieces") {
			n := target.MaxRead - rapid.IntRange(0, target.MaxRead-1).Draw(t, "less")
			moved += int64(n)
			if may := burst + int64(float64(rate)*clk.t.Seconds()) + int64(i+1)*(1+rate/1e9); moved > may {
				t.Fatalf("%d bytes in %v, %d are allowed", moved, clk.t, may)
			}
			clk.t += target.Meter.Charge(n)
		}
		if least := int64(float64(rate) * clk.t.Seconds() * 0.999); moved < least-1 {
			t.Fatalf("%d bytes in %v, want %d", moved, clk.t, least)
		}
	})
}

func TestBandwidthIsShared(t *testing.T) {
	clk := &clock{}
	cfg := config(1)
	cfg.Limits = Limits{Bandwidth: 1 << 20, ConnBandwidth: 1 << 18}
	d := New(cfg, clk.now)
	spend := func(client int) func(int) time.Duration {
		f, _ := d.Admit(from(client), &carrier{})
		target, _ := f.Next()
		return target.Meter.Charge
	}
	a, b := spend(1), spend(2)
	if wait := a(1 << 18); wait != 900*time.Millisecond { // less its burst
		t.Errorf("the flow's own limit: %v", wait)
	}
	if wait := b(1 << 10); wait < 100*time.Millisecond || wait > 200*time.Millisecond {
		t.Errorf("the service's limit: %v", wait)
	}
	cfg.Limits = Limits{}
	d.Configure(cfg)
	if wait := a(1 << 30); wait != 0 {
		t.Errorf("without a limit: %v", wait)
	}
	f, _ := d.Admit(from(3), &carrier{})
	if target, _ := f.Next(); target.Meter != nil {
		t.Error("a limit of nothing")
	}
}

func TestPausedIsNotIdle(t *testing.T) {
	clk := &clock{}
	cfg := config(1)
	cfg.IdleTimeout = 10 * time.Second
	cfg.Limits.ConnBandwidth = 1 << 10
	d := New(cfg, clk.now)
	c := &carrier{}
	f, _ := d.Admit(from(1), c)
	target, _ := f.Next()
	f.Up()
	wait := target.Meter.Charge(1 << 20)
	if wait < time.Minute {
		t.Fatalf("wait %v", wait)
	}
	for _, step := range []struct {
		at   time.Duration
		idle bool
	}{{wait, false}, {wait + 9*time.Second, false}, {wait + 10*time.Second, true}} {
		clk.t = step.at
		d.Sweep()
		if c.killed != step.idle {
			t.Errorf("after %v: ended %v", step.at, c.killed)
		}
	}
}

func TestEarlyEnd(t *testing.T) {
	for _, tt := range []struct {
		name    string
		after   time.Duration
		traffic Traffic
		ending  Ending
		early   bool
	}{
		{"the server ends", 0, Traffic{ServerEOF: true}, ByServer, true},
		{"the server resets", 0, Traffic{}, ByServerReset, true},
		{"and the client then ends as well", 0, Traffic{ServerEOF: true, ClientEOF: true}, ByServer, true},
		{"the server ends and the client resets", 0, Traffic{ServerEOF: true}, ByClientReset, true},
		{"and the client then ends, before a reset", 0, Traffic{ServerEOF: true, ClientEOF: true}, ByServerReset, true},
		{"the client has spoken", 0, Traffic{FromClient: 9, ServerEOF: true}, ByServer, true},
		{"the client was first", 0, Traffic{ServerEOF: true, ClientEOF: true}, ByClient, false},
		{"the client was first, then a reset", 0, Traffic{ClientEOF: true}, ByServerReset, false},
		{"the client resets", 0, Traffic{}, ByClientReset, false},
		{"nobody ends", 0, Traffic{}, ByKill, false},
		{"the server has answered", 0, Traffic{FromServer: 1}, ByServerReset, false},
		{"late", time.Second, Traffic{}, ByServerReset, false},
	} {
		for _, within := range []time.Duration{0, time.Second} {
			clk := &clock{}
			cfg := config(1)
			cfg.EarlyEnd = within
			d := New(cfg, clk.now)
			c := &carrier{}
			f, _ := d.Admit(from(1), c)
			f.Next()
			f.Up()
			clk.t += tt.after
			c.moved = tt.traffic
			f.Done(tt.ending)
			want := uint64(0)
			if tt.early && within > 0 {
				want = 1
			}
			if got := d.Status().Events[EarlyEnd]; got != want {
				t.Errorf("%s, within %v: %d", tt.name, within, got)
			}
		}
	}
}
