package dispatch

import (
	"sync"
	"time"
)

// The Dispatcher's lock guards counting and choosing, and nothing else. Rules are
// immutable and read without it; access lists and the client table are asked before it is
// taken or after it was given back; what walks over all flows takes it for a slice of them
// at a time; see docs/decisions/0028-view-and-lock.md.

// A mutex counts how often it was locked, for tests.
type mutex struct {
	sync.Mutex
	locked uint64
}

// Lock locks it.
func (m *mutex) Lock() {
	m.Mutex.Lock()
	m.locked++
}

// unlock publishes a new revision of the servers, gives the lock back, and then makes the
// calls that were collected in woken.
func (d *Dispatcher) unlock() {
	if m := d.moment.Load(); m != nil && m.revision != d.pool.Revision() {
		d.publish()
	}
	woken := d.woken
	d.woken = nil
	d.mu.Unlock()
	for _, wake := range woken {
		wake()
	}
}

// A moment is what Rule knows, without the lock, of one revision of the servers.
type moment struct {
	revision  uint64
	available bool          // any server but the emergency servers takes clients
	ends      bool          // an ejection ends, at until
	until     time.Duration // if ends
}

// publish sets moment, and closes the channel of Changed.
func (d *Dispatcher) publish() {
	m := &moment{revision: d.pool.Revision(), available: d.pool.IsAvailable()}
	m.until, m.ends = d.pool.NextReturn()
	d.moment.Store(m)
	if d.changed != nil {
		close(d.changed)
		d.changed = nil
	}
}
