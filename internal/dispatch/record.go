package dispatch

import (
	"net/netip"
	"time"

	"pen/internal/pool"
)

// A Record is what became of a flow. It is made only where an Observer wants records,
// and belongs to the Observer from [Observer.Ended] on. Times are those of the
// Dispatcher's clock; 0 is never.
type Record struct {
	ID     int // the flow's number, which is used again
	Client netip.AddrPort
	// Remembered and First are the slots of the server that the client used last and
	// of the one that was chosen first, or pool.None.
	Remembered, First int
	// Steps are the servers that were looked at, in their order; the flow went to the
	// last one, if Connected. Omitted is how many more there were before that.
	Steps   []Step
	Omitted int

	Accepted  time.Duration // when it got its place
	Connected time.Duration // when it was up first
	Answered  time.Duration // when a server first answered; of datagrams only
	Ended     time.Duration
	Delayed   time.Duration // for how long it waited because it came too early
	Queued    time.Duration // for how long it waited for a place at a server

	Traffic
	Ending  Ending
	Refusal Refusal // why, if Ending is Refused

	room    int           // for steps
	waiting time.Duration // when its wait started
}

// A Step is a server that was looked at, and what came of it.
type Step struct {
	Slot    int // negative: the emergency or the abuse server
	Name    string
	Addr    netip.AddrPort // where Path is empty
	Path    string
	Verdict pool.Verdict
	Took    time.Duration // a connect, successful or not; 0: there was none
}

func stepTo(s *pool.Server, v pool.Verdict) Step {
	return Step{Slot: s.Slot, Name: s.Name, Addr: s.Addr, Path: s.Path, Verdict: v}
}

// maxSteps bounds the steps of a record.
const maxSteps = 8

// An extra is what a flow has whose bandwidth is limited or that is recorded.
type extra struct {
	meter  Meter
	record *Record
}

func (f *Flow) extras() *extra {
	if f.extra == nil {
		f.extra = &extra{meter: Meter{d: f.d}}
	}
	return f.extra
}

// record returns the flow's record, or nil where there is none.
func (f *Flow) record() *Record {
	if f.extra == nil {
		return nil
	}
	return f.extra.record
}

// startRecord has the flow recorded, if that is wanted.
func (f *Flow) startRecord() {
	if f.d.cfg.Watch&WatchRecords != 0 {
		f.extras().record = &Record{Accepted: f.d.now(), room: maxSteps}
	}
}

// step records that a server was looked at. The last server is always there.
func (r *Record) step(s *pool.Server, v pool.Verdict) {
	next, n := stepTo(s, v), len(r.Steps)
	switch {
	case n > 0 && r.Steps[n-1].Slot == s.Slot && r.Steps[n-1].Took == 0:
		r.Steps[n-1] = next
	case n == r.room:
		r.Omitted++
		r.Steps[n-1] = next
	default:
		r.Steps = append(r.Steps, next)
	}
}

// tried records how a connect to the flow's server ended.
func (r *Record) tried(f *Flow, v pool.Verdict, now time.Duration) {
	if r == nil || len(r.Steps) == 0 || f.isUp() {
		return
	}
	last := &r.Steps[len(r.Steps)-1]
	last.Addr, last.Verdict, last.Took = f.addr(f.server), v, now-f.since
}

// endRecord completes the flow's record, if there is one.
func (f *Flow) endRecord(e Ending, t Traffic, now time.Duration) *Record {
	r := f.record()
	if r == nil || e == NotEnded {
		return nil
	}
	r.ID, r.Client, r.Traffic, r.Ending, r.Ended = int(f.id), f.client.addrPort(), t, e, now
	r.Remembered, r.First = int(f.remembered), pool.None
	if f.stage > stageAbuse {
		r.First = int(f.first)
	}
	if e == Refused {
		r.Refusal = f.why
	}
	return r
}
