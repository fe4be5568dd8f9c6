//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
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

// runLoad warms everybody up and measures the rounds in ABBA order. A
// contender that fails takes no further part in this load.
func (s *suite) runLoad(ctx context.Context, l load) (result, error) {
	r := result{load: l}
	for _, c := range s.contenders {
		if c.command != nil || !l.proxiesOnly {
			r.rows = append(r.rows, row{contender: c})
		}
	}
	targets := make([]*target, len(r.rows))
	defer func() {
		for _, t := range targets {
			if t != nil {
				t.proc.stop()
			}
		}
	}()
	for i := range r.rows {
		if l.fresh {
			continue
		}
		var err error
		if targets[i], err = s.prepare(ctx, l, r.rows[i].contender); err != nil {
			if ctx.Err() != nil {
				return r, ctx.Err()
			}
			s.drop(l, &r.rows[i], err)
		}
	}
	spare := len(r.rows) * s.opt.rounds / 2
	for pass := range s.opt.rounds {
		s.say("%s: pass %d of %d", l.name, pass+1, s.opt.rounds)
		for _, i := range passOrder(len(r.rows), pass) {
			row := &r.rows[i]
			if row.failed != "" {
				continue
			}
			one, err := s.round(ctx, l, row, targets[i], &spare)
			if ctx.Err() != nil {
				return r, ctx.Err()
			}
			if err != nil {
				s.drop(l, row, err)
				continue
			}
			row.samples = append(row.samples, one)
		}
	}
	s.noteDisturbances(r)
	return r, nil
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

// drop records that a contender has failed in a load.
func (s *suite) drop(l load, r *row, err error) {
	r.failed, r.samples = err.Error(), nil
	s.note("%s: %s failed: %v", l.name, r.contender.name, err)
}

// prepare starts a contender for a load and warms it up.
func (s *suite) prepare(ctx context.Context, l load, c contender) (*target, error) {
	backend := s.bytePort
	if l.http {
		backend = s.httpPort
	}
	t, err := s.launch(ctx, c, backend)
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
