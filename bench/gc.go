//go:build linux

package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// garbage is what our garbage collector did under L1, in a round that is not
// timed, because tracing costs.
type garbage struct {
	contender string
	requests  float64
	seconds   float64
	cycles    int
	forced    int     // of them because two minutes had passed
	allocated float64 // MB between the first and the last cycle, roughly: the trace has whole MB
}

// collect runs L1 through each contender of ours with the trace of its garbage
// collector (GODEBUG=gctrace=1, package runtime).
func (s *suite) collect(ctx context.Context) ([]garbage, error) {
	warm, length := time.Second, time.Minute
	if s.opt.quick {
		warm, length = s.opt.length, 5*time.Second
	}
	var all []garbage
	for _, c := range s.contenders {
		if !c.own {
			continue
		}
		s.say("garbage collector of %s: %v of L1", c.name, length)
		one, err := s.collectOne(ctx, c, warm, length)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// collectOne does it for one contender, after a warm-up.
func (s *suite) collectOne(ctx context.Context, c contender, warm, length time.Duration) (garbage, error) {
	name := filepath.Join(s.dir, "gctrace")
	log, err := os.Create(name)
	if err != nil {
		return garbage{}, err
	}
	defer log.Close()
	t, err := s.launch(ctx, p1, c, s.backends[p1.name].http, log, "GODEBUG=gctrace=1")
	if err != nil {
		return garbage{}, err
	}
	defer t.proc.stop()
	if _, err := wrk(ctx, p1, mainConns, keepAlive.header, warm, t.addr); err != nil {
		return garbage{}, err
	}
	before, err := os.ReadFile(name)
	if err != nil {
		return garbage{}, err
	}
	w, err := wrk(ctx, p1, mainConns, keepAlive.header, length, t.addr)
	if err != nil {
		return garbage{}, err
	}
	after, err := os.ReadFile(name)
	if err != nil {
		return garbage{}, err
	}
	g := parseTrace(string(after[len(before):]))
	g.contender, g.requests, g.seconds = c.name, w.units, w.seconds
	return g, nil
}

// traceLine is a cycle: its number, and the heap in MB at its begin, at its end
// and what of it is alive.
var traceLine = regexp.MustCompile(`^gc \d+ @[0-9.]+s .*, (\d+)->(\d+)->(\d+) MB, `)

// parseTrace counts the cycles in a trace; other lines do not matter.
func parseTrace(text string) garbage {
	var g garbage
	alive := 0.0
	for line := range strings.Lines(text) {
		m := traceLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		begin, err1 := strconv.ParseFloat(m[1], 64)
		left, err2 := strconv.ParseFloat(m[3], 64)
		if err1 != nil || err2 != nil {
			continue
		}
		if g.cycles > 0 {
			g.allocated += max(0, begin-alive)
		}
		g.cycles++
		alive = left
		if strings.Contains(line, "(forced)") {
			g.forced++
		}
	}
	return g
}
