package health

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// beat is how often a monitor makes sure that it runs.
	beat = 25 * time.Millisecond
	// soon is when a check whose failure was ignored is made again, at most.
	soon = 250 * time.Millisecond
	// never is when a scheduler with nothing to do looks again.
	never = time.Hour
)

// run begins checks when they are due, until ctx is done.
func (m *Monitor) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		timer.Reset(m.turn(ctx))
		select {
		case <-timer.C:
		case <-m.wake:
		case <-ctx.Done():
		}
	}
}

// turn begins what is due, as far as there is room, and returns for how long
// there will be nothing to do. While checks are under way it is to be called at
// each beat of the pulse.
func (m *Monitor) turn(ctx context.Context) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.opt.Now()
	m.pulse.beat(now)
	for m.room() && !m.waiting.First().due.After(now) {
		m.begin(ctx, m.waiting.Pop(), now)
	}
	wait := never
	if m.room() {
		wait = m.waiting.First().due.Sub(now)
	}
	if m.busy > 0 {
		wait = min(wait, m.pulse.next.Sub(now))
	}
	return wait
}

// room reports whether there is a check to begin, now or later.
func (m *Monitor) room() bool { return m.waiting.Len() > 0 && m.busy < m.opt.Parallel }

// begin makes a check, in a goroutine.
func (m *Monitor) begin(ctx context.Context, t *target, now time.Time) {
	if m.busy == 0 {
		m.pulse.start(now)
	}
	m.busy++
	t.began, t.lost, t.ended = now, m.pulse.lost, make(chan struct{})
	ctx, t.cancel = context.WithCancel(ctx)
	job := t.Target
	m.running.Go(func() {
		o := m.opt.Probe(ctx, job)
		if ctx.Err() == nil {
			m.tell(job, m.judge(t, o))
		}
		m.end(t)
	})
}

// end puts a target back into the queue when its check is over.
func (m *Monitor) end(t *target) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.busy--; m.busy == 0 {
		m.pulse.stop()
	}
	t.cancel()
	close(t.ended)
	t.cancel, t.ended = nil, nil
	if !t.gone {
		m.waiting.Push(t)
	}
	m.poke()
}

// again says when a check is to be made next. What came too late for its turn
// is not made up for.
func (t *target) again(now time.Time, ignored bool) {
	every := float64(t.Spec.Interval)
	every *= 1 + float64(t.Spec.Jitter)/100*(2*rand.Float64()-1)
	t.due = t.began.Add(time.Duration(every))
	if ignored {
		t.due = now.Add(soon/2 + rand.N(soon/2))
	}
}
