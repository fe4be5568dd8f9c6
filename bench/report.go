//go:build linux

package main

import (
	"errors"
	"fmt"
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

// figures are all that a run has found.
type figures struct {
	costs   costs
	results []result
	garbage []garbage
}

// report renders a whole run as Markdown without a title. The charts are
// expected in results/, beginning with name.
func (s *suite) report(f figures, name string, charts []chart) (string, error) {
	var b strings.Builder
	if err := s.conditions(&b, f.costs); err != nil {
		return "", err
	}
	b.WriteString("\nGate (byte-exact both ways, 1 MiB answer after half-close):\n\n")
	for _, line := range s.gateLines {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	b.WriteString("\nEvery figure is the median of the rounds; ratios are of the rounds of one pass, " +
		"with their bootstrap 95 % interval. `*` marks the better of the two HAProxy settings: that one counts.\n")
	for _, r := range f.results {
		if r.load.key == "L6" && r.load.label == fmt.Sprintf("%d %%", mainShare) {
			fmt.Fprintf(&b, "\nThe tail, first: at %d %% of the slowest's maximum\n\n", mainShare)
			for _, line := range r.againstBest(columnP99) {
				fmt.Fprintf(&b, "- **%s**\n", line)
			}
		}
	}
	for _, c := range charts {
		fmt.Fprintf(&b, "\n![%s](results/%s)\n", c.title, c.file(name))
	}
	for _, r := range f.results {
		r.section(&b)
	}
	garbageSection(&b, f.garbage)
	b.WriteString("\nNoted during the run:\n\n")
	for _, n := range s.notes {
		fmt.Fprintf(&b, "- %s\n", n)
	}
	if len(s.notes) == 0 {
		b.WriteString("- nothing: no round was repeated, nobody failed\n")
	}
	return b.String(), nil
}

// conditions says on what, with what and how the run was made.
func (s *suite) conditions(b *strings.Builder, c costs) error {
	machine, err := machine()
	if err != nil {
		return err
	}
	programs, err := versions(s.opt.pen)
	if err != nil {
		return err
	}
	fmt.Fprintf(b, "Measured %s with `%s`.\n\n", time.Now().UTC().Format("2006-01-02 15:04 UTC"), s.opt)
	fmt.Fprintf(b, "- Machine: %s\n", machine)
	fmt.Fprintf(b, "- Costs here: getpid() %.0f ns; a byte to the other core and back through pipes %.1f us\n",
		c.Getpid, c.Ping/1000)
	fmt.Fprintf(b, "- Placement: proxy alone on core %d with one worker, load and backend on core %d; "+
		"where a load's name begins with %s: nothing pinned, two workers everywhere (C Pen has but one)\n", proxyCore, loadCore, p2.name)
	fmt.Fprintf(b, "- Equal for all: TCP congestion control %s, %d descriptors, backlog %d where it can be set, TCP_NODELAY, no logs\n",
		s.congestion, s.files, backlog)
	for _, p := range programs {
		fmt.Fprintf(b, "- %s\n", p)
	}
	return nil
}

// section renders the tables of one load.
func (r result) section(b *strings.Builder) {
	fmt.Fprintf(b, "\n### %s\n\n%s %d passes.\n", r.load.name, r.load.about, r.load.passes)
	for m := range r.load.metrics {
		if !r.load.metrics[m].plain {
			b.WriteString("\n" + r.table(m))
		}
	}
	if r.load.key == "L6" {
		b.WriteString("\n")
		for _, line := range r.againstBest(columnP99) {
			fmt.Fprintf(b, "- %s\n", line)
		}
	}
}

// garbageSection renders what our garbage collector did, if it was looked at.
func garbageSection(b *strings.Builder, all []garbage) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(b, "\n### Our garbage collector under L1\n\nA round of L1 with %d connections that is not timed, after a warm-up, "+
		"with the collector's trace. What was allocated is known only between two cycles, in whole MB each.\n\n", mainConns)
	b.WriteString("| contender | seconds | requests | cycles | of them forced after two minutes | heap allocated between the first and the last, MB |\n")
	b.WriteString("|---|--:|--:|--:|--:|--:|\n")
	for _, g := range all {
		fmt.Fprintf(b, "| %s | %.0f | %.0f | %d | %d | %s |\n", g.contender, g.seconds, g.requests, g.cycles, g.forced,
			unless(g.cycles < 2, fmt.Sprintf("%.0f", g.allocated)))
	}
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

// resultName is how the files of a run's results begin: a selection of loads
// must not replace a whole run.
func resultName(loads []string) (string, error) {
	release, err := kernel()
	if err != nil {
		return "", err
	}
	parts := append([]string{time.Now().UTC().Format("2006-01-02"), release}, loads...)
	return strings.Join(parts, "-"), nil
}

// writeReport writes the figures of a run and its charts to dir/results and,
// if the run was a whole one, to dir/README.md.
func writeReport(dir, name, tables string, charts []chart, whole bool) error {
	if err := os.MkdirAll(filepath.Join(dir, "results"), 0o755); err != nil {
		return err
	}
	for _, c := range charts {
		if err := os.WriteFile(filepath.Join(dir, "results", c.file(name)), []byte(c.render()), 0o644); err != nil {
			return err
		}
	}
	file := filepath.Join(dir, "results", name+".md")
	beside := strings.ReplaceAll(tables, "](results/", "](")
	if err := os.WriteFile(file, []byte("# Figures of "+name+"\n\n"+beside), 0o644); err != nil {
		return err
	}
	if !whole {
		return nil
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
