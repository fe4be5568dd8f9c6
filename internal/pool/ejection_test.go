package pool

import (
	"net/netip"
	"testing"
	"time"
)

func outlierPool(n int, o Outlier) *Pool {
	p := New()
	p.Configure(Settings{Servers: farm(n), Blacklist: 10 * sec, Outlier: o}, 0)
	return p
}

// earlyEnds counts connections that a server ended at once, of Witnesses clients in
// turn, and reports whether the last one had it ejected.
func earlyEnds(p *Pool, s *Server, n int, now time.Duration) (ejected bool) {
	for i := range n {
		if ejected {
			return false
		}
		ejected = p.EarlyEnd(s, witness(i%Witnesses), now)
	}
	return ejected
}

func TestFailuresInARow(t *testing.T) {
	p := outlierPool(2, Outlier{Failures: 3})
	s := p.At(0)
	twice := func() (ejected bool) {
		first := p.Fail(s, 0)
		return p.Fail(s, 0) || first
	}
	if twice() || p.Admit(s, false, 0) != Admitted {
		t.Error("ejected before the third failure")
	}
	if st := p.AppendStatus(nil)[0]; !st.Failed || st.Failures != 2 {
		t.Errorf("failures are not told: %+v", st)
	}
	p.Succeed(s, 0)
	if twice() {
		t.Error("a success did not interrupt the row")
	}
	if !p.Fail(s, 1*sec) || p.Admit(s, false, 10*sec) != Ejected {
		t.Error("not ejected by the third failure in a row")
	}
	if st := p.AppendStatus(nil)[0]; st.State != StateEjected || st.Until != 11*sec {
		t.Errorf("%v until %v", st.State, st.Until)
	}
	if !p.Fail(s, 11*sec) {
		t.Error("a failed trial must eject at once")
	}
}

func TestResetsInARow(t *testing.T) {
	p := outlierPool(2, Outlier{})
	if earlyEnds(p, p.At(0), 10, 0) {
		t.Fatal("resets are not looked at, but eject")
	}
	p = outlierPool(2, Outlier{Resets: 4})
	s := p.At(0)
	if earlyEnds(p, s, 3, 0) {
		t.Error("three are not four")
	}
	p.WentWell(s)
	if !earlyEnds(p, s, 4, 0) {
		t.Error("four in a row must eject, and only those")
	}
	// That connects succeed was never in doubt.
	p.Succeed(s, 1*sec)
	if got := p.Admit(s, false, 9*sec); got != Ejected {
		t.Errorf("a success ended it early: %v", got)
	}
	p.Take(s)
	p.Succeed(s, 10*sec)
	if !p.EarlyEnd(s, witness(0), 10*sec) {
		t.Error("the next one must eject again: the row was not interrupted")
	}
}

// The time away doubles to its bound; after a time without a failure that is
// as long it is half as long again.
func TestTimeAway(t *testing.T) {
	p := outlierPool(2, Outlier{Max: 35 * sec})
	s := p.At(0)
	now := time.Duration(0)
	fail := func(well, want time.Duration) {
		t.Helper()
		now += well
		if !p.Fail(s, now) {
			t.Fatal("not ejected")
		}
		got := p.AppendStatus(nil)[0].Until - now
		if got != want {
			t.Fatalf("away for %v, want %v", got, want)
		}
		now += got
	}
	fail(0, 10*sec)
	fail(0, 20*sec)
	fail(0, 35*sec)
	fail(0, 35*sec)
	p.Succeed(s, now)
	fail(34*sec, 35*sec)
	p.Succeed(s, now)
	fail(35*sec, 35*sec) // a step less, and this one
	p.Succeed(s, now)
	fail(35*sec+20*sec, 20*sec)
	p.Succeed(s, now)
	fail(1000*sec, 10*sec)

	p = outlierPool(2, Outlier{}) // no doubling
	s, now = p.At(0), 0
	fail(0, 10*sec)
	fail(0, 10*sec)
}

// A connect that was under way when another one failed restarts the time, and
// does not double it.
func TestFailedMeanwhile(t *testing.T) {
	p := outlierPool(2, Outlier{Max: 100 * sec})
	s := p.At(0)
	p.Fail(s, 0)
	if p.Fail(s, 5*sec) {
		t.Error("reported twice")
	}
	if st := p.AppendStatus(nil)[0]; st.Until != 15*sec || st.Ejections != 1 {
		t.Errorf("%d ejections, until %v", st.Ejections, st.Until)
	}
	p.Succeed(s, 6*sec) // and one that succeeds knows better
	if got := p.Admit(s, false, 6*sec); got != Admitted {
		t.Error(got)
	}
	// The operator's word is not theirs to change.
	p.Blacklist(s, 60*sec, 10*sec)
	p.Fail(s, 11*sec)
	p.Succeed(s, 12*sec)
	if st := p.AppendStatus(nil)[0]; st.Until != 70*sec || st.State != StateBlacklisted || !st.Failed {
		t.Errorf("%+v", st)
	}
}

