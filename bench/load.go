//go:build linux

package main

import (
	"context"
	"time"
)

// metric is one figure of a load.
type metric struct {
	name   string // with its unit
	label  string // in charts, beside the load's
	chart  chartKind
	digits int
	less   bool // less is better
	added  bool // also show what a proxy adds to direct
	alone  bool // proxies only: direct has no such figure
	plain  bool // show the median only
}

// load is one kind of work, measured through every contender.
type load struct {
	key         string // in -loads
	name, about string
	label       string // in charts
	place       placement
	passes      int
	metrics     []metric
	http        bool        // its backend is nginx, else the byte peer
	contenders  []contender // nil: those of the suite
	fresh       bool        // every round begins with a proxy just started
	// warm prepares a contender; it may leave something in the target.
	warm func(ctx context.Context, t *target) error
	// measure runs one round.
	measure func(ctx context.Context, t *target) (sample, error)
}

// target is a contender as a load sees it.
type target struct {
	addr string
	proc *child // nil for direct
	size int64  // bytes of a bulk round, set by its warm-up
}

// sample is the outcome of a round: a value for every metric, and the shares
// of the machine's time that others took.
type sample struct {
	values         []float64
	steal, foreign float64
}

// work is what a round has moved, in units of its load.
type work struct{ units, seconds float64 }

// loads lists what is measured, except L6, whose rates are known only once L1
// is through.
func loads(o options) []load {
	full, fewer := o.rounds, o.fewer()
	all := []load{
		wrkLoad(o, p1, fewer, 1, keepAlive),
		wrkLoad(o, p1, full, mainConns, keepAlive),
		wrkLoad(o, p1, fewer, manyConns, keepAlive),
		wrkLoad(o, p1, full, mainConns, newConns),
		bulkLoad(o, p1, full, "up"),
		bulkLoad(o, p1, full, "down"),
		holdLoad(o),
		ringLoad(o),
		wrkLoad(o, p2, fewer, mainConns, keepAlive),
		wrkLoad(o, p2, fewer, mainConns, newConns),
		bulkLoad(o, p2, fewer, "up"),
		bulkLoad(o, p2, fewer, "down"),
	}
	var wanted []load
	for _, l := range all {
		// L6 needs the rates of the main load.
		if l.place == p1 && (o.wants(l.key) || l.isMain() && o.wants("L6")) || l.place == p2 && o.wants(p2.name) {
			wanted = append(wanted, l)
		}
	}
	if o.wants("E") {
		wanted = append(wanted, edgeLoads(o)...)
	}
	return wanted
}

// timedMetrics are the three figures that timed makes.
func timedMetrics(p placement, rate, cost string, digits int) []metric {
	busy := "proxy's core busy, %"
	if !p.pinned {
		busy = "machine busy, %"
	}
	return []metric{
		{name: rate, digits: digits, chart: chartRates},
		{name: "CPU of the machine, " + cost, digits: 1, less: true, added: true},
		{name: busy, plain: true, less: true},
	}
}

// timed runs do between two looks at /proc and makes the three values of a
// timed load: rate, CPU cost (scale units of time for each second) and share
// of the proxy's core, or of the machine if the proxy has none for itself.
func timed(p placement, scale float64, do func() (work, error)) (sample, error) {
	before, err := takeSnapshot()
	if err != nil {
		return sample{}, err
	}
	w, err := do()
	if err != nil {
		return sample{}, err
	}
	after, err := takeSnapshot()
	if err != nil {
		return sample{}, err
	}
	all := after.all.sub(before.all)
	used := all
	if p.pinned {
		used = after.cores[proxyCore].sub(before.cores[proxyCore])
	}
	total := float64(max(all.total, 1))
	cpu := (time.Duration(all.busy) * tick).Seconds()
	s := sample{steal: float64(all.steal) / total}
	if after.foreign > before.foreign {
		s.foreign = float64(after.foreign-before.foreign) / total
	}
	s.values = []float64{w.units / w.seconds, cpu * scale / w.units, 100 * float64(used.busy) / float64(max(used.total, 1))}
	return s, nil
}
