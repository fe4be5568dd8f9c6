package dispatch

import (
	"time"

	"pen/internal/pool"
)

// Blacklist takes the server of a slot out of rotation for a time from now, or back into
// it if that is 0. It reports whether there is such a server.
func (d *Dispatcher) Blacklist(slot int, t time.Duration) bool {
	d.mu.Lock()
	defer d.unlock()
	s := d.pool.At(slot)
	if s != nil {
		now := d.now()
		d.pool.Blacklist(s, t, now)
		d.offer(s, now)
	}
	return s != nil
}

// SetHealth records the result of health checks for the server of a slot. It reports
// whether there is such a server.
func (d *Dispatcher) SetHealth(slot int, h pool.Health) bool {
	return d.report(func(now time.Duration) bool { return d.pool.SetHealth(slot, h, now) })
}

// SetAgent records a report of the agent of the server of a slot. It reports whether
// there is such a server.
func (d *Dispatcher) SetAgent(slot int, a pool.Agent) bool {
	return d.report(func(now time.Duration) bool { return d.pool.SetAgent(slot, a, now) })
}

func (d *Dispatcher) report(set func(now time.Duration) bool) bool {
	d.mu.Lock()
	defer d.unlock()
	now := d.now()
	ok := set(now)
	d.offerAll(now)
	return ok
}

// CheckPassed records that a health check has reached the server of a slot: an ejection
// for failed connects ends.
func (d *Dispatcher) CheckPassed(slot int) {
	d.mu.Lock()
	defer d.unlock()
	now := d.now()
	if d.pool.CheckPassed(slot, now) {
		d.tell(d.pool.At(slot), ChecksPass)
		d.offer(d.pool.At(slot), now)
	}
}
