package dispatch

import (
	"net/netip"
	"time"

	"pen/internal/pool"
)

// A drain ends the flows of a server that takes no new ones, spread over a time.
type drain struct {
	from, until time.Duration
	flows       int // at the begin
}

// Sweep lets time pass for what lives: it ends the flows that have moved nothing
// for IdleTimeout, that are older than MaxAge, that are left of a server which
// is to be empty, or that belong elsewhere, see Rebalance. The owner calls it
// again and again; how often is how exact it is, and how even. Its cost grows
// with the number of flows where any of these is set, but nobody waits longer than
// for a thousand of them. It does not block.
func (d *Dispatcher) Sweep() {
	s := &sweep{d: d}
	if s.begin() {
		d.inSlices(s.look, s.act)
	}
	s.act()
}

// begin does what does not concern single flows, and reports whether these have to
// be looked at as well.
func (s *sweep) begin() bool {
	d := s.d
	d.mu.Lock()
	defer d.unlock()
	s.now, s.era = d.now(), d.cfg.era
	d.pool.Tick(s.now)
	d.offerAll(s.now)
	s.over = d.givingWay()
	if d.cfg.IdleTimeout == 0 && !d.endsEvenly() {
		return false
	}
	s.plan()
	return true
}

// look looks at a flow, and ends the sweep where the configuration has changed
// since it began: the next one goes by the new one. Called with the lock held.
func (s *sweep) look(f *Flow) bool {
	if s.era != s.d.cfg.era {
		return false
	}
	if !f.isUp() {
		return true
	}
	if why := s.ends(f); why != NotEnded {
		s.over = append(s.over, victim{f.carrier, why})
	}
	return true
}

// act does what must be done without the lock: it ends flows, and has clients
// forgotten, which choose anew then.
func (s *sweep) act() {
	for _, key := range s.forgotten {
		s.d.clients.Load().Forget(key, s.now)
	}
	for _, v := range s.over {
		v.Kill(v.why)
	}
	s.forgotten, s.over = s.forgotten[:0], s.over[:0]
}

// givingWay returns the flows that end because others want what they have of the
// Budget: half of those of clients that are not proven, the oldest numbers first.
// Called with the lock held.
func (d *Dispatcher) givingWay() []victim {
	n := (d.unproven + 1) / 2
	if n == 0 || !d.cfg.Budget.isWanted() {
		return nil
	}
	over := make([]victim, 0, n)
	for f := range d.flows.live {
		if f.proof == unproven {
			over = append(over, victim{f.carrier, ByDisplacement})
		}
		if len(over) == n {
			break
		}
	}
	return over
}

// Sweeps reports whether Sweep has anything to do that should be done evenly,
// some times a second.
func (d *Dispatcher) Sweeps() bool {
	d.mu.Lock()
	defer d.unlock()
	return d.endsEvenly() || d.cfg.Pool.SlowStart > 0
}

func (d *Dispatcher) endsEvenly() bool {
	return d.cfg.MaxAge > 0 || d.cfg.CloseDown || d.cfg.Rebalance > 0 || len(d.drains) > 0
}

// Drain ends the flows of the server of a slot within a time, spread over it, as
// long as the server is draining or disabled. 0 ends them at the next Sweep. It
// reports whether there is such a server.
func (d *Dispatcher) Drain(slot int, within time.Duration) bool {
	d.mu.Lock()
	defer d.unlock()
	s := d.pool.At(slot)
	if s == nil {
		return false
	}
	if d.drains == nil {
		d.drains = map[int]drain{}
	}
	now := d.now()
	d.drains[slot] = drain{now, now + within, s.Conns()}
	return true
}

// A sweep is one look at all flows.
type sweep struct {
	d   *Dispatcher
	now time.Duration
	era uint32      // of the Dispatcher, when the sweep began
	end map[int]int // by slot: flows that are to end because of a drain
	rebalancing
	over      []victim
	forgotten []netip.Addr // clients that are to choose anew
}

// A victim is a flow that is to end.
type victim struct {
	Carrier
	why Ending
}

// plan says how many flows are to end of those that end evenly.
func (s *sweep) plan() {
	d, now := s.d, s.now
	for slot, dr := range d.drains {
		server := d.pool.At(slot)
		if server == nil || server.Admin == pool.Enabled {
			delete(d.drains, slot)
			continue
		}
		stay := 0
		if now < dr.until {
			left := float64(dr.until-now) / float64(dr.until-dr.from)
			stay = int(float64(dr.flows) * left)
		}
		if n := server.Conns() - stay; n > 0 {
			if s.end == nil {
				s.end = map[int]int{}
			}
			s.end[slot] = n
		} else if stay == 0 && server.Conns() == 0 {
			delete(d.drains, slot)
		}
	}
	s.planMoves()
}

// ends returns why a flow is to end now, or NotEnded.
func (s *sweep) ends(f *Flow) Ending {
	cfg, slot := s.d.cfg, f.server.Slot
	switch {
	case cfg.IdleTimeout > 0 && f.idleFor(s.now) >= cfg.IdleTimeout:
		return ByIdleTimeout
	case cfg.MaxAge > 0 && s.now-f.since >= cfg.MaxAge-time.Duration(f.jitter()*float64(cfg.MaxAge)):
		return ByMaxAge
	case s.end[slot] > 0:
		s.end[slot]--
		return ByDrain
	case cfg.CloseDown && s.d.pool.Unhealthy(f.server):
		return ByServerDown
	}
	if s.moves > 0 && s.belongsElsewhere(f) {
		s.moves--
		s.forgotten = append(s.forgotten, f.key())
		return ByRebalance
	}
	return NotEnded
}

// maxJitter is by what share of MaxAge a flow may end earlier, so that flows
// that began together do not end together.
const maxJitter = 0.1

// jitter is the flow's own share of that: its number and its begin, scattered.
func (f *Flow) jitter() float64 {
	h := (uint64(f.since) + uint64(f.id)) * 0x9e3779b97f4a7c15
	return maxJitter * float64(h>>11) / (1 << 53)
}

// SetHealth records what checks found of the server of a slot. It reports
// whether there is such a server.
func (d *Dispatcher) SetHealth(slot int, h pool.Health) bool {
	return d.learn(func(now time.Duration) bool { return d.pool.SetHealth(slot, h, now) })
}

// CheckPassed says that a health check of the server of a slot has passed and that
// it is up: it is not ejected any more because connects fail.
func (d *Dispatcher) CheckPassed(slot int) {
	d.mu.Lock()
	defer d.unlock()
	now := d.now()
	if d.pool.CheckPassed(slot, now) {
		d.tell(d.pool.At(slot), "takes connections again, a check says")
		d.offer(d.pool.At(slot), now)
	}
}

// SetAgent records what the agent of the server of a slot reports. It reports
// whether there is such a server.
func (d *Dispatcher) SetAgent(slot int, a pool.Agent) bool {
	return d.learn(func(now time.Duration) bool { return d.pool.SetAgent(slot, a, now) })
}

func (d *Dispatcher) learn(set func(now time.Duration) bool) bool {
	d.mu.Lock()
	defer d.unlock()
	now := d.now()
	ok := set(now)
	d.offerAll(now) // to those who wait
	return ok
}
