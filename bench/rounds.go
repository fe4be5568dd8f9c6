//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
)

// result is a load with the samples of everybody, in the order of contenders.
type result struct {
	load load
	rows []row
}

// row is a contender in a load: a sample for every pass, or why there is none.
type row struct {
	contender contender
	samples   []sample
	failed    string
	repeated  int // rounds measured again
	kept      int // rounds that count though they were disturbed
}

// column returns the values of metric m, one for each pass.
func (r row) column(m int) []float64 {
	var v []float64
	for _, s := range r.samples {
		v = append(v, s.values[m])
	}
	return v
}

// measureAll starts the backends, lets everybody pass the gate and measures
// what is wanted. The rates of L6 come from L1, so it comes after it.
func (s *suite) measureAll(ctx context.Context) (figures, error) {
	var f figures
	if strings.Contains(s.congestion, "root") {
		s.note("TCP congestion control is %s.", s.congestion)
	}
	for _, p := range []placement{p1, p2} {
		if p == p2 && !s.opt.wants(p2.name) {
			continue
		}
		if err := s.startBackends(ctx, p); err != nil {
			return f, err
		}
		if err := s.gate(ctx, p); err != nil {
			return f, err
		}
	}
	var err error
	if f.costs, err = measureCosts(ctx); err != nil {
		return f, err
	}
	for _, l := range loads(s.opt) {
		if err := s.add(ctx, &f, l); err != nil {
			return f, err
		}
	}
	if s.opt.wants("L6") {
		slowest := slowestRate(f.results)
		if math.IsNaN(slowest) {
			return f, errors.New("L6: nobody has a rate in L1")
		}
		for _, l := range latencyLoads(s.opt, slowest) {
			if err := s.add(ctx, &f, l); err != nil {
				return f, err
			}
			if !s.opt.quick {
				s.noteLate(f.results[len(f.results)-1])
			}
		}
	}
	if s.opt.wants("GC") {
		f.garbage, err = s.collect(ctx)
	}
	return f, err
}

// add measures a load and adds it to the figures.
func (s *suite) add(ctx context.Context, f *figures, l load) error {
	r, err := s.runLoad(ctx, l)
	f.results = append(f.results, r)
	return err
}

// runLoad warms everybody up and measures the rounds in ABBA order. A
// contender that fails takes no further part in this load.
func (s *suite) runLoad(ctx context.Context, l load) (result, error) {
	r := result{load: l}
	list := s.contenders
	if l.contenders != nil {
		list = l.contenders
	}
	for _, c := range list {
		r.rows = append(r.rows, row{contender: c})
	}
	targets := make([]*target, len(r.rows))
	defer func() {
		for _, t := range targets {
			if t != nil {
				t.proc.stop()
			}
		}
	}()
	if !l.fresh {
		s.each(passOrder(len(r.rows), 0), func(i int) {
			var err error
			if targets[i], err = s.prepare(ctx, l, r.rows[i].contender); err != nil {
				s.drop(ctx, l, &r.rows[i], err)
			}
		})
	}
	spare := len(r.rows)
	for pass := range l.passes {
		s.say("%s: pass %d of %d", l.name, pass+1, l.passes)
		s.each(passOrder(len(r.rows), pass), func(i int) {
			row := &r.rows[i]
			if row.failed != "" || ctx.Err() != nil {
				return
			}
			one, err := s.round(ctx, l, row, targets[i], &spare)
			if err != nil {
				s.drop(ctx, l, row, err)
				return
			}
			row.samples = append(row.samples, one)
		})
	}
	if ctx.Err() != nil {
		return r, ctx.Err()
	}
	s.noteDisturbances(r)
	return r, nil
}

// each does turn for every contender of order, one after the other. A quick run
// has no figures that others could disturb, so there all go at the same time.
func (s *suite) each(order []int, turn func(i int)) {
	if !s.opt.quick {
		for _, i := range order {
			turn(i)
		}
		return
	}
	var all sync.WaitGroup
	for _, i := range order {
		all.Go(func() { turn(i) })
	}
	all.Wait()
}

