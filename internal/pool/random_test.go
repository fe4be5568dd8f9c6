package pool

import (
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// randomSettings are those of the algorithm, with few or many servers.
func randomSettings(t *rapid.T, a Algorithm) Settings {
	draw := func(name string, low, high int) int { return rapid.IntRange(low, high).Draw(t, name) }
	n := draw("servers", 0, 130)
	if n > 8 && draw("many", 0, 3) > 0 {
		n %= 8
	}
	set := Settings{
		Algorithm: a, Blacklist: time.Duration(draw("blacklist", 0, 6)), Panic: 25 * draw("panic", 0, 4),
		SlowStart: time.Duration(draw("slow start", 0, 20)),
		Bound:     float64(draw("bound", 0, 3)) / 2,
		Outlier: Outlier{
			Failures: draw("failures", 0, 3), Resets: draw("resets", 0, 2),
			Max: time.Duration(draw("max", 0, 30)), Share: 25 * draw("share", 0, 4),
		},
		Servers: servers(n, func(i int, c *Config) {
			c.Addr = netip.AddrPortFrom(c.Addr.Addr(), uint16(1000+i))
			if draw("moved", 0, 9) == 0 {
				c.Addr = netip.AddrPortFrom(c.Addr.Addr(), uint16(2000+i))
			}
			c.Weight, c.Prio, c.Max = draw("weight", 0, 3), draw("prio", 0, 3), draw("max", 0, 4)
			if draw("gap", 0, 5) == 0 {
				*c = Config{}
			}
			if draw("not enabled", 0, 5) == 0 {
				c.Admin = Admin(draw("admin", 1, 2))
			}
		}),
	}
	if draw("emergency", 0, 1) == 1 {
		set.Emergency = farm(1)
	}
	if a == Maglev {
		set.Maglev = newMaglev(set.Servers, 251) // made in no time
	}
	return set
}

// Whatever happens, the Pool knows the same servers as usable as the model and
// makes the model's choices, and a clone does as well.
func TestAgainstModel(t *testing.T) {
	for a := range Algorithm(Algorithms) {
		t.Run(algorithmNames[a], func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { againstModel(t, a) })
		})
	}
}

func againstModel(t *rapid.T, a Algorithm) {
	draw := func(name string, low, high int) int { return rapid.IntRange(low, high).Draw(t, name) }
	p, m := New(), &model{}
	p.Seed(1, uint64(draw("seed", 0, 1000)))
	configure := func() {
		set := randomSettings(t, a)
		p.Configure(set, m.now)
		m.configure(set)
	}
	configure()
	var taken []int
	watch := watcher{}
	for step := range 60 {
		before := p.Revision()
		next, changes := p.NextChange()
		m.now += time.Duration(draw("time", 0, 2))
		if p.Tick(m.now); p.Revision() != before && (!changes || m.now < next) {
			t.Fatalf("step %d: a change at %d that was not announced: %d, %v", step, m.now, next, changes)
		}
		m.tick()
		watch.compare(t, p, m)
		if p.Len() > 0 {
			slot := draw("slot", 0, p.Len()-1)
			if s := p.At(slot); s != nil {
				operate(t, p, s, m, &m.servers[slot])
			}
		}
		switch op := draw("op", 0, 11); {
		case op == 0:
			configure()
			taken = slices.DeleteFunc(taken, func(slot int) bool { return slot >= p.Len() })
		case op < 3:
			p.Tick(m.now)
			m.tick()
		case op < 6 && len(taken) > 0:
			release(p, m, taken[0])
			taken = taken[1:]
		}
		agree(t, p, m)
		watch.compare(t, p, m)
		client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(draw("client", 0, 255))}), 40000)
		want := m.pick(p, client)
		preferred, ok := p.Preferred(client)
		if got := p.Clone().Pick(client, m.now); got != want {
			t.Fatalf("step %d: a clone chose %d, want %d", step, got, want)
		}
		if got := p.Pick(client, m.now); got != want || ok && preferred != want {
			t.Fatalf("step %d: chose %d, preferred %d, want %d", step, got, preferred, want)
		}
		if want == None || p.At(want) == nil {
			continue
		}
		if a == LeastConn {
			m.servers[want].lastPick = step + 1
		}
		if p.Admit(p.At(want), false, m.now) == Admitted {
			s := &m.servers[want]
			s.conns++
			trial := s.why != notEjected && !m.panics()
			s.trial = s.trial || trial
			if p.Take(p.At(want)) != trial {
				t.Fatalf("step %d: server %d: on trial: %v", step, want, !trial)
			}
			taken = append(taken, want)
		}
		if step%8 == 0 {
			others(t, p, m, client)
		}
	}
}

// others checks that a choice without some servers is the one that would be made
// if they took nobody, and changes nothing for the next.
func others(t *rapid.T, p *Pool, m *model, client netip.AddrPort) {
	var not []int
	for slot := range m.servers {
		if rapid.IntRange(0, 2).Draw(t, "left out") == 0 {
			not = append(not, slot)
		}
	}
	before := p.Clone()
	slot := before.PickOther(client, not, m.now)
	if slices.Contains(not, slot) {
		t.Fatalf("chose %d, which is one of %v", slot, not)
	}
	if before.Len() > 0 && before.algorithm.Spreads() {
		for i := range m.servers {
			if slot == None && !slices.Contains(not, i) && before.open.has(i) {
				t.Fatalf("chose nobody, and not %d", i)
			}
			if before.open.has(i) != p.open.has(i) || before.available.has(i) != p.available.has(i) || before.weights.total() != p.weights.total() {
				t.Fatalf("server %d: a choice without %v changed the next ones", i, not)
			}
		}
	}
}

