package datagram

import (
	"sync"
	"time"

	"pen/internal/dispatch"
)

// A flow without a server waits for one: what its client sends meanwhile is
// kept, within the bounds of what waits for a server's socket.

// woken are the flows whose wait is over. The caller that ends a wait may hold any lock
// of the Plane's, so that it only leaves word here.
type woken struct {
	kick chan struct{} // has room for one

	mu    sync.Mutex // guards all below; nothing else is locked under it
	flows []*flow    // no more than wait
}

func (w *woken) add(f *flow) {
	w.mu.Lock()
	w.flows = append(w.flows, f)
	w.mu.Unlock()
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

func (w *woken) take() []*flow {
	w.mu.Lock()
	defer w.mu.Unlock()
	flows := w.flows
	w.flows = nil
	return flows
}

// resumeAll goes on with flows that have waited, until the Plane is empty.
func (p *Plane) resumeAll() {
	for {
		select {
		case <-p.empty:
			return
		case <-p.woken.kick:
		}
		for _, f := range p.woken.take() {
			p.resume(f)
		}
	}
}

func (p *Plane) resume(f *flow) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.place == nil || f.ended.Load() || f.server != nil {
		return // it has ended meanwhile
	}
	if !p.connect(f) {
		p.end(f, dispatch.Refused)
		return
	}
	if f.server != nil {
		f.sendKept()
		p.settle(f)
	}
}

// sendKept sends what has come while the flow waited.
func (f *flow) sendKept() {
	kept := f.waiting
	f.waiting, f.size = nil, 0
	for _, b := range kept {
		if f.toServerPause.drops(f.target.Meter, len(b)) {
			f.plane.d.Drop(dispatch.Bandwidth, 1)
			continue
		}
		f.target.Tap.Show(true, b)
		if !f.transmit(b) {
			return
		}
	}
}

// A pause is until when one way of a flow may take no more. It belongs to one
// goroutine, or to the holder of the Plane's lock.
type pause struct{ until time.Time }

// drops counts a datagram under the limit of bandwidth, if there is one, and
// reports whether it must be dropped instead.
func (p *pause) drops(m *dispatch.Meter, n int) bool {
	if m == nil {
		return false
	}
	now := time.Now()
	if now.Before(p.until) {
		return true
	}
	p.until = now.Add(m.Charge(n))
	return false
}
