package pool

import (
	"math"
	"math/bits"
	"net/netip"
	"time"
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
	why        ejection
	since      time.Duration
	trial      bool
	failures   int
	attempts   int
	resets     int
	attemptsOf map[netip.Addr]bool
	resetsOf   map[netip.Addr]bool
	ejections  int
	well       time.Duration
	warming    bool
	warmSince  time.Duration
	warmth     int
	lastPick   int
	measured   bool
	average    float64
	measuredAt time.Duration
}

func (m *model) ejectionTime(level int) time.Duration {
	d := m.set.Blacklist
	for range level - 1 {
		d = max(d, min(2*d, m.set.Outlier.Max))
	}
	return d
}

func (m *model) until(s *modelServer) time.Duration {
	if s.why == byOperator {
		return s.since + m.set.Blacklist
	}
	return s.since + m.ejectionTime(s.ejections)
}

func (m *model) shunned(s *modelServer) bool { return s.why != notEjected && m.now < m.until(s) }

func (m *model) admin(s *modelServer) Admin { return max(s.Admin, s.agent.Admin) }

func (m *model) panics() bool {
	enabled, well := 0, 0
	for i := range m.servers {
		s := &m.servers[i]
		if !s.Used() || m.admin(s) != Enabled || s.why == byOperator && m.shunned(s) {
			continue
		}
		enabled++
		if s.health != HealthDown && !s.agent.Down && s.why == notEjected {
			well++
		}
	}
	return enabled > 0 && float64(well) < float64(enabled*m.set.Panic)/100
}

func (m *model) usable(s *modelServer) bool {
	switch {
	case !s.Used() || m.admin(s) != Enabled:
		return false
	case s.why == byOperator && m.shunned(s):
		return false
	case m.panics():
		return true
	}
	return s.health != HealthDown && !s.agent.Down && !m.shunned(s) && !s.trial
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

func (m *model) mayEject(s *modelServer, last bool) bool {
	used, ejected, others := 0, 0, 0
	for i := range m.servers {
		other := &m.servers[i]
		enabled := other.Used() && m.admin(other) == Enabled && other.health != HealthDown && !other.agent.Down
		if other != s && enabled && other.why == notEjected && (!m.set.Algorithm.weighs() || m.share(other) > 0) {
			others++
		}
	}
	if others == 0 && !last {
		return false
	}
	for _, s := range m.servers {
		if s.Used() {
			used++
			if s.why == byConnects || s.why == byResets {
				ejected++
			}
		}
	}
	return m.set.Outlier.Share == 0 || ejected == 0 || (ejected+1)*100 <= m.set.Outlier.Share*used
}

func (m *model) eject(s *modelServer, why ejection) {
	if s.why == notEjected {
		for well := m.now - s.well; s.ejections > 0 && well >= m.ejectionTime(s.ejections); s.ejections-- {
			well -= m.ejectionTime(s.ejections)
		}
	}
	if s.ejections == 0 || m.ejectionTime(s.ejections+1) != m.ejectionTime(s.ejections) {
		s.ejections++
	}
	s.why, s.since, s.trial = why, m.now, false
}

func (m *model) fail(s *modelServer) bool {
	s.failures++
	switch {
	case m.set.Blacklist == 0:
		s.trial = false
	case m.shunned(s):
		if s.why != byOperator {
			s.since = m.now
		}
	case s.why != notEjected || s.failures >= max(m.set.Outlier.Failures, 1) && m.mayEject(s, len(m.set.Emergency) > 0):
		m.eject(s, byConnects)
		return true
	}
	return false
}

func see(by *map[netip.Addr]bool, client netip.Addr) (several bool) {
	if *by == nil {
		*by = map[netip.Addr]bool{}
	}
	(*by)[client] = true
	return len(*by) >= Witnesses
}

func (m *model) failAttempt(s *modelServer, client netip.Addr) bool {
	s.attempts++
	if see(&s.attemptsOf, client) && s.attempts >= m.set.Outlier.Failures && m.set.Blacklist > 0 && s.why == notEjected && m.mayEject(s, false) {
		m.eject(s, byConnects)
		return true
	}
	return false
}

func (m *model) checkPassed(s *modelServer) {
	if s.why == byConnects {
		s.why, s.trial, s.well = notEjected, false, m.now
		s.failures, s.attempts, s.attemptsOf = 0, 0, nil
		m.startWarming(s)
	}
}

func (m *model) earlyEnd(s *modelServer, client netip.Addr) bool {
	s.resets++
	several := see(&s.resetsOf, client)
	if several && m.set.Outlier.Resets > 0 && s.resets >= m.set.Outlier.Resets && m.set.Blacklist > 0 && s.why == notEjected && m.mayEject(s, false) {
		m.eject(s, byResets)
		return true
	}
	return false
}

func (m *model) succeed(s *modelServer) {
	s.failures, s.attempts, s.attemptsOf = 0, 0, nil
	away := m.shunned(s)
	if s.why == notEjected || away && s.why != byConnects {
		return
	}
	s.why, s.trial, s.well = notEjected, false, m.now
	if !away {
		m.startWarming(s)
	}
}

func (m *model) startWarming(s *modelServer) {
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
			m.startWarming(s)
		}
		if set.SlowStart == 0 {
			s.warming, s.warmth = false, 100
		}
		if set.Blacklist == 0 && (s.why == byConnects || s.why == byResets) {
			s.why, s.trial, s.well = notEjected, false, m.now
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

// drawn uses a copy of the Pool's generator and adds up weights one by one.
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
	home := func(h uint64) int { return m.home(p, h, configured) }
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

// home is whose a hash is, of servers with this weight in all.
func (m *model) home(p *Pool, h, configured uint64) int {
	if m.set.Algorithm == Maglev {
		return p.settings.Maglev.at(h)
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
