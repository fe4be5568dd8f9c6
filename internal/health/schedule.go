package health

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// beat is how often the scheduler runs while checks do, to notice that it is late.
	beat = 25 * time.Millisecond
	// retryTime bounds the time until a check whose failure was ignored is repeated.
	retryTime = 250 * time.Millisecond
	// idleTime is how long the scheduler sleeps when it has nothing to do.
	idleTime = time.Hour
)

// run starts checks when they are due, until ctx is done.
func (m *Monitor) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		timer.Reset(m.startDue(ctx))
		select {
		case <-timer.C:
		case <-m.wake:
		case <-ctx.Done():
		}
	}
}

// startDue starts the checks that are due, as far as there is room, and returns how long
// the scheduler may sleep. While checks run it must be called at each beat of the pulse.
func (m *Monitor) startDue(ctx context.Context) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.opt.Now()
	m.pulse.beat(now)
	for m.room() && !m.waiting.First().due.After(now) {
		m.start(ctx, m.waiting.Pop(), now)
	}
	wait := idleTime
	if m.room() {
		wait = m.waiting.First().due.Sub(now)
	}
	if m.running > 0 {
		wait = min(wait, m.pulse.next.Sub(now))
	}
	return wait
}

// room reports whether a check may start, now or when it is due.
func (m *Monitor) room() bool { return m.waiting.Len() > 0 && m.running < m.opt.Parallel }

// start runs a check in a goroutine.
func (m *Monitor) start(ctx context.Context, t *target, now time.Time) {
	if m.running == 0 {
		m.pulse.start(now)
	}
	m.running++
	t.began, t.lost, t.ended = now, m.pulse.lost, make(chan struct{})
	ctx, t.cancel = context.WithCancel(ctx)
	job := t.Target
	m.goroutines.Go(func() {
		o := m.opt.Probe(ctx, job)
		if ctx.Err() == nil {
			m.publish(job, m.judge(t, o))
		}
		m.end(t)
	})
}

// end puts a target back into the queue after its check.
func (m *Monitor) end(t *target) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.running--; m.running == 0 {
		m.pulse.stop()
	}
	t.cancel()
	close(t.ended)
	t.cancel, t.ended = nil, nil
	if !t.gone {
		m.waiting.Push(t)
	}
	m.wakeUp()
}

// again sets when a check is due next. Checks that were missed are not made up for.
func (t *target) again(now time.Time, ignored bool) {
	every := float64(t.Spec.Interval)
	every *= 1 + float64(t.Spec.Jitter)/100*(2*rand.Float64()-1)
	t.due = t.began.Add(time.Duration(every))
	if ignored {
		t.due = now.Add(retryTime/2 + rand.N(retryTime/2))
	}
}
