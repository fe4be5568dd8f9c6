//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// latencyConns is the number of connections of L6.
const latencyConns = 256

// mainShare is the rate of L6, in per cent of the slowest contender's maximum,
// that the report puts first.
const mainShare = 50

// Columns of L6.
const (
	columnP99  = 1
	columnLate = 4
)

// latencyLoads is L6: latencies at fixed rates, shares of slowest, which is in
// requests a second.
func latencyLoads(o options, slowest float64) []load {
	var all []load
	for _, share := range []int{25, mainShare, 75} {
		passes := o.fewer()
		if share == mainShare {
			passes = o.rounds
		}
		rate := slowest * float64(share) / 100
		l := load{
			key: "L6", place: p1, passes: passes, http: true,
			name:  fmt.Sprintf("L6 latency at %d %% of the slowest's maximum", share),
			label: fmt.Sprintf("%d %%", share),
			about: fmt.Sprintf("Own sender, open loop: %.0f requests/s, each sent when it is due (on a grid of %d us), whatever has "+
				"been answered, in turn on %d keep-alive connections; the backend is nginx with `return 200`. Latencies count "+
				"from the time when a request was due. The slowest's maximum is that of L1 with %d connections. \"Sent late\" "+
				"are the requests that the sender itself sent more than %d us after they were due.",
				rate, step.Microseconds(), latencyConns, mainConns, lateness.Microseconds()),
			metrics: []metric{
				{name: "p50, us", label: "p50", chart: chartLatency, less: true, plain: true},
				{name: "p99, us", label: "p99", chart: chartLatency, less: true, added: true},
				{name: "p99.9, us", label: "p99.9", chart: chartLatency, less: true, plain: true},
				{name: "max, us", less: true, plain: true},
				{name: "sent late, %", digits: 2, less: true, plain: true},
				{name: "CPU of the machine, us/request", digits: 1, less: true, plain: true},
			},
			measure: func(ctx context.Context, t *target) (sample, error) { return latencyRound(ctx, t, rate, o.length) },
		}
		if !o.quick {
			l.warm = func(ctx context.Context, t *target) error {
				_, err := latencyRound(ctx, t, rate, o.length/4)
				return err
			}
		}
		all = append(all, l)
	}
	return all
}

// latencyRound measures L6 once.
func latencyRound(ctx context.Context, t *target, rate float64, length time.Duration) (sample, error) {
	c, err := startSender(ctx, p1, latencyConns, rate, length, t.addr)
	if err != nil {
		return sample{}, err
	}
	var seen outcome
	s, err := timed(p1, 1e6, func() (work, error) {
		var err error
		seen, err = c.outcome()
		return work{seen.Requests, seen.Seconds}, err
	})
	if err != nil {
		return s, err
	}
	cost := s.values[1]
	s.values = []float64{seen.P50, seen.P99, seen.P999, seen.Max, 100 * seen.Late, cost}
	return s, nil
}

// startSender starts the sender and returns once its connections are open. The
// caller must ask for its outcome.
func startSender(ctx context.Context, p placement, conns int, rate float64, length time.Duration, addr string) (*companion, error) {
	args, err := self("send", strconv.Itoa(conns), strconv.FormatFloat(rate, 'f', 1, 64), strconv.Itoa(mainConns),
		fmt.Sprint(length.Seconds()), addr)
	if err != nil {
		return nil, err
	}
	return accompany(ctx, p.loadCore(), args...)
}

// outcome lets a sender run and returns what it has seen.
func (c *companion) outcome() (outcome, error) {
	var o outcome
	text, err := c.finish()
	if err != nil {
		return o, err
	}
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return o, fmt.Errorf("outcome of the sender: %w", err)
	}
	if o.Requests < 1 || o.Seconds <= 0 {
		return o, errors.New("no request was answered")
	}
	return o, nil
}

// slowestRate returns the least of the contenders' median rates in the main
// load, NaN if it was not measured.
func slowestRate(results []result) float64 {
	slowest := math.NaN()
	for _, r := range results {
		if !r.load.isMain() {
			continue
		}
		for _, w := range r.rows {
			if rate := median(w.column(0)); !(rate >= slowest) && !math.IsNaN(rate) {
				slowest = rate
			}
		}
	}
	return slowest
}

// noteLate tells where the sender itself did not keep its schedule, so that
// some of the latency is its own.
func (s *suite) noteLate(r result) {
	const bearable = 0.1 // per cent: more may be seen in p99.9
	var late []string
	for _, w := range r.rows {
		if share := median(w.column(columnLate)); share > bearable {
			late = append(late, fmt.Sprintf("%s %.2f %%", w.contender.name, share))
		}
	}
	if len(late) > 0 {
		s.note("%s: requests that the sender sent more than %d us late, so that some of the latency is its own: %s",
			r.load.name, lateness.Microseconds(), strings.Join(late, ", "))
	}
}
