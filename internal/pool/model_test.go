package pool

import (
	"math"
	"math/bits"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A model is the rules read literally: it keeps no index and looks at every
// server each time. What it cannot know without doing the same (the turn, the
// draws, the deadlines) it takes from the Pool before the choice.
type model struct {
	set     Settings
	servers []modelServer
	now     time.Duration
}

type modelServer struct {
	Config
	conns      int
	health     Health
	agent      Agent
	why        absence
	since      time.Duration
	trial      bool
	failures   int
	resets     int
	level      int
	well       time.Duration
	warming    bool
	warmSince  time.Duration
	warmth     int
	lastPick   int
	measured   bool
	average    float64
	measuredAt time.Duration
}

func (m *model) timeAway(level int) time.Duration {
	d := m.set.Blacklist
	for range level - 1 {
		d = max(d, min(2*d, m.set.Outlier.Max))
	}
	return d
}

func (m *model) until(s *modelServer) time.Duration {
	if s.why == commanded {
		return s.since + m.set.Blacklist
	}
	return s.since + m.timeAway(s.level)
}

func (m *model) away(s *modelServer) bool { return s.why != present && m.now < m.until(s) }

func (m *model) admin(s *modelServer) Admin { return max(s.Admin, s.agent.Admin) }

func (m *model) panics() bool {
	enabled, well := 0, 0
	for i := range m.servers {
		s := &m.servers[i]
		if !s.Used() || m.admin(s) != Enabled || s.why == commanded && m.away(s) {
			continue
		}
		enabled++
		if s.health != HealthDown && !s.agent.Down && s.why == present {
			well++
		}
	}
	return enabled > 0 && float64(well) < float64(enabled*m.set.Panic)/100
}

func (m *model) usable(s *modelServer) bool {
	switch {
	case !s.Used() || m.admin(s) != Enabled:
		return false
	case s.why == commanded && m.away(s):
		return false
	case m.panics():
		return true
	}
	return s.health != HealthDown && !s.agent.Down && !m.away(s) && !s.trial
}

func (m *model) share(s *modelServer) uint64 {
	agent := 100
	if s.agent.Weight >= 0 {
		agent = s.agent.Weight
	}
	return uint64(s.Weight * agent * s.warmth)
}

// chosen reports whether the algorithm may choose a server.
func (m *model) chosen(s *modelServer) bool {
	return m.usable(s) && (!m.set.Algorithm.weighs() || m.share(s) > 0) &&
		(m.set.Algorithm != First || s.Max == 0 || s.conns < s.Max)
}

func (m *model) mayEject() bool {
	used, ejected := 0, 0
	for _, s := range m.servers {
		if s.Used() {
			used++
			if s.why == failing || s.why == resetting {
				ejected++
			}
		}
	}
	return m.set.Outlier.Share == 0 || ejected == 0 || (ejected+1)*100 <= m.set.Outlier.Share*used
}

func (m *model) eject(s *modelServer, why absence) {
	if s.why == present {
		for well := m.now - s.well; s.level > 0 && well >= m.timeAway(s.level); s.level-- {
			well -= m.timeAway(s.level)
		}
	}
	if s.level == 0 || m.timeAway(s.level+1) != m.timeAway(s.level) {
		s.level++
	}
	s.why, s.since, s.trial = why, m.now, false
}

func (m *model) fail(s *modelServer) bool {
	s.failures++
	switch {
	case m.set.Blacklist == 0:
		s.trial = false
	case m.away(s):
		if s.why != commanded {
			s.since = m.now
		}
	case s.why != present || s.failures >= max(m.set.Outlier.Failures, 1) && m.mayEject():
		m.eject(s, failing)
		return true
	}
	return false
}

func (m *model) earlyEnd(s *modelServer) bool {
	s.resets++
	if m.set.Outlier.Resets > 0 && s.resets >= m.set.Outlier.Resets && m.set.Blacklist > 0 && s.why == present && m.mayEject() {
		m.eject(s, resetting)
		return true
	}
	return false
}

func (m *model) succeed(s *modelServer) {
	s.failures = 0
	away := m.away(s)
	if s.why == present || away && s.why != failing {
		return
	}
	s.why, s.trial, s.well = present, false, m.now
	if !away {
		m.warm(s)
	}
}

func (m *model) warm(s *modelServer) {
	if m.set.SlowStart > 0 {
		s.warming, s.warmSince, s.warmth = true, m.now, 10
	}
}

func (m *model) tick() {
	for i := range m.servers {
		if s := &m.servers[i]; s.warming {
			s.warmth = min(100, 10+int(90*float64(m.now-s.warmSince)/float64(m.set.SlowStart)))
			s.warming = s.warmth < 100
		}
	}
}

func (m *model) configure(set Settings) {
	m.set = set
	for len(m.servers) < len(set.Servers) {
		m.servers = append(m.servers, modelServer{})
	}
	m.servers = m.servers[:len(set.Servers)]
	for i, c := range set.Servers {
		s := &m.servers[i]
		same := s.Used() && s.Addr == c.Addr
		out := m.out(s)
		s.Config = c
		if !same {
			*s = modelServer{Config: c, conns: s.conns, agent: Agent{Weight: -1}, warmth: 100, lastPick: s.lastPick}
		}
		if same && out && !m.out(s) {
			m.warm(s)
		}
		if set.SlowStart == 0 {
			s.warming, s.warmth = false, 100
		}
		if set.Blacklist == 0 && (s.why == failing || s.why == resetting) {
			s.why, s.trial, s.well = present, false, m.now
		}
	}
}

func (m *model) out(s *modelServer) bool {
	return m.admin(s) != Enabled || s.health == HealthDown || s.agent.Down
}

// pick is the choice that the Pool must make next.
func (m *model) pick(p *Pool, client netip.AddrPort) int {
	n := len(m.servers)
	switch m.set.Algorithm {
	case Hash, HashPort:
		if n == 0 {
			return None
		}
		return int(hash(client, m.set.Algorithm == HashPort) % uint32(n))
	case RoundRobin:
		for k := range n {
			if i := (min(p.turn, n) + 1 + k) % n; p.turn < n && m.usable(&m.servers[i]) {
				return i
			} else if p.turn >= n && m.usable(&m.servers[k]) {
				return k
			}
		}
		return None
	case PowerOfTwo, LeastTime, Random:
		return m.drawn(p)
	case StaticHash, Maglev:
		return m.hashed(p, client)
	}
	best := None
	for i := range m.servers {
		if m.chosen(&m.servers[i]) && (best == None || m.better(p, i, best)) {
			best = i
		}
	}
	return best
}

func (m *model) better(p *Pool, i, j int) bool {
	a, b := &m.servers[i], &m.servers[j]
	ratio := func(more int) int {
		return (a.conns+more)*int(m.share(b)) - (b.conns+more)*int(m.share(a))
	}
	switch m.set.Algorithm {
	case Prio:
		return a.Prio < b.Prio
	case Weight:
		return ratio(0) < 0
	case LeastConn:
		return ratio(1) < 0 || ratio(1) == 0 && a.lastPick < b.lastPick
	case SmoothRoundRobin:
		return p.servers[i].deadline < p.servers[j].deadline
	}
	return false // First
}

// drawn uses a copy of the Pool's generator and adds up shares one by one.
func (m *model) drawn(p *Pool) int {
	rng := p.rng
	draw := func(not int) int {
		var total uint64
		share := func(i int) uint64 {
			if s := &m.servers[i]; i != not && m.chosen(s) {
				return m.share(s)
			}
			return 0
		}
		for i := range m.servers {
			total += share(i)
		}
		if total == 0 {
			return None
		}
		at, _ := bits.Mul64(rng.Uint64(), total)
		for i := range m.servers {
			if at < share(i) {
				return i
			}
			at -= share(i)
		}
		panic("beyond the total")
	}
	i := draw(None)
	if m.set.Algorithm == Random || i == None {
		return i
	}
	j := draw(i)
	if j == None {
		return i
	}
	a, b := &m.servers[i], &m.servers[j]
	load := func(s, o *modelServer, more int) int { return (s.conns + more) * int(m.share(o)) }
	less := load(b, a, 0) < load(a, b, 0)
	if m.set.Algorithm == LeastTime {
		age := func(s *modelServer) float64 { return math.Exp2(-float64(m.now-s.measuredAt) / 1e10) }
		switch {
		case a.measured && b.measured:
			less = b.average*age(b)*float64(b.conns+1)/float64(m.share(b)) < a.average*age(a)*float64(a.conns+1)/float64(m.share(a))
		case (!a.measured && a.conns == 0) != (!b.measured && b.conns == 0):
			less = !b.measured && b.conns == 0
		default:
			less = load(b, a, 1) < load(a, b, 1)
		}
	}
	if less {
		return j
	}
	return i
}

func (m *model) hashed(p *Pool, client netip.AddrPort) int {
	total, open, conns, configured := uint64(0), uint64(0), 0, uint64(0)
	for i := range m.servers {
		s := &m.servers[i]
		conns += s.conns
		if s.Used() {
			configured += uint64(s.Weight)
		}
		if m.chosen(s) {
			open++
			total += m.share(s)
		}
	}
	within := func(s *modelServer) bool {
		limit := math.Ceil(max(1, m.set.Bound) * float64(conns+1) * (float64(m.share(s)) / float64(total)))
		return m.set.Bound == 0 || float64(s.conns+1) <= limit
	}
	home := func(h uint64) int {
		if m.set.Algorithm == Maglev {
			return p.set.Maglev.at(h)
		}
		if configured == 0 {
			return None
		}
		at, _ := bits.Mul64(h, configured)
		for i := range m.servers {
			if s := &m.servers[i]; s.Used() {
				if at < uint64(s.Weight) {
					return i
				}
				at -= uint64(s.Weight)
			}
		}
		panic("beyond the total")
	}
	first := hashClient(client.Addr())
	for h, k := first, 0; k < 32 && home(h) != None; h, k = scramble(h+golden), k+1 {
		s := &m.servers[home(h)]
		if !m.chosen(s) && k == 0 && m.set.Algorithm == StaticHash || m.chosen(s) && within(s) {
			return home(h)
		}
	}
	best := None
	n := len(m.servers)
	for k := range n {
		at, _ := bits.Mul64(first, uint64(n))
		i := (int(at) + k) % n
		if m.set.Bound > 0 {
			i = k
		}
		s := &m.servers[i]
		if !m.chosen(s) {
			continue
		}
		if best == None {
			best = i
		} else if b := &m.servers[best]; m.set.Bound > 0 {
			x, y := (s.conns+1)*int(m.share(b)), (b.conns+1)*int(m.share(s))
			if x < y || x == y && s.lastPick < b.lastPick {
				best = i
			}
		}
	}
	return best
}

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
	for step := range 60 {
		m.now += time.Duration(draw("time", 0, 2))
		p.expire(m.now)
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
			trial := s.why != present && !m.panics()
			s.trial = s.trial || trial
			if p.Take(p.At(want)) != trial {
				t.Fatalf("step %d: server %d: on trial: %v", step, want, !trial)
			}
			taken = append(taken, want)
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
	switch draw("happens", 0, 10) {
	case 0, 1:
		if got, want := p.Fail(s, m.now), m.fail(ms); got != want {
			t.Fatalf("Fail: %v, want %v", got, want)
		}
	case 2:
		p.Succeed(s, m.now)
		m.succeed(ms)
	case 3:
		if got, want := p.EarlyEnd(s, m.now), m.earlyEnd(ms); got != want {
			t.Fatalf("EarlyEnd: %v, want %v", got, want)
		}
	case 4:
		p.WentWell(s)
		ms.resets = 0
	case 5:
		d := time.Duration(draw("for", 0, 9))
		p.Blacklist(s, d, m.now)
		ms.why, ms.trial, ms.well, ms.failures, ms.resets, ms.level = present, false, m.now, 0, 0, 0
		if d > 0 {
			ms.why, ms.since = commanded, m.now+d-m.set.Blacklist
		}
	case 6:
		ms.health = Health(draw("health", 0, 2))
		p.SetHealth(s.Slot, ms.health, m.now)
	case 7:
		ms.agent = Agent{Weight: draw("agent", -1, 3) * 50, Down: draw("agent down", 0, 5) == 0, Admin: Admin(max(0, draw("agent admin", -5, 2)))}
		p.SetAgent(s.Slot, ms.agent, m.now)
	case 8:
		p.Forgo(s)
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
	}
	if wasOut && !m.out(ms) {
		m.warm(ms)
	}
}

// agree compares what is known of every server.
func agree(t *rapid.T, p *Pool, m *model) {
	t.Helper()
	if p.Panicking() != m.panics() {
		t.Fatalf("panics: %v, want %v", p.Panicking(), m.panics())
	}
	for i, s := range p.Status() {
		ms := &m.servers[i]
		if got, want := p.available.has(i), m.usable(ms); got != want {
			t.Fatalf("at %d: server %d usable: %v, want %v; it is %s", m.now, i, got, want, s.State)
		}
		if got, want := p.open.has(i), m.chosen(ms); got != want {
			t.Fatalf("server %d may be chosen: %v, want %v", i, got, want)
		}
		if s.Conns != ms.conns || s.Failures != ms.failures || s.Resets != ms.resets || s.Ejections != ms.level {
			t.Fatalf("server %d: %+v, want %+v", i, s, *ms)
		}
		if s.Used() && s.Share != float64(m.share(ms))/10000 {
			t.Fatalf("server %d has a share of %v, want %v", i, s.Share, float64(m.share(ms))/10000)
		}
	}
}
