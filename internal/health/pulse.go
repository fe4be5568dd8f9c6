package health

import "time"

// normalDelay is how late a timer may fire in a process that is not starved.
const normalDelay = 10 * time.Millisecond

// A pulse measures the time in which this process should have run and did not: it or its
// machine was stopped, or other processes had the processor. Its owner must call beat at
// the time next, and may call it at any other time.
//
// The monotonic clock goes on while a process is stopped, so a server that replied at once
// seems to have taken all that time.
type pulse struct {
	every time.Duration
	next  time.Time // zero while nothing is measured
	lost  time.Duration
}

// start starts measuring, and stop stops it.
func (p *pulse) start(now time.Time) { p.next = now.Add(p.every) }
func (p *pulse) stop()               { p.next = time.Time{} }

func (p *pulse) beat(now time.Time) {
	late := now.Sub(p.next)
	if p.next.IsZero() || late < 0 {
		return
	}
	if late >= normalDelay {
		p.lost += late
	}
	p.start(now)
}
