//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// metric is one figure of a load.
type metric struct {
	name   string // with its unit
	digits int
	less   bool // less is better
	added  bool // also show what a proxy adds to direct
	plain  bool // show the median only
}

// load is one kind of work, measured through every contender.
type load struct {
	name, about string
	metrics     []metric
	http        bool // its backend is nginx, else the byte peer
	proxiesOnly bool // there is nothing to measure without a proxy
	fresh       bool // every round begins with a proxy just started
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

// loads lists what is measured.
func loads(o options) []load {
	return []load{
		wrkLoad(o, "L1 keep-alive requests", "request", "keep-alive"),
		wrkLoad(o, "L2 new connections", "connection", "close"),
		bulkLoad(o, "L3 bulk, client to backend", "up"),
		bulkLoad(o, "L3 bulk, backend to client", "down"),
		holdLoad(o),
	}
}

// timedMetrics are the three figures that timed makes.
func timedMetrics(rate, cost string, digits int) []metric {
	return []metric{
		{name: rate, digits: digits},
		{name: "CPU of the machine, " + cost, digits: 1, less: true, added: true},
		{name: "proxy's core busy, %", plain: true, less: true},
	}
}

// wrkLoad is small HTTP requests with the given Connection header.
func wrkLoad(o options, name, unit, connection string) load {
	l := load{
		name: name, http: true,
		about: fmt.Sprintf("wrk, 1 thread, 64 connections at a time, small requests with \"Connection: %s\"; "+
			"the backend is nginx with `return 200`.", connection),
		metrics: timedMetrics(unit+"s/s", "us/"+unit, 0),
		measure: wrkRound(connection, o.length),
	}
	if !o.quick {
		l.warm = func(ctx context.Context, t *target) error {
			_, err := wrkRound(connection, time.Second)(ctx, t)
			return err
		}
	}
	return l
}

// bulkLoad is one long transfer, "up" (client to backend) or "down".
func bulkLoad(o options, name, way string) load {
	return load{
		name: name,
		about: "One connection, own sender and receiver with reads and writes of 256 KiB; " +
			"1 GB is 10^9 bytes.",
		metrics: timedMetrics("GB/s", "ms/GB", 2),
		warm:    bulkWarm(way, o),
		measure: bulkRound(way),
	}
}

// holdLoad is the price of connections that do nothing.
func holdLoad(o options) load {
	return load{
		name: "L4 idle connections", proxiesOnly: true, fresh: true,
		about: fmt.Sprintf("%d idle connections through a proxy just started: its memory (PSS) and "+
			"descriptors, less those without connections, for each connection. "+
			"Memory of the kernel (sockets, pipes) is not in it.", o.conns),
		metrics: []metric{
			{name: "memory, KiB/connection", digits: 2, less: true},
			{name: "descriptors/connection", digits: 2, less: true, plain: true},
			{name: "memory without connections, MiB", digits: 2, less: true, plain: true},
		},
		measure: holdRound(o.conns),
	}
}

// timed runs do between two looks at /proc and makes the three values of a
// timed load: rate, CPU cost (scale units of time for each second) and share
// of the proxy's core.
func timed(scale float64, do func() (work, error)) (sample, error) {
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
	core := after.cores[proxyCore].sub(before.cores[proxyCore])
	total := float64(max(all.total, 1))
	cpu := (time.Duration(all.busy) * tick).Seconds()
	s := sample{steal: float64(all.steal) / total}
	if after.foreign > before.foreign {
		s.foreign = float64(after.foreign-before.foreign) / total
	}
	s.values = []float64{w.units / w.seconds, cpu * scale / w.units, 100 * float64(core.busy) / float64(max(core.total, 1))}
	return s, nil
}

// wrkRound measures with wrk and the given Connection header.
func wrkRound(connection string, length time.Duration) func(context.Context, *target) (sample, error) {
	return func(ctx context.Context, t *target) (sample, error) {
		return timed(1e6, func() (work, error) {
			out, err := output(ctx, loadCore, "wrk", "-t1", "-c64", "-d"+strconv.Itoa(int(length.Seconds())),
				"-H", "Connection: "+connection, "http://"+t.addr+"/")
			if err != nil {
				return work{}, err
			}
			return parseWrk(out)
		})
	}
}

var (
	wrkDone   = regexp.MustCompile(`(?m)^\s*(\d+) requests in `)
	wrkRate   = regexp.MustCompile(`(?m)^Requests/sec:\s+([0-9.]+)$`)
	wrkFailed = regexp.MustCompile(`(?m)^\s*(Socket errors: .*|Non-2xx or 3xx responses: .*)$`)
)

// parseWrk reads the output of wrk. Any error that wrk counted is an error.
func parseWrk(out string) (work, error) {
	if m := wrkFailed.FindStringSubmatch(out); m != nil {
		return work{}, fmt.Errorf("wrk: %s", m[1])
	}
	done, rate := wrkDone.FindStringSubmatch(out), wrkRate.FindStringSubmatch(out)
	if done == nil || rate == nil {
		return work{}, fmt.Errorf("wrk: no result in %q", out)
	}
	n, err := strconv.ParseFloat(done[1], 64)
	if err != nil {
		return work{}, fmt.Errorf("wrk: %w", err)
	}
	r, err := strconv.ParseFloat(rate[1], 64)
	if err != nil || n == 0 || r == 0 {
		return work{}, fmt.Errorf("wrk: no request was answered")
	}
	return work{units: n, seconds: n / r}, nil
}

// bulkRound measures the transfer of t.size bytes.
func bulkRound(way string) func(context.Context, *target) (sample, error) {
	return func(ctx context.Context, t *target) (sample, error) {
		return timed(1e3, func() (work, error) { return bulk(ctx, way, t.addr, t.size) })
	}
}

// bulkWarm transfers a little and sets the size that fills a round.
func bulkWarm(way string, o options) func(context.Context, *target) error {
	return func(ctx context.Context, t *target) error {
		size, length := int64(1<<30), o.length
		if o.quick {
			size, length = 64<<20, o.length/4
		}
		w, err := bulk(ctx, way, t.addr, size)
		if err != nil {
			return err
		}
		t.size = max(size/4, int64(float64(size)/w.seconds*length.Seconds()))
		return nil
	}
}

// bulk moves size bytes on the load's core.
func bulk(ctx context.Context, way, addr string, size int64) (work, error) {
	args, err := self("bulk", way, strconv.FormatInt(size, 10), addr)
	if err != nil {
		return work{}, err
	}
	out, err := output(ctx, loadCore, args...)
	if err != nil {
		return work{}, err
	}
	seconds, err := strconv.ParseFloat(strings.TrimSpace(out), 64)
	if err != nil || seconds <= 0 {
		return work{}, fmt.Errorf("bulk: %q is not a duration in seconds", out)
	}
	return work{float64(size) / 1e9, seconds}, nil
}

// holdRound measures what conns idle connections cost a proxy just started.
func holdRound(conns int) func(context.Context, *target) (sample, error) {
	return func(ctx context.Context, t *target) (sample, error) {
		before, err := groupFootprint(t.proc.cmd.Process.Pid)
		if err != nil {
			return sample{}, err
		}
		release, err := hold(ctx, conns, t.addr)
		if err != nil {
			return sample{}, err
		}
		after, err := groupFootprint(t.proc.cmd.Process.Pid)
		release()
		if err != nil {
			return sample{}, err
		}
		n := float64(conns)
		return sample{values: []float64{
			float64(after.pss-before.pss) / 1024 / n,
			float64(after.files-before.files) / n,
			float64(before.pss) / (1 << 20),
		}}, nil
	}
}

// hold opens conns idle connections through addr and returns what ends them.
func hold(ctx context.Context, conns int, addr string) (release func(), err error) {
	args, err := self("hold", strconv.Itoa(conns), addr)
	if err != nil {
		return nil, err
	}
	cmd := command(ctx, loadCore, args...)
	var said strings.Builder
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	release = func() {
		in.Close()
		cmd.Wait()
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "held\n" {
		release()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, errors.New(strings.TrimSpace(strings.TrimPrefix(said.String(), "bench: ")))
	}
	return release, nil
}
