package dispatch

import (
	"math"
	"net/netip"
	"slices"
	"time"

	"pen/internal/client"
	"pen/internal/pool"
)

// Verdicts of the Dispatcher's own, beyond those of a Pool.
const (
	OverRate     pool.Verdict = iota + 100 // the server has got as many flows as it may for now
	NotPermitted                           // its access list denies the client
	LastResort                             // admitted although it was ejected
	Unreachable                            // admitted, but it could not be connected to, or was lost
)

// VerdictText is a verdict in a few words.
func VerdictText(v pool.Verdict) string {
	switch v {
	case OverRate:
		return "new-connection rate is reached"
	case NotPermitted:
		return "its access list denies the client"
	case Unreachable:
		return "it can't be connected to"
	case LastResort:
		return "ejected, and tried all the same: there is no other"
	}
	return v.String()
}

// An Explanation is where a new flow of a client would go, and why.
type Explanation struct {
	Key        netip.Addr // what the client is known by
	Denied     bool       // by the service's access list
	Full       bool       // there are as many flows as there may be
	Remembered int        // slot of the server that it used last, or pool.None
	Known      client.Entry
	IsKnown    bool
	Age        time.Duration // since its last connection, if it is known
	// Limit is the limit that it is over, if Over: then it is delayed for Hold, or if
	// that is 0 diverted to the abuse server or refused.
	Limit Refusal
	Over  bool
	Hold  time.Duration
	Chose int    // slot that was chosen first, or pool.None
	Steps []Step // in order; the last one is where the client goes, if Goes
	// Passed are the servers that were not even tried, because they are drained,
	// down, full and the like.
	Passed []Step
	Goes   bool
	Queue  bool // it would wait for a place
	Panic  bool // health and ejection are not looked at now
}

// Explain tells where a new flow of a client would go now, and why. It makes the
// real choice on a copy of the state, so nothing is changed. Its cost grows with
// the number of servers.
func (d *Dispatcher) Explain(from netip.AddrPort) Explanation {
	n, table := d.newcomer(from), d.table()
	from, key, now := n.at, n.key, n.now
	e := Explanation{Key: key, Remembered: table.slot(n.remembered), Chose: pool.None}
	e.Known, e.IsKnown = table.Get(key)
	e.Age = now - e.Known.Last
	d.mu.Lock() // not while the table's is held
	defer d.unlock()
	e.Denied = d.isDenied(&n)
	diverted := e.Denied
	if !e.Denied {
		e.Hold, e.Limit, e.Over = d.overLimit(key, now)
		if e.Over && !d.mayDelay(e.Hold) {
			e.Hold, diverted = 0, true
		}
	}
	if diverted && d.pool.Abuse() == nil {
		return e
	}
	if e.Full = d.taken.Load() >= int64(d.cfg.ConnMax); e.Full {
		return e
	}
	f := d.shadow(now)
	f.client, f.remembered, f.judgement = endpointOf(from), int32(e.Remembered), permitted
	f.permits, f.era = n.permits, n.era
	if diverted {
		f.judgement, f.stage = onList, stageAbuse
	}
	var passed []Step
	if !diverted {
		passed = f.refusals(now)
	}
	_, e.Goes = f.Next()
	e.Steps = f.record().Steps
	e.Passed = slices.DeleteFunc(passed, func(p Step) bool {
		return slices.ContainsFunc(e.Steps, func(s Step) bool { return s.Slot == p.Slot })
	})
	if e.Queue = f.phase == queued; !diverted {
		e.Chose = int(f.first)
	}
	e.Panic = f.d.pool.Panicking()
	return e
}

// refusals are the servers that do not take the flow now, and why. A server that
// is not looked up for the client takes it as one that is new.
func (f *Flow) refusals(now time.Duration) []Step {
	var out []Step
	if f.d.cfg.NoTracking || f.d.cfg.PerDatagram {
		defer func(slot int32) { f.remembered = slot }(f.remembered)
		f.remembered = pool.None
	}
	for slot := range f.d.cfg.Pool.Servers {
		s := f.d.pool.At(slot)
		if s == nil {
			continue
		}
		if v := f.verdict(s, now); v != pool.Admitted {
			out = append(out, stepTo(s, v))
		}
	}
	return out
}

// shadow returns a flow of a Dispatcher that decides as d does at this moment,
// and shares nothing with it that it changes.
func (d *Dispatcher) shadow(now time.Duration) *Flow {
	s := &Dispatcher{now: func() time.Duration { return now }, cfg: d.cfg, pool: d.pool.Clone()}
	s.limits.servers = slices.Clone(d.limits.servers)
	s.limits.rate = d.limits.rate
	for f := d.queue.first; f != nil; f = f.wait.next {
		waiting := *f
		waiting.d, waiting.past, waiting.extra, waiting.wait = s, nil, nil, &wait{seq: f.wait.seq, turns: f.wait.turns}
		s.queue.insert(&waiting, nil)
		s.expects(&waiting, 1)
	}
	return &Flow{d: s, why: NoServer, phase: choosing, extra: &extra{record: &Record{room: math.MaxInt}}}
}