func TestEjectionShare(t *testing.T) {
	for _, tt := range []struct{ n, share, want int }{
		{10, 0, 9}, {10, 100, 9}, {10, 50, 5}, {10, 39, 3}, {10, 1, 1}, {2, 10, 1}, {3, 50, 1}, {3, 67, 2},
	} {
		p := outlierPool(tt.n, Outlier{Share: tt.share})
		ejected := 0
		for slot := range tt.n {
			if p.Fail(p.At(slot), 0) {
				ejected++
			}
			if !p.AppendStatus(nil)[slot].Failed {
				t.Errorf("a failure of %d was not counted", slot)
			}
		}
		if ejected != tt.want {
			t.Errorf("%d %% of %d: %d ejected, want %d", tt.share, tt.n, ejected, tt.want)
		}
		// When one is back, there is room for the next.
		p.Succeed(p.At(0), 0)
		if !p.Fail(p.At(tt.n-1), 0) {
			t.Errorf("%d %% of %d: no room after one came back", tt.share, tt.n)
		}
	}
}

func TestTrial(t *testing.T) {
	type step struct {
		do   string
		want Verdict // for another flow, afterwards
	}
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"it succeeds", []step{{"take", OnTrial}, {"succeed", Admitted}, {"take", Admitted}}},
		{"it fails", []step{{"take", OnTrial}, {"fail", Ejected}}},
		{"it ends without an outcome", []step{{"take", OnTrial}, {"release", Admitted}, {"take", OnTrial}}},
		{"its flow gives up while older ones live", []step{{"older", Admitted}, {"take", OnTrial}, {"forgo", Admitted}, {"take", OnTrial}}},
		{"an older flow ends", []step{{"older", Admitted}, {"older", Admitted}, {"take", OnTrial}, {"release", OnTrial}, {"succeed", Admitted}}},
		{"the operator takes it back", []step{{"take", OnTrial}, {"take back", Admitted}, {"take", Admitted}}},
	} {
		p := outlierPool(2, Outlier{Failures: 1})
		s := p.At(0)
		for _, step := range tt.steps {
			if step.do == "older" {
				p.Take(s)
			}
		}
		p.Fail(s, 0)
		const now = 10 * sec
		if got := p.Admit(s, false, now); got != Admitted || !p.HalfOpen(s) {
			t.Errorf("%s: %v before the trial", tt.name, got)
		}
		p.expire(now)
		for i, step := range tt.steps {
			switch step.do {
			case "take":
				if got := p.Take(s); got != (step.want == OnTrial) {
					t.Errorf("%s: %d: on trial: %v", tt.name, i, got)
				}
			case "succeed":
				p.Succeed(s, now)
			case "fail":
				p.Fail(s, now)
			case "release":
				p.Release(s, 0, 0)
			case "forgo":
				p.Release(s, 0, 0)
				p.AbandonTrial(s)
			case "take back":
				p.Blacklist(s, 0, now)
			}
			if got := p.Admit(s, true, now); got != step.want {
				t.Errorf("%s: %d, after %s: %v, want %v", tt.name, i, step.do, got, step.want)
			}
			// Pick and Next go by the same.
			seen := p.Next(0, now) == 0
			one, other := p.Pick(client, now), p.Pick(client, now) // in turn
			seen = seen && (one == 0 || other == 0)
			if seen != (step.want == Admitted) {
				t.Errorf("%s: %d, after %s: chosen: %v", tt.name, i, step.do, seen)
			}
		}
	}
}

// Without a time for it nobody is left alone, and nobody is tried.
func TestNoBlacklistTime(t *testing.T) {
	p := New()
	p.Configure(Settings{Servers: farm(2), Outlier: Outlier{Resets: 1}}, 0)
	s := p.At(0)
	if p.Fail(s, 0) || earlyEnds(p, s, Witnesses, 0) || p.Take(s) || p.Admit(s, false, 0) != Admitted {
		t.Error("a server was left alone")
	}
	p = outlierPool(2, Outlier{})
	s = p.At(0)
	p.Fail(s, 0)
	p.Configure(Settings{Servers: farm(2)}, 0)
	if p.HalfOpen(s) || p.Admit(s, false, 0) != Admitted {
		t.Error("a server is still left alone after the time was set to 0")
	}
}

