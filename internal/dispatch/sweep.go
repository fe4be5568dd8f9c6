package dispatch

import (
	"net/netip"
	"time"

	"pen/internal/pool"
)

// Sweep lets time pass for live flows. It ends those that have moved nothing for
// IdleTimeout, are older than MaxAge, are left on a server that is drained or down, or
// belong to another server (Rebalance). The owner calls it again and again: more often
// is more exact, and more even. If any of these is set it costs O(flows), but never
// holds the lock for more than a thousand of them. It does not block.
func (d *Dispatcher) Sweep() {
	s := &sweep{d: d}
	if s.start() {
		d.inSlices(s.visit, s.apply)
	}
}

// A sweep is one walk over all flows.
type sweep struct {
	d        *Dispatcher
	now      time.Duration
	era      uint32      // of the configuration when the sweep started
	judges   bool        // flows that are up may have to end
	displace int         // flows that must give way to others
	draining map[int]int // by slot: flows that must end for a drain
	rebalancing
	victims   []victim
	forgotten []netip.Addr // clients that must choose anew
}

// A victim is a flow that must end.
type victim struct {
	Carrier
	why Ending
}

// start does what does not concern single flows, and reports whether any flow may have
// to end.
func (s *sweep) start() bool {
	d := s.d
	d.mu.Lock()
	defer d.unlock()
	s.now, s.era = d.now(), d.cfg.era
	d.pool.Tick(s.now)
	d.offerAll(s.now)
	if d.unproven > 0 && d.cfg.Budget.isWanted() {
		s.displace = (d.unproven + 1) / 2 // half of them; the lowest numbers go
	}
	if s.judges = d.cfg.IdleTimeout > 0 || d.endsEvenly(); s.judges {
		s.planDrains()
		s.planMoves()
	}
	return s.judges || s.displace > 0
}

// visit decides about one flow. It ends the sweep if the configuration has changed since
// it started: the next one applies the new one. The lock is held.
func (s *sweep) visit(f *Flow) bool {
	if s.era != s.d.cfg.era || !s.judges && s.displace == 0 {
		return false
	}
	if why := s.ends(f); why != NotEnded {
		s.victims = append(s.victims, victim{f.carrier, why})
	}
	return true
}

// apply ends flows and forgets clients. The lock is not held.
func (s *sweep) apply() {
	for _, key := range s.forgotten {
		s.d.clients.Load().Forget(key, s.now)
	}
	for _, v := range s.victims {
		v.Kill(v.why)
	}
	s.forgotten, s.victims = s.forgotten[:0], s.victims[:0]
}

// Sweeps reports whether Sweep has work that must be done evenly, several times a
// second.
func (d *Dispatcher) Sweeps() bool {
	d.mu.Lock()
	defer d.unlock()
	return d.endsEvenly() || d.cfg.Pool.SlowStart > 0
}

func (d *Dispatcher) endsEvenly() bool {
	return d.cfg.MaxAge > 0 || d.cfg.CloseDown || d.cfg.Rebalance > 0 || len(d.drains) > 0
}

// A drain ends the flows of a server that takes no new ones, spread over a time.
type drain struct {
	from, until time.Duration
	flows       int // at the start
}

// Drain ends the flows of the server of a slot, spread over a time, as long as the
// server is draining or disabled. 0 ends them at the next Sweep. It reports whether
// there is such a server.
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

// planDrains computes how many flows must end now on each server that is drained.
func (s *sweep) planDrains() {
	d, now := s.d, s.now
	s.draining = map[int]int{}
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
			s.draining[slot] = n
		} else if stay == 0 && server.Conns() == 0 {
			delete(d.drains, slot)
		}
	}
}

// ends returns why a flow must end now, or NotEnded.
func (s *sweep) ends(f *Flow) Ending {
	if s.displace > 0 && f.proof == unproven {
		s.displace--
		return ByDisplacement
	}
	if !s.judges || !f.isUp() {
		return NotEnded
	}
	cfg, slot := s.d.cfg, f.server.Slot
	switch {
	case cfg.IdleTimeout > 0 && f.idleFor(s.now) >= cfg.IdleTimeout:
		return ByIdleTimeout
	case cfg.MaxAge > 0 && s.now-f.since >= cfg.MaxAge-time.Duration(f.jitter()*float64(cfg.MaxAge)):
		return ByMaxAge
	case s.draining[slot] > 0:
		s.draining[slot]--
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

// maxJitter is the share of MaxAge by which a flow may end earlier, so that flows that
// started together do not end together.
const maxJitter = 0.1

// jitter is the flow's own share of that: a hash of its number and its start.
func (f *Flow) jitter() float64 {
	h := (uint64(f.since) + uint64(f.id)) * 0x9e3779b97f4a7c15
	return maxJitter * float64(h>>11) / (1 << 53)
}
