//go:build linux

package main

import (
	"math"
	"strings"
	"testing"
)

const wrkOutput = `Running 2s test @ http://127.0.0.1:7100/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.14ms  274.94us   4.18ms   80.28%
    Req/Sec    37.25k     2.93k   39.25k    90.00%
  74125 requests in 2.01s, 10.53MB read
Requests/sec:  36791.04
Transfer/sec:      5.23MB
`

func TestParseWrk(t *testing.T) {
	w, err := parseWrk(wrkOutput)
	if err != nil {
		t.Fatal(err)
	}
	if w.units != 74125 || math.Abs(w.units/w.seconds-36791.04) > 0.01 {
		t.Errorf("got %+v", w)
	}
	for _, c := range []struct{ add, want string }{
		{"  Socket errors: connect 0, read 3, write 0, timeout 0\n", "read 3"},
		{"  Non-2xx or 3xx responses: 12\n", "responses: 12"},
	} {
		if _, err := parseWrk(wrkOutput + c.add); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("with %q: error %v", c.add, err)
		}
	}
	for _, bad := range []string{"", "  0 requests in 2.00s, 0B read\nRequests/sec:      0.00\n"} {
		if _, err := parseWrk(bad); err == nil {
			t.Errorf("parseWrk(%q) gave no error", bad)
		}
	}
}

// madeResult is a timed load of three contenders with two passes each.
func madeResult() result {
	made := func(name string, rates, costs []float64) row {
		r := row{contender: contender{name: name, own: name == ours}}
		for i := range rates {
			r.samples = append(r.samples, sample{values: []float64{rates[i], costs[i], 50}})
		}
		return r
	}
	return result{
		load: load{name: "load", metrics: timedMetrics(p1, "requests/s", "us/request", 0)},
		rows: []row{
			made(direct, []float64{1000, 1200}, []float64{10, 10}),
			made(splice, []float64{500, 600}, []float64{30, 30}),
			made(noSplice, []float64{400, 500}, []float64{20, 20}),
			{contender: contender{name: "C Pen"}, failed: "silence"},
			made(ours, []float64{750, 900}, []float64{15, 15}),
		},
	}
}

func TestTable(t *testing.T) {
	r := madeResult()
	rate, cost := r.table(0), r.table(1)
	for _, c := range []struct{ table, want string }{
		{rate, "| direct | 1100 | - | - | 50 |"},
		{rate, "| " + splice + " * | 550 | 0.500 (0.500 to 0.500) | 1.500 (1.500 to 1.500) | 50 |"},
		{rate, "| C Pen | failed: silence |  |  |  |"},
		{rate, "| " + ours + " | 825 | 0.750 (0.750 to 0.750) | - | 50 |"},
		{cost, "| " + noSplice + " * | 20.0 | 2.000 (2.000 to 2.000) | 0.750 (0.750 to 0.750) | 10.0 | 0.500 (0.500 to 0.500) |"},
	} {
		if !strings.Contains(c.table, c.want+"\n") {
			t.Errorf("missing %q in\n%s", c.want, c.table)
		}
	}
}

func TestVerdict(t *testing.T) {
	r := madeResult()
	s := &suite{}
	r.rows[3].contender.mayFail = true
	if err := s.verdict([]result{r}); err != nil {
		t.Errorf("a failure that is allowed: %v", err)
	}
	r.rows[3].contender.mayFail = false
	if err := s.verdict([]result{r}); err == nil {
		t.Error("a failure that is not allowed gave no error")
	}
}

func TestReplaceResults(t *testing.T) {
	got, err := replaceResults("a\n"+beginMark+"\nold\n"+endMark+"\nz\n", "new\n")
	if want := "a\n" + beginMark + "\nnew\n" + endMark + "\nz\n"; err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
	for _, bad := range []string{"", beginMark + "\n", endMark + "\n" + beginMark + "\n"} {
		if _, err := replaceResults(bad, ""); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
