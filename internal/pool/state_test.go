package pool

import (
	"net/netip"
	"testing"
	"time"
)

const sec = time.Second

// Each reason for which a server takes nobody, alone and all at once: its
// verdict, its state, and whether a panic lifts it.
func TestStates(t *testing.T) {
	const now = 60 * sec
	for _, tt := range []struct {
		name    string
		happens func(p *Pool, set *Settings)
		want    Verdict
		state   State
		panics  bool // it is lifted
	}{
		{"nothing", func(*Pool, *Settings) {}, Admitted, StateUp, false},
		{"disabled", func(_ *Pool, s *Settings) { s.Servers[0].Admin = Disabled }, IsDisabled, StateDisabled, false},
		{"draining", func(_ *Pool, s *Settings) { s.Servers[0].Admin = Draining }, IsDraining, StateDraining, false},
		{"disabled by the agent", func(p *Pool, _ *Settings) { p.SetAgent(0, Agent{Weight: -1, Admin: Disabled}, now) }, IsDisabled, StateDisabled, false},
		{"drained by the agent", func(p *Pool, _ *Settings) { p.SetAgent(0, Agent{Weight: -1, Admin: Draining}, now) }, IsDraining, StateDraining, false},
		{"agent and operator: the stricter one", func(p *Pool, s *Settings) {
			p.SetAgent(0, Agent{Weight: -1, Admin: Draining}, now)
			s.Servers[0].Admin = Disabled
		}, IsDisabled, StateDisabled, false},
		{"health is unknown", func(p *Pool, _ *Settings) { p.SetHealth(0, HealthUnknown, now) }, Admitted, StateUp, false},
		{"down", func(p *Pool, _ *Settings) { p.SetHealth(0, HealthDown, now) }, CheckedDown, StateDown, true},
		{"down by the agent", func(p *Pool, _ *Settings) { p.SetAgent(0, Agent{Weight: -1, Down: true}, now) }, AgentDown, StateAgentDown, true},
		{"blacklisted", func(p *Pool, _ *Settings) { p.Blacklist(p.At(0), sec, now) }, Blacklisted, StateBlacklisted, false},
		{"ejected", func(p *Pool, _ *Settings) { p.Fail(p.At(0), now) }, Ejected, StateEjected, true},
		{"on trial", func(p *Pool, _ *Settings) {
			p.Fail(p.At(0), 0)
			p.Tick(now)
			p.Take(p.At(0))
		}, OnTrial, StateTrial, true},
		{"all of it", func(p *Pool, s *Settings) {
			p.SetHealth(0, HealthDown, now)
			p.SetAgent(0, Agent{Down: true, Admin: Draining}, now)
			p.Fail(p.At(0), now)
			p.Blacklist(p.At(0), sec, now)
			s.Servers[0].Admin = Disabled
		}, IsDisabled, StateDisabled, false},
	} {
		for _, panics := range []int{0, 100} {
			p, s := New(), Settings{Servers: farm(2), Blacklist: 30 * sec, Outlier: Outlier{Failures: 1}, Panic: panics}
			s.Algorithm, s.Servers[0].Weight, s.Servers[1].Prio = Prio, 1, 9
			p.Configure(s, 0)
			tt.happens(p, &s)
			p.Configure(s, now)
			want, lifted := tt.want, panics > 0 && tt.panics
			if lifted {
				want = Admitted
			}
			for _, returning := range []bool{false, true} {
				if got := p.Admit(p.At(0), returning, now); got != want {
					t.Errorf("%s, panic %d, returning %v: %v, want %v", tt.name, panics, returning, got, want)
				}
			}
			if got := p.Pick(client, now) == 0; got != (want == Admitted) || p.Panicking() != lifted {
				t.Errorf("%s, panic %d: chosen: %v; panicking: %v", tt.name, panics, got, p.Panicking())
			}
			if got := p.AppendStatus(nil)[0].State; got != tt.state {
				t.Errorf("%s, panic %d: state %q, want %q", tt.name, panics, got, tt.state)
			}
		}
	}
}

func TestVerdictsHaveNames(t *testing.T) {
	seen := map[string]Verdict{}
	for v := Admitted; v <= OnTrial; v++ {
		if other, ok := seen[v.String()]; ok || v.String() == "" {
			t.Errorf("%d and %d are both %q", v, other, v)
		}
		seen[v.String()] = v
	}
}

// A server of weight 0 is for returning clients, where the algorithm weighs.
func TestWeightZero(t *testing.T) {
	for a := range Algorithm(Algorithms) {
		for _, tt := range []struct {
			weight, agent int
			zero          bool
		}{{0, -1, true}, {1, 0, true}, {1, -1, false}, {1, 1, false}, {1, 5000, false}} {
			p := newPool(a, weighted(tt.weight))
			p.SetAgent(0, Agent{Weight: tt.agent}, 0)
			want := Admitted
			if tt.zero && a != RoundRobin && a != Hash && a != HashPort && a != Prio {
				want = NoNewClients
			}
			if got := p.Admit(p.At(0), false, 0); got != want {
				t.Errorf("%s, weight %d, agent %d: %v, want %v", algorithmNames[a], tt.weight, tt.agent, got, want)
			}
			if got := p.Admit(p.At(0), true, 0); got != Admitted {
				t.Errorf("%s, weight %d, agent %d, returning: %v", algorithmNames[a], tt.weight, tt.agent, got)
			}
		}
	}
}

