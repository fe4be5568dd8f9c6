//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// holdLoad is L4, the price of connections that do nothing.
func holdLoad(o options) load {
	return load{
		key: "L4", name: "L4 idle connections", label: "L4", place: p1, passes: o.rounds, fresh: true,
		about: fmt.Sprintf("%d idle connections through a proxy just started: its memory (PSS) and "+
			"descriptors, less those without connections, for each connection. Memory of the kernel is "+
			"what all its caches hold (slabinfo), less what they held before: that of the client's and "+
			"the backend's socket is in it, and what a proxy adds to direct is its own.", o.conns),
		metrics: []metric{
			{name: "memory, KiB/connection", digits: 2, less: true, alone: true},
			{name: "memory of the kernel, KiB/connection", digits: 2, less: true, added: true},
			{name: "descriptors/connection", digits: 2, less: true, plain: true},
			{name: "memory without connections, MiB", digits: 2, less: true, plain: true},
		},
		measure: func(ctx context.Context, t *target) (sample, error) { return holdRound(ctx, t, o.conns) },
	}
}

// holdRound measures what conns idle connections cost. The kernel's memory is
// read first after they are there: a look at a process fills its caches too.
func holdRound(ctx context.Context, t *target, conns int) (sample, error) {
	before, err := t.footprint()
	if err != nil {
		return sample{}, err
	}
	slabsBefore, err := slabs()
	if err != nil {
		return sample{}, err
	}
	args, err := self("hold", strconv.Itoa(conns), t.addr)
	if err != nil {
		return sample{}, err
	}
	held, err := accompany(ctx, p1.loadCore(), args...)
	if err != nil {
		return sample{}, err
	}
	defer held.finish()
	slabsAfter, err := slabs()
	if err != nil {
		return sample{}, err
	}
	after, err := t.footprint()
	if err != nil {
		return sample{}, err
	}
	n := float64(conns)
	return sample{values: []float64{
		(after.pss - before.pss) / 1024 / n,
		(slabsAfter - slabsBefore) / 1024 / n,
		(after.files - before.files) / n,
		before.pss / (1 << 20),
	}}, nil
}

// footprint measures the proxy; the direct way has none, its figures are NaN.
func (t *target) footprint() (footprint, error) {
	if t.proc == nil {
		return footprint{math.NaN(), math.NaN(), math.NaN()}, nil
	}
	return groupFootprint(t.proc.cmd.Process.Pid)
}

// ringLoad is L9, very many connections that all move data.
func ringLoad(o options) load {
	l := load{
		key: "L9", name: fmt.Sprintf("L9 %d connections that move data", o.moving), label: "L9",
		place: p1, passes: o.fewer(), http: true, fresh: true,
		about: fmt.Sprintf("Own sender: %d keep-alive connections that take turns with small requests, %d of them "+
			"under way at a time; the backend is nginx with `return 200`. The memory is that of a proxy just "+
			"started, in the middle of the round.", o.moving, mainConns),
		metrics: append(timedMetrics(p1, "requests/s", "us/request", 0),
			metric{name: "memory (PSS), MiB", digits: 1, less: true, alone: true},
			metric{name: "memory (RSS), MiB", digits: 1, less: true, plain: true}),
		measure: func(ctx context.Context, t *target) (sample, error) { return ringRound(ctx, t, o) },
	}
	l.metrics[1].chart = chartCPU
	return l
}

// ringRound measures L9 once.
func ringRound(ctx context.Context, t *target, o options) (sample, error) {
	c, err := startSender(ctx, p1, o.moving, 0, o.length, t.addr)
	if err != nil {
		return sample{}, err
	}
	var memory footprint
	var memoryErr error
	s, err := timed(p1, 1e6, func() (work, error) {
		c.release()
		select {
		case <-time.After(o.length / 2):
		case <-ctx.Done():
		}
		memory, memoryErr = t.footprint()
		seen, err := c.outcome()
		return work{seen.Requests, seen.Seconds}, err
	})
	if err := errors.Join(err, memoryErr); err != nil {
		return s, err
	}
	s.values = append(s.values, memory.pss/(1<<20), memory.rss/(1<<20))
	return s, nil
}
