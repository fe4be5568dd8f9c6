//go:build linux

package main

import (
	"fmt"
	"strings"
)

// chartKind is the chart that shows a metric, if any.
type chartKind int

const (
	noChart chartKind = iota
	chartRates
	chartCPU
	chartLatency
)

// chart is bars in groups, a bar of each name in every group.
type chart struct {
	kind   chartKind
	suffix string // of its file
	title  string
	log    bool    // a logarithmic axis; every value is positive
	line   float64 // where to draw a line across, if not 0
	names  []string
	groups []group
}

// group is the bars of one load in the order of the chart's names; a bar that is
// NaN is left out.
type group struct {
	label string
	bars  []interval
}

// file is the name of a chart's file.
func (c chart) file(result string) string { return result + "-" + c.suffix + ".svg" }

// drawn returns the charts of what was measured.
func drawn(results []result) []chart {
	var all []chart
	for _, c := range []chart{
		{kind: chartRates, suffix: "throughput", title: "Throughput, ratio to direct (more is better)", line: 1},
		{kind: chartCPU, suffix: "cpu", title: "CPU time of the machine, us for each request or connection (less is better)"},
		{kind: chartLatency, suffix: "latency", title: "Latency at shares of the slowest's maximum, us (less is better)", log: true},
	} {
		for _, r := range results {
			c.add(r)
		}
		if len(c.groups) > 0 {
			all = append(all, c)
		}
	}
	return all
}

// add adds the groups of a load's metrics that the chart is for. Ratios have no bar for
// direct, which is 1.
func (c *chart) add(r result) {
	for m, metric := range r.load.metrics {
		if metric.chart != c.kind {
			continue
		}
		g := group{label: strings.TrimSpace(r.load.label + " " + metric.label)}
		c.names = nil
		for _, w := range r.rows {
			values := w.column(m)
			if c.kind == chartRates {
				if w.contender.name == direct {
					continue
				}
				values = combine(values, r.find(direct).column(m), over)
			}
			c.names = append(c.names, w.contender.name)
			g.bars = append(g.bars, bootstrap(values))
		}
		c.groups = append(c.groups, g)
	}
}

// describe is the text that a reader of the chart sees at a bar.
func (i interval) describe(name, label string) string {
	return fmt.Sprintf("%s, %s: %.3g (%.3g to %.3g)", name, label, i.mid, i.low, i.high)
}
