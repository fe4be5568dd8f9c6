package pool

import (
	"math"
	"testing"
	"time"
)

// Who comes back starts slowly, and nobody else.
func TestWhoWarms(t *testing.T) {
	const now = 60 * sec
	set := func(admin Admin) Settings {
		s := Settings{Servers: farm(2), Algorithm: LeastConn, Blacklist: 10 * sec, SlowStart: 10 * sec}
		s.Servers[0].Admin = admin
		return s
	}
	for _, tt := range []struct {
		name    string
		happens func(p *Pool)
		want    bool
	}{
		{"nothing", func(*Pool) {}, false},
		{"first found up", func(p *Pool) { p.SetHealth(0, HealthUp, now) }, false},
		{"down and up", func(p *Pool) { p.SetHealth(0, HealthDown, now); p.SetHealth(0, HealthUp, now) }, true},
		{"down and up by its agent", func(p *Pool) { p.SetAgent(0, Agent{Down: true}, now); p.SetAgent(0, Agent{Weight: -1}, now) }, true},
		{"enabled again", func(p *Pool) { p.Configure(set(Disabled), now); p.Configure(set(Enabled), now) }, true},
		{"drained and back", func(p *Pool) { p.Configure(set(Draining), now); p.Configure(set(Enabled), now) }, true},
		{"up while disabled", func(p *Pool) {
			p.Configure(set(Disabled), now)
			p.SetHealth(0, HealthDown, now)
			p.SetHealth(0, HealthUp, now)
			p.Configure(set(Disabled), now)
		}, false},
		{"configured again", func(p *Pool) { p.Configure(set(Enabled), now) }, false},
		{"a success after a failure", func(p *Pool) { p.Fail(p.At(0), 0); p.Succeed(p.At(0), now) }, true},
		{"a success without one", func(p *Pool) { p.Succeed(p.At(0), now) }, false},
		{"a success after the blacklist", func(p *Pool) { p.Blacklist(p.At(0), 5*sec, 0); p.Succeed(p.At(0), now) }, true},
		{"taken back", func(p *Pool) { p.Blacklist(p.At(0), 5*sec, now); p.Blacklist(p.At(0), 0, now) }, false},
	} {
		p := New()
		p.Configure(set(Enabled), 0)
		tt.happens(p)
		st := p.AppendStatus(nil)
		if got := st[0].Share == 0.1; got != tt.want || st[1].Share != 1 {
			t.Errorf("%s: %v with a share of %v", tt.name, st[0].State, st[0].Share)
		}
		if tt.want && st[0].State != StateWarming {
			t.Errorf("%s: state %q", tt.name, st[0].State)
		}
	}
}

func TestSlowStart(t *testing.T) {
	p := New()
	set := Settings{Servers: weighted(10, 10), Algorithm: Random, SlowStart: 10 * sec}
	p.Configure(set, 0)
	p.Seed(1, 2)
	p.SetHealth(0, HealthDown, 0)
	p.SetHealth(0, HealthUp, 100*sec)
	for _, tt := range []struct {
		at    time.Duration
		share float64 // of its weight
	}{{100 * sec, 0.1}, {101 * sec, 0.19}, {105 * sec, 0.55}, {109 * sec, 0.91}, {110 * sec, 1}, {1000 * sec, 1}} {
		p.Tick(tt.at)
		if got := p.AppendStatus(nil)[0].Share; got != 10*tt.share {
			t.Errorf("at %v: share %v, want %v", tt.at, got, 10*tt.share)
		}
		const n = 10_000
		got := 0
		for range n {
			if p.Pick(client, tt.at) == 0 {
				got++
			}
		}
		part := tt.share / (1 + tt.share)
		if math.Abs(float64(got)-n*part) > 4*math.Sqrt(n*part*(1-part)) {
			t.Errorf("at %v: chosen %d times of %d, want %.0f", tt.at, got, n, n*part)
		}
	}
	if len(p.warming) != 0 {
		t.Errorf("%d servers are still looked at", len(p.warming))
	}

	// One that goes again starts over; without slow start nobody is slow.
	p.SetHealth(0, HealthDown, 1000*sec)
	p.SetHealth(0, HealthUp, 1000*sec)
	p.Tick(1005 * sec)
	p.SetHealth(0, HealthDown, 1005*sec)
	p.SetHealth(0, HealthUp, 1006*sec)
	if got := p.AppendStatus(nil)[0].Share; got != 1 || len(p.warming) != 1 {
		t.Errorf("started over with a share of %v, %d times", got, len(p.warming))
	}
	set.SlowStart = 0
	p.Configure(set, 1006*sec)
	if got := p.AppendStatus(nil)[0].Share; got != 10 || len(p.warming) != 0 {
		t.Errorf("without slow start: share %v", got)
	}
}

// A tick ends times away too, so that a Status is right while nobody comes.
func TestTickExpires(t *testing.T) {
	p := newPool(RoundRobin, farm(2))
	p.Fail(p.At(0), 0)
	p.Tick(29 * sec)
	if st := p.AppendStatus(nil)[0]; st.State != StateBlacklisted || st.Until != 30*sec {
		t.Errorf("%v until %v", st.State, st.Until)
	}
	p.Tick(30 * sec)
	if st := p.AppendStatus(nil)[0]; st.State != StateTrial || st.Until != 0 {
		t.Errorf("%v until %v", st.State, st.Until)
	}
}
