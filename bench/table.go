//go:build linux

package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// lead is the first metric that has a table; the plain ones stand in it too.
func (l load) lead() int {
	return slices.IndexFunc(l.metrics, func(m metric) bool { return !m.plain })
}

// table renders metric m, with the plain metrics beside the first one.
func (r result) table(m int) string {
	metric := r.load.metrics[m]
	better := "more is better"
	if metric.less {
		better = "less is better"
	}
	head := []string{"contender", metric.name + " (" + better + ")"}
	if !metric.alone {
		head = append(head, "ratio to direct")
	}
	head = append(head, "ours / it")
	if metric.added {
		head = append(head, "added to direct", "added: ours / it")
	}
	if m == r.load.lead() {
		for _, p := range r.load.metrics {
			if p.plain {
				head = append(head, p.name)
			}
		}
	}
	var b strings.Builder
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(head)
	b.WriteString("|---" + strings.Repeat("|--:", len(head)-1) + "|\n")
	for _, row := range r.rows {
		if !metric.alone || row.contender.name != direct {
			line(r.cells(row, m, len(head)))
		}
	}
	return b.String()
}

// cells renders the line of one contender in the table of metric m.
func (r result) cells(w row, m, width int) []string {
	if w.failed != "" {
		cells := make([]string, width)
		cells[0], cells[1] = w.contender.name, "failed: "+w.failed
		return cells
	}
	metric, own := r.load.metrics[m], w.column(m)
	base, mine := r.find(direct).column(m), r.ours().column(m)
	name := w.contender.name
	if name == r.betterHAProxy(m) {
		name += " *"
	}
	cells := []string{name, number(median(own), metric.digits)}
	if !metric.alone {
		cells = append(cells, ratio(own, base, name == direct))
	}
	cells = append(cells, ratio(mine, own, w.is(r.ours()) || name == direct))
	if metric.added {
		added := combine(own, base, minus)
		cells = append(cells, unless(name == direct, number(median(added), metric.digits)),
			ratio(combine(mine, base, minus), added, w.is(r.ours()) || name == direct))
	}
	if m == r.load.lead() {
		for i, p := range r.load.metrics {
			if p.plain {
				cells = append(cells, number(median(w.column(i)), p.digits))
			}
		}
	}
	return cells
}

// find returns the row of a contender, an empty one if it takes no part.
func (r result) find(name string) row {
	for _, w := range r.rows {
		if w.contender.name == name {
			return w
		}
	}
	return row{}
}

// ours returns the row of the first contender of ours, which is compared with
// all others.
func (r result) ours() row {
	for _, w := range r.rows {
		if w.contender.own {
			return w
		}
	}
	return row{}
}

// is says whether both are rows of the same contender.
func (w row) is(o row) bool { return w.contender.name == o.contender.name }

// bestOther returns the row with the best median of metric m among the proxies
// that are not ours, an empty one if there is none.
func (r result) bestOther(m int) row {
	var best row
	for _, w := range r.rows {
		if w.contender.own || w.contender.name == direct || len(w.samples) == 0 {
			continue
		}
		if len(best.samples) == 0 || (median(w.column(m)) < median(best.column(m))) == r.load.metrics[m].less {
			best = w
		}
	}
	return best
}

// againstBest says for each contender of ours how it compares in metric m with
// the best of the others.
func (r result) againstBest(m int) []string {
	best := r.bestOther(m)
	var lines []string
	for _, w := range r.rows {
		if w.contender.own && len(w.samples) > 0 && len(best.samples) > 0 {
			lines = append(lines, fmt.Sprintf("%s of %s is %s times that of the best other contender, %s", r.load.metrics[m].label,
				w.contender.name, ratio(w.column(m), best.column(m), false), best.contender.name))
		}
	}
	return lines
}

// betterHAProxy names the HAProxy setting with the better median of metric m.
func (r result) betterHAProxy(m int) string {
	a, b := r.find(splice), r.find(noSplice)
	switch {
	case len(a.samples) == 0:
		return noSplice
	case len(b.samples) == 0:
		return splice
	case (median(a.column(m)) < median(b.column(m))) == r.load.metrics[m].less:
		return splice
	}
	return noSplice
}

// ratio renders a/b of paired rounds, or a dash if it is not wanted or has no
// meaning because a value of either is not positive.
func ratio(a, b []float64, omit bool) string {
	for _, v := range append(append([]float64{}, a...), b...) {
		omit = omit || v <= 0
	}
	i := bootstrap(combine(a, b, over))
	return unless(omit || math.IsNaN(i.mid), fmt.Sprintf("%.3f (%.3f to %.3f)", i.mid, i.low, i.high))
}

// number renders v; a dash stands for no value.
func number(v float64, digits int) string {
	return unless(math.IsNaN(v), fmt.Sprintf("%.*f", digits, v))
}

// unless returns text, or a dash if omit.
func unless(omit bool, text string) string {
	if omit {
		return "-"
	}
	return text
}
