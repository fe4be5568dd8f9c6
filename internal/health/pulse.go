package health

import "time"

// unpunctual is how late a process may wake up that is well.
const unpunctual = 10 * time.Millisecond

// A pulse measures the time in which this process did not run though it should
// have: it was stopped, its machine was, or others had the processor. Whoever
// has one calls beat when next has come, and at any other time.
//
// The monotonic clock goes on while a process is stopped, so a server that
// answers at once seems to have taken all that time.
type pulse struct {
	every time.Duration
	next  time.Time // zero while nothing is measured
	lost  time.Duration
}

// start begins to measure, and stop ends it.
func (p *pulse) start(now time.Time) { p.next = now.Add(p.every) }
func (p *pulse) stop()               { p.next = time.Time{} }

func (p *pulse) beat(now time.Time) {
	late := now.Sub(p.next)
	if p.next.IsZero() || late < 0 {
		return
	}
	if late >= unpunctual {
		p.lost += late
	}
	p.start(now)
}