// What one client may have caused ejects nobody; what many see in a row does.
func TestWitnesses(t *testing.T) {
	v6 := func(s string) netip.Addr { return netip.MustParseAddr(s) }
	for _, tt := range []struct {
		name    string
		clients []netip.Addr
		ejects  bool
	}{
		{"one client", []netip.Addr{witness(1), witness(1), witness(1), witness(1), witness(1)}, false},
		{"two clients", []netip.Addr{witness(1), witness(2), witness(1), witness(2), witness(2)}, false},
		{"three clients", []netip.Addr{witness(1), witness(2), witness(2), witness(1), witness(3)}, true},
		{"one network of IPv6", []netip.Addr{v6("2001:db8::1"), v6("2001:db8::2"), v6("2001:db8::3"), v6("2001:db8:0:0:ff::")}, false},
		{"three networks of IPv6", []netip.Addr{v6("2001:db8::1"), v6("2001:db8:0:1::2"), v6("2001:db8:0:2::3")}, true},
		{"clients without an address", make([]netip.Addr, 9), false},
	} {
		for kind, happens := range map[string]func(p *Pool, s *Server, c netip.Addr) bool{
			"failed attempts": func(p *Pool, s *Server, c netip.Addr) bool { return p.FailAttempt(s, c, 0) },
			"early ends":      func(p *Pool, s *Server, c netip.Addr) bool { return p.EarlyEnd(s, c, 0) },
		} {
			for _, between := range []bool{false, true} {
				p := outlierPool(2, Outlier{Resets: 1})
				s := p.At(0)
				ejected := false
				for i, c := range tt.clients {
					if between && i == len(tt.clients)-1 {
						p.Succeed(s, 0)
						p.WentWell(s)
					}
					ejected = happens(p, s, c)
				}
				if want := tt.ejects && !between; ejected != want || (p.Admit(s, false, 0) == Ejected) != want {
					t.Errorf("%s of %s, success between: %v: ejected: %v", kind, tt.name, between, ejected)
				}
			}
		}
	}
}

// The last server that clients may use stays, whatever is said of it.
func TestLastServerIsNotEjected(t *testing.T) {
	fails := map[string]func(p *Pool, s *Server) bool{
		"failed connects": func(p *Pool, s *Server) bool { return p.Fail(s, 0) },
		"failed attempts": func(p *Pool, s *Server) bool {
			ejected := false
			for i := range 2 * Witnesses {
				ejected = p.FailAttempt(s, witness(i), 0) || ejected
			}
			return ejected
		},
		"early ends": func(p *Pool, s *Server) bool { return earlyEnds(p, s, 9, 0) },
	}
	for name, fail := range fails {
		for what, change := range map[string]func(p *Pool, s *Settings){
			"alone":               func(_ *Pool, s *Settings) { s.Servers = s.Servers[:1] },
			"the other is down":   func(p *Pool, _ *Settings) { p.SetHealth(1, HealthDown, 0) },
			"the other drains":    func(_ *Pool, s *Settings) { s.Servers[1].Admin = Draining },
			"the other failed":    func(p *Pool, _ *Settings) { p.Fail(p.At(1), 0) },
			"the other has gone":  func(_ *Pool, s *Settings) { s.Servers[1] = Config{} },
			"the other weighs 0":  func(_ *Pool, s *Settings) { s.Algorithm, s.Servers[1].Weight = LeastConn, 0 },
			"the other is banned": func(p *Pool, _ *Settings) { p.Blacklist(p.At(1), 10*sec, 0) },
		} {
			p := outlierPool(2, Outlier{Resets: 1})
			set := Settings{Servers: farm(2), Blacklist: 10 * sec, Outlier: Outlier{Resets: 1}}
			set.Servers[0].Weight = 1
			change(p, &set)
			p.Configure(set, 0)
			if fail(p, p.At(0)) || p.Admit(p.At(0), false, 0) != Admitted {
				t.Errorf("%s, %s: it is ejected", name, what)
			}
			set.Emergency = farm(1)
			p.Configure(set, 0)
			if got, want := fail(p, p.At(0)), name == "failed connects"; got != want {
				t.Errorf("%s, %s, with an emergency server: ejected: %v", name, what, got)
			}
		}
	}
	p := New()
	p.Configure(Settings{Servers: farm(2), Emergency: farm(1), Abuse: farm(1)[0], Blacklist: 10 * sec}, 0)
	if p.Fail(p.Emergency(0), 0) || p.Fail(p.Abuse(), 0) {
		t.Error("the emergency or the abuse server is ejected")
	}
}

// A check that passes ends what failed connects began, and nothing else.
func TestCheckPassed(t *testing.T) {
	p := outlierPool(3, Outlier{Resets: 1})
	if p.CheckPassed(0, 0) {
		t.Error("nothing was wrong")
	}
	p.Fail(p.At(0), 0)
	if !p.CheckPassed(0, 1*sec) || p.Admit(p.At(0), false, 1*sec) != Admitted || p.AppendStatus(nil)[0].State != StateUp {
		t.Errorf("a server that failed: %+v", p.AppendStatus(nil)[0])
	}
	earlyEnds(p, p.At(1), Witnesses, 1*sec)
	if p.CheckPassed(1, 2*sec) || p.Admit(p.At(1), false, 2*sec) != Ejected {
		t.Error("a check does not see what the server ends for clients")
	}
	p.Blacklist(p.At(2), 9*sec, 2*sec)
	if p.CheckPassed(2, 3*sec) || p.Admit(p.At(2), false, 3*sec) != Blacklisted {
		t.Error("the operator's word is not a check's to change")
	}
	if p.CheckPassed(9, 3*sec) {
		t.Error("no such server")
	}
}
