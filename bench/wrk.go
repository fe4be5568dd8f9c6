//go:build linux

package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Connections at a time: of the main loads, and of the one with many.
const (
	mainConns = 64
	manyConns = 1000
)

// exchange is a kind of small HTTP request.
type exchange struct{ key, name, unit, header string }

var (
	keepAlive = exchange{"L1", "L1 keep-alive requests", "request", "keep-alive"}
	newConns  = exchange{"L2", "L2 new connections", "connection", "close"}
)

// wrkLoad is small HTTP requests on conns connections at a time.
func wrkLoad(o options, p placement, passes, conns int, e exchange) load {
	l := load{
		key: e.key, label: p.title(e.key), place: p, passes: passes, http: true,
		name: p.title(fmt.Sprintf("%s, %d at a time", e.name, conns)),
		about: fmt.Sprintf("`wrk -t%d -c%d`, small requests with \"Connection: %s\"; the backend is nginx with `return 200`.",
			p.threads(conns), conns, e.header),
		metrics: timedMetrics(p, e.unit+"s/s", "us/"+e.unit, 0),
		measure: wrkRound(p, conns, e.header, o.length),
	}
	if e == keepAlive {
		l.label += fmt.Sprintf("/%d", conns)
	}
	l.metrics[1].chart = chartCPU
	if !o.quick {
		l.warm = func(ctx context.Context, t *target) error {
			_, err := wrk(ctx, p, conns, e.header, time.Second, t.addr)
			return err
		}
	}
	return l
}

// threads is the number of threads of wrk, which wants a connection for each.
func (p placement) threads(conns int) int { return min(p.workers, conns) }

// isMain says whether l is the load that gives L6 its rates.
func (l load) isMain() bool { return l.label == fmt.Sprintf("%s/%d", keepAlive.key, mainConns) }

// wrkRound measures with wrk and the given Connection header.
func wrkRound(p placement, conns int, header string, length time.Duration) func(context.Context, *target) (sample, error) {
	return func(ctx context.Context, t *target) (sample, error) {
		return timed(p, 1e6, func() (work, error) { return wrk(ctx, p, conns, header, length, t.addr) })
	}
}

// wrk runs wrk. It knows whole seconds only: a length below one is one.
func wrk(ctx context.Context, p placement, conns int, header string, length time.Duration, addr string) (work, error) {
	args := []string{
		"wrk", "-t" + strconv.Itoa(p.threads(conns)), "-c" + strconv.Itoa(conns),
		"-d" + strconv.Itoa(max(1, int(length.Seconds()))), "-H", "Connection: " + header, "http://" + addr + "/",
	}
	out, err := output(ctx, p.loadCore(), args...)
	if err != nil {
		return work{}, err
	}
	return parseWrk(out)
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
