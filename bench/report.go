//go:build linux

package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The tables stand between these lines of README.md.
const (
	beginMark = "<!-- results: begin -->"
	endMark   = "<!-- results: end -->"
)

// report renders a whole run as Markdown without a title.
func (s *suite) report(c costs, results []result) (string, error) {
	var b strings.Builder
	machine, err := machine()
	if err != nil {
		return "", err
	}
	programs, err := versions(s.opt.pen)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "Measured %s with `-rounds %d -seconds %d -conns %d`.\n\n",
		time.Now().UTC().Format("2006-01-02 15:04 UTC"), s.opt.rounds, int(s.opt.length.Seconds()), s.opt.conns)
	fmt.Fprintf(&b, "- Machine: %s\n", machine)
	fmt.Fprintf(&b, "- Costs here: getpid() %.0f ns; a byte to the other core and back through pipes %.1f us\n",
		c.Getpid, c.Ping/1000)
	fmt.Fprintf(&b, "- Placement: proxy alone on core %d with one worker, load and backend on core %d\n", proxyCore, loadCore)
	fmt.Fprintf(&b, "- Equal for all: TCP congestion control %s, %d descriptors, backlog %d where it can be set, TCP_NODELAY, no logs\n",
		s.congestion, s.files, backlog)
	for _, p := range programs {
		fmt.Fprintf(&b, "- %s\n", p)
	}
	b.WriteString("\nGate (byte-exact both ways, 1 MiB answer after half-close):\n\n")
	for _, line := range s.gateLines {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	b.WriteString("\nEvery figure is the median of the rounds; ratios are of the rounds of one pass, " +
		"with their bootstrap 95 % interval. `*` marks the better of the two HAProxy settings: that one counts.\n")
	for _, r := range results {
		fmt.Fprintf(&b, "\n### %s\n\n%s\n", r.load.name, r.load.about)
		for m := range r.load.metrics {
			if !r.load.metrics[m].plain {
				b.WriteString("\n" + r.table(m))
			}
		}
	}
	b.WriteString("\nNoted during the run:\n\n")
	for _, n := range s.notes {
		fmt.Fprintf(&b, "- %s\n", n)
	}
	if len(s.notes) == 0 {
		b.WriteString("- nothing: no round was repeated, nobody failed\n")
	}
	return b.String(), nil
}

// table renders metric m, with the plain metrics beside the first one.
func (r result) table(m int) string {
	metric := r.load.metrics[m]
	better := "more is better"
	if metric.less {
		better = "less is better"
	}
	head := []string{"contender", metric.name + " (" + better + ")"}
	if !r.load.proxiesOnly {
		head = append(head, "ratio to direct")
	}
	head = append(head, "ours / it")
	if metric.added {
		head = append(head, "added to direct", "added: ours / it")
	}
	if m == 0 {
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
		line(r.cells(row, m, len(head)))
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
	base, mine := r.find(direct).column(m), r.find(ours).column(m)
	name := w.contender.name
	if name == r.betterHAProxy(m) {
		name += " *"
	}
	cells := []string{name, number(median(own), metric.digits)}
	if !r.load.proxiesOnly {
		cells = append(cells, ratio(own, base, name == direct))
	}
	cells = append(cells, ratio(mine, own, name == ours || name == direct))
	if metric.added {
		added := combine(own, base, minus)
		cells = append(cells, unless(name == direct, number(median(added), metric.digits)),
			ratio(combine(mine, base, minus), added, name == ours || name == direct))
	}
	if m == 0 {
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

// checkReadme makes sure, before anything is measured, that there is a place
// for the result.
func checkReadme(dir string) error {
	path := filepath.Join(dir, "README.md")
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%w (run it from the module's root, or name the folder with -dir)", err)
	}
	if _, err := replaceResults(string(text), ""); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// replaceResults puts tables between the two marks of text.
func replaceResults(text, tables string) (string, error) {
	before, rest, begun := strings.Cut(text, beginMark+"\n")
	_, after, ended := strings.Cut(rest, endMark)
	if !begun || !ended {
		return "", errors.New("the lines " + beginMark + " and " + endMark + " must stand in it, in this order")
	}
	return before + beginMark + "\n" + tables + endMark + after, nil
}

// writeReport writes the figures of a run to dir/results and to dir/README.md.
func writeReport(dir, tables string) error {
	release, err := kernel()
	if err != nil {
		return err
	}
	name := time.Now().UTC().Format("2006-01-02") + "-" + release
	if err := os.MkdirAll(filepath.Join(dir, "results"), 0o755); err != nil {
		return err
	}
	file := filepath.Join(dir, "results", name+".md")
	if err := os.WriteFile(file, []byte("# Figures of "+name+"\n\n"+tables), 0o644); err != nil {
		return err
	}
	readme := filepath.Join(dir, "README.md")
	text, err := os.ReadFile(readme)
	if err != nil {
		return err
	}
	changed, err := replaceResults(string(text), "\n"+tables+"\n")
	if err != nil {
		return fmt.Errorf("%s: %w", readme, err)
	}
	return os.WriteFile(readme, []byte(changed), 0o644)
}
