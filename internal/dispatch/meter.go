package dispatch

import (
	"sync"
	"time"
)

// Bytes are counted after they were read, in a token bucket that may be overdrawn. Its
// state is the time at which the debt is paid, as in [gcra].

const (
	// burstsPerSecond: 1/10 of a second's bytes may be read at once after a pause, and at
	// the start, so that short transfers are limited as well.
	burstsPerSecond = 10
	// A limited flow reads a second's bytes in this many reads, within bounds. Small reads
	// share the service's bandwidth between many flows, large ones cost less.
	readsPerSecond      = 50
	leastRead, mostRead = 128, 1 << 20
)

// A Meter measures the bytes of a flow, or of all.
type Meter struct {
	d *Dispatcher // whose bandwidth it takes

	mu     sync.Mutex    // guards all below; nothing else is locked under it
	bytes  gcra          // when what was read is paid for
	paused time.Duration // until when the flow was told to wait
}

// charge counts n bytes under a rate and returns how long no more may be
// read; 0 is no limit.
func (m *Meter) charge(n int, rate int64, now time.Duration) time.Duration {
	if rate <= 0 {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bytes.arrive(timeFor(int64(n), rate), now)
	return m.bytes.wait(time.Second/burstsPerSecond, now)
}

// timeFor is how long bytes take at a rate.
func timeFor(bytes, rate int64) time.Duration {
	return time.Duration(min(float64(bytes)/float64(rate)*float64(time.Second), float64(longest)))
}

// pause records that the flow was told to wait until then.
func (m *Meter) pause(until time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.paused = max(m.paused, until)
}

func (m *Meter) pausedUntil() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.paused
}

// meterTarget gives a target its share of the bandwidth.
func (f *Flow) meterTarget(t *Target) {
	lim := &f.d.cfg.Limits
	rate := lim.Bandwidth
	if own := lim.ConnBandwidth; own > 0 && (rate <= 0 || own < rate) {
		rate = own
	}
	if rate <= 0 {
		return
	}
	t.Meter = &f.extras().meter
	t.MaxRead = int(min(max(rate/readsPerSecond, leastRead), mostRead))
}

// Charge counts n bytes that were read for the flow, and returns how long nothing more
// may be read from that side. A datagram that comes meanwhile is dropped. Any goroutine
// may call it, also after Done; it does not block.
func (m *Meter) Charge(n int) (pause time.Duration) {
	d, now := m.d, m.d.now()
	lim := &d.rules.Load().Limits
	pause = max(d.all.charge(n, lim.Bandwidth, now), m.charge(n, lim.ConnBandwidth, now))
	if pause > 0 {
		m.pause(now + pause)
	}
	return pause
}
