//go:build linux

package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// bulkLoad is one long transfer, "up" (client to backend) or "down".
func bulkLoad(o options, p placement, passes int, way string) load {
	name := "L3 bulk, " + wayName(way)
	return load{
		key: "L3", name: p.title(name), label: p.title("L3 " + way), place: p, passes: passes,
		about: "One connection, own sender and receiver with reads and writes of 256 KiB; " +
			"1 GB is 10^9 bytes.",
		metrics: timedMetrics(p, "GB/s", "ms/GB", 2),
		warm:    bulkWarm(p, way, o),
		measure: bulkRound(p, way),
	}
}

// bulkRound measures the transfer of t.size bytes.
func bulkRound(p placement, way string) func(context.Context, *target) (sample, error) {
	return func(ctx context.Context, t *target) (sample, error) {
		return timed(p, 1e3, func() (work, error) { return bulk(ctx, p, way, t.addr, t.size) })
	}
}

// bulkWarm transfers a little and sets the size that fills a round.
func bulkWarm(p placement, way string, o options) func(context.Context, *target) error {
	return func(ctx context.Context, t *target) error {
		size := int64(1 << 30)
		if o.quick {
			size = 64 << 20
		}
		w, err := bulk(ctx, p, way, t.addr, size)
		if err != nil {
			return err
		}
		t.size = max(size/4, int64(float64(size)/w.seconds*o.length.Seconds()))
		return nil
	}
}

// bulk moves size bytes from or to the load's core.
func bulk(ctx context.Context, p placement, way, addr string, size int64) (work, error) {
	args, err := self("bulk", way, strconv.FormatInt(size, 10), addr)
	if err != nil {
		return work{}, err
	}
	out, err := output(ctx, p.loadCore(), args...)
	if err != nil {
		return work{}, err
	}
	seconds, err := strconv.ParseFloat(strings.TrimSpace(out), 64)
	if err != nil || seconds <= 0 {
		return work{}, fmt.Errorf("bulk: %q is not a duration in seconds", out)
	}
	return work{float64(size) / 1e9, seconds}, nil
}