func TestAgentWeight(t *testing.T) {
	p := newPool(SmoothRoundRobin, weighted(10, 10))
	p.SetAgent(0, Agent{Weight: 30}, 0)
	var got [2]int
	for range 1300 {
		got[p.Pick(client, 0)]++
	}
	if got != [2]int{300, 1000} {
		t.Errorf("30 %% of the weight: %v", got)
	}
	if st := p.AppendStatus(nil)[0]; st.Share != 3 || st.Weight != 10 {
		t.Errorf("share %v of weight %d", st.Share, st.Weight)
	}
}

// Health is set of the servers that have no place in the table as well.
func TestSetHealthOfOthers(t *testing.T) {
	p := New()
	c := Config{Addr: netip.MustParseAddrPort("192.0.2.1:80")}
	p.Configure(Settings{Servers: farm(1), Emergency: []Config{c}, Panic: 100}, 0)
	if !p.SetHealth(EmergencySlot, HealthDown, 0) || p.SetHealth(AbuseSlot, HealthDown, 0) || p.SetHealth(1, HealthUp, 0) || p.SetAgent(None, Agent{}, 0) {
		t.Error("it is not told which servers there are")
	}
	if got := p.Admit(p.Emergency(0), false, 0); got != CheckedDown {
		t.Errorf("the emergency server: %v", got)
	}
	if p.Panicking() {
		t.Error("the emergency server made the others panic")
	}
}

// A new address is a new server: only what flows still hold is kept.
func TestNewAddressIsForgotten(t *testing.T) {
	p := New()
	set := Settings{Servers: farm(3), Blacklist: 30 * sec, SlowStart: 10 * sec, Outlier: Outlier{Max: 300 * sec}}
	p.Configure(set, 0)
	for slot := range 3 {
		s := p.At(slot)
		p.Take(s)
		p.Take(s)
		p.Release(s, 5, 7)
		p.Observe(s, sec, 0)
		p.SetAgent(slot, Agent{Weight: 50, Down: true}, 0)
		p.SetHealth(slot, HealthDown, 0)
		p.SetHealth(slot, HealthUp, 0)
		p.EarlyEnd(s, witness(1), 0)
		p.Fail(s, 0)
	}
	set.Servers = farm(3)
	set.Servers[0].Addr = netip.MustParseAddrPort("192.0.2.99:80")
	set.Servers[1].Path = "/run/server"
	set.Servers[2].Weight = 5 // no other server
	p.Configure(set, 0)
	for i, s := range p.AppendStatus(nil) {
		if s.Conns != 1 || s.Sent != 5 || s.Received != 7 {
			t.Errorf("server %d lost its counts: %+v", i, s)
		}
		known := s.Failed || s.State != StateUp || s.Health != HealthUnknown || s.Agent.Weight != -1 || s.Failures+s.Resets+s.Ejections != 0 || s.ConnectTime != 0
		if known != (i == 2) {
			t.Errorf("server %d: what was learnt is kept: %v: %+v", i, known, s)
		}
	}
}

func TestPanic(t *testing.T) {
	p := New()
	p.Configure(Settings{Servers: farm(4), Panic: 50}, 0)
	down := func(slots ...int) {
		for slot := range 4 {
			p.SetHealth(slot, HealthUp, 0)
		}
		for _, slot := range slots {
			p.SetHealth(slot, HealthDown, 0)
		}
	}
	for _, tt := range []struct {
		down   []int
		panics bool
	}{{nil, false}, {[]int{0}, false}, {[]int{0, 1}, false}, {[]int{0, 1, 2}, true}, {[]int{0, 1, 2, 3}, true}, {[]int{2}, false}} {
		down(tt.down...)
		if p.Panicking() != tt.panics {
			t.Errorf("%v down: panicking: %v", tt.down, p.Panicking())
		}
		want := 4 - len(tt.down)
		if tt.panics {
			want = 4
		}
		seen := map[int]bool{}
		for range 8 {
			seen[p.Pick(client, 0)] = true
		}
		if len(seen) != want {
			t.Errorf("%v down: chose %v", tt.down, seen)
		}
	}

	// Servers that are not enabled do not count.
	set := Settings{Servers: farm(4), Panic: 50}
	set.Servers[2].Admin, set.Servers[3].Admin = Disabled, Draining
	p.Configure(set, 0)
	down(0)
	if p.Panicking() {
		t.Error("one of two enabled servers is down: panic")
	}
	p.Blacklist(p.At(1), 10*sec, 0)
	if !p.Panicking() || p.Pick(client, 0) != 0 {
		t.Error("the only server that is left is down: no panic")
	}
	if got := p.Admit(p.At(1), true, 0); got != Blacklisted {
		t.Errorf("in a panic, a server that the operator blacklisted: %v", got)
	}
	if p.Pick(client, 10*sec); p.Panicking() != true {
		t.Error("a server on trial is taken for well")
	}
	if p.Take(p.At(0)) {
		t.Error("a trial in a panic")
	}
	p.Succeed(p.At(1), 10*sec)
	if p.Panicking() {
		t.Error("panic although one of two is well")
	}
}