// noteDisturbances notes how many rounds of each contender were repeated, and
// how many count though they were disturbed.
func (s *suite) noteDisturbances(r result) {
	for _, w := range r.rows {
		if w.repeated+w.kept > 0 {
			s.note("%s: %s: %d rounds repeated (failed, or others used the machine), %d of %d kept though disturbed",
				r.load.name, w.contender.name, w.repeated, w.kept, len(w.samples))
		}
	}
}

// drop records that a contender has failed in a load, unless everything ends.
func (s *suite) drop(ctx context.Context, l load, r *row, err error) {
	if ctx.Err() != nil {
		return
	}
	r.failed, r.samples = err.Error(), nil
	s.note("%s: %s failed: %v", l.name, r.contender.name, err)
}

// prepare starts a contender for a load and warms it up.
func (s *suite) prepare(ctx context.Context, l load, c contender) (*target, error) {
	backend := s.backends[l.place.name].bytes
	if l.http {
		backend = s.backends[l.place.name].http
	}
	t, err := s.launch(ctx, l.place, c, backend, s.log)
	if err != nil {
		return nil, err
	}
	if l.warm != nil {
		if err := l.warm(ctx, t); err != nil {
			t.proc.stop()
			return nil, fmt.Errorf("warm-up: %w", err)
		}
	}
	return t, nil
}

// round measures once, again if it failed or was disturbed: maxTries in all,
// and for disturbances no more than spare, so that a busy machine cannot make
// the run endless. The least disturbed sample counts; the last error stays.
func (s *suite) round(ctx context.Context, l load, w *row, t *target, spare *int) (sample, error) {
	var best sample
	for try := 1; ; try++ {
		one, err := s.measure(ctx, l, w.contender, t)
		if ctx.Err() != nil || s.opt.quick {
			return one, err
		}
		if err == nil && (best.values == nil || one.steal+one.foreign < best.steal+best.foreign) {
			best = one
		}
		disturbed := disturbance(one)
		switch {
		case err == nil && disturbed == "":
			return one, nil
		case try == maxTries || err == nil && *spare == 0:
			if best.values != nil {
				w.kept++
				return best, nil
			}
			return one, err
		case err != nil:
			s.note("%s: %s: round failed and was repeated: %v", l.name, w.contender.name, err)
		default:
			*spare--
			s.say("%s: %s: round repeated because of %s", l.name, w.contender.name, disturbed)
		}
		w.repeated++
	}
}

// measure runs a round, with a new process if the load wants one.
func (s *suite) measure(ctx context.Context, l load, c contender, t *target) (sample, error) {
	if l.fresh {
		fresh, err := s.prepare(ctx, l, c)
		if err != nil {
			return sample{}, err
		}
		defer fresh.proc.stop()
		t = fresh
	}
	return l.measure(ctx, t)
}

// disturbance says what spoiled a sample, if anything.
func disturbance(s sample) string {
	switch {
	case s.steal > maxSteal:
		return fmt.Sprintf("%.1f %% of steal time", 100*s.steal)
	case s.foreign > maxForeign:
		return fmt.Sprintf("%.1f %% of the machine used by other processes", 100*s.foreign)
	}
	return ""
}

// verdict is an error if a contender failed that must not.
func (s *suite) verdict(results []result) error {
	var failed []string
	for _, r := range results {
		for _, row := range r.rows {
			if row.failed != "" && !row.contender.mayFail {
				failed = append(failed, fmt.Sprintf("%s: %s: %s", r.load.name, row.contender.name, row.failed))
			}
		}
	}
	if len(failed) > 0 {
		return errors.New(strings.Join(failed, "; "))
	}
	s.say("everybody served without an error, but for what is noted above")
	return nil
}