func release(p *Pool, m *model, slot int) {
	s := &m.servers[slot]
	if s.conns--; s.conns == 0 {
		s.trial = false
	}
	p.Release(p.servers[slot], 1, 2)
}

// operate has something happen to a server.
func operate(t *rapid.T, p *Pool, s *Server, m *model, ms *modelServer) {
	draw := func(name string, low, high int) int { return rapid.IntRange(low, high).Draw(t, name) }
	wasOut := m.out(ms)
	switch draw("happens", 0, 13) {
	case 0, 1:
		if got, want := p.Fail(s, m.now), m.fail(ms); got != want {
			t.Fatalf("Fail: %v, want %v", got, want)
		}
	case 2:
		p.Succeed(s, m.now)
		m.succeed(ms)
	case 3:
		who := witness(draw("client", 0, 4))
		if got, want := p.EarlyEnd(s, who, m.now), m.earlyEnd(ms, who); got != want {
			t.Fatalf("EarlyEnd: %v, want %v", got, want)
		}
	case 4:
		p.WentWell(s)
		ms.resets, ms.resetsOf = 0, nil
	case 5:
		d := time.Duration(draw("for", 0, 9))
		p.Blacklist(s, d, m.now)
		ms.why, ms.trial, ms.well, ms.failures, ms.resets, ms.ejections = notEjected, false, m.now, 0, 0, 0
		ms.attempts, ms.attemptsOf, ms.resetsOf = 0, nil, nil
		if d > 0 {
			ms.why, ms.since = byOperator, m.now+d-m.set.Blacklist
		}
	case 6:
		ms.health = Health(draw("health", 0, 2))
		p.SetHealth(s.Slot, ms.health, m.now)
	case 7:
		ms.agent = Agent{Weight: draw("agent", -1, 3) * 50, Down: draw("agent down", 0, 5) == 0, Admin: Admin(max(0, draw("agent admin", -5, 2)))}
		p.SetAgent(s.Slot, ms.agent, m.now)
	case 8:
		p.AbandonTrial(s)
		ms.trial = false
	case 9:
		d := time.Duration(draw("connect time", 1, 1000)) * time.Millisecond
		p.Observe(s, d, m.now)
		if !ms.measured {
			ms.average = float64(d)
		} else {
			part := max(0.1, 1-math.Exp2(-float64(m.now-ms.measuredAt)/1e10))
			ms.average = ms.average*(1-part) + float64(d)*part
		}
		ms.measured, ms.measuredAt = true, m.now
	case 10:
		p.CheckPassed(s.Slot, m.now)
		m.checkPassed(ms)
	case 11, 12:
		who := witness(draw("client", 0, 4))
		if got, want := p.FailAttempt(s, who, m.now), m.failAttempt(ms, who); got != want {
			t.Fatalf("FailAttempt: %v, want %v", got, want)
		}
	}
	if wasOut && !m.out(ms) {
		m.startWarming(ms)
	}
}

// witness is one of a few clients.
func witness(n int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}) }

// A watcher looks at what planes may know of servers: where that has changed, there
// must be a new revision.
type watcher struct {
	revision uint64
	outlooks []seenServer
}

type seenServer struct {
	addr     netip.AddrPort
	max      int
	usable   bool
	share    uint64
	halfOpen bool
}

func (w *watcher) compare(t *rapid.T, p *Pool, m *model) {
	t.Helper()
	seen, panics := make([]seenServer, len(m.servers)), m.panics()
	for i := range m.servers {
		s := &m.servers[i]
		seen[i] = seenServer{s.Addr, s.Max, p.available.has(i), m.share(s), s.why != notEjected && !panics}
	}
	if p.Revision() == w.revision && !slices.Equal(seen, w.outlooks) {
		t.Fatalf("revision %d: servers changed from\n%+v to\n%+v", w.revision, w.outlooks, seen)
	}
	*w = watcher{p.Revision(), seen}
}

// agree compares what is known of every server.
func agree(t *rapid.T, p *Pool, m *model) {
	t.Helper()
	if p.Panicking() != m.panics() {
		t.Fatalf("panics: %v, want %v", p.Panicking(), m.panics())
	}
	for i, s := range p.AppendStatus(nil) {
		ms := &m.servers[i]
		if got, want := p.available.has(i), m.usable(ms); got != want {
			t.Fatalf("at %d: server %d usable: %v, want %v; it is %s", m.now, i, got, want, s.State)
		}
		if got, want := p.open.has(i), m.chosen(ms); got != want {
			t.Fatalf("server %d may be chosen: %v, want %v", i, got, want)
		}
		if s.Conns != ms.conns || s.Failures != ms.failures || s.Attempts != ms.attempts || s.Resets != ms.resets || s.Ejections != ms.ejections {
			t.Fatalf("server %d: %+v, want %+v", i, s, *ms)
		}
		if s.Used() && s.Share != float64(m.share(ms))/10000 {
			t.Fatalf("server %d has a share of %v, want %v", i, s.Share, float64(m.share(ms))/10000)
		}
	}
}
