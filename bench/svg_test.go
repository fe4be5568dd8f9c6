//go:build linux

package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

// elements checks that text is well-formed XML and counts its elements.
func elements(t *testing.T, text string) map[string]int {
	t.Helper()
	if strings.Contains(text, "%!") || strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
		t.Errorf("a number is missing in\n%s", text)
	}
	count := map[string]int{}
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return count
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if e, ok := token.(xml.StartElement); ok {
			count[e.Name.Local]++
		}
	}
}

func TestRender(t *testing.T) {
	none := interval{math.NaN(), math.NaN(), math.NaN()}
	for _, log := range []bool{false, true} {
		c := chart{
			title: `a < b & "c"`, log: log, line: 1, names: []string{direct, "x <&>"},
			groups: []group{{"one", []interval{{2, 1, 3}, none}}, {"two & three", []interval{{0.5, 0.25, 40}, {7, 7, 7}}}},
		}
		count := elements(t, c.render())
		// The ground, two in the legend, three bars.
		if count["svg"] != 1 || count["rect"] != 1+2+3 || count["title"] != 1+3 {
			t.Errorf("logarithmic %v: %v", log, count)
		}
	}
	empty := chart{title: "t", names: []string{"x"}, groups: []group{{"g", []interval{none}}}}
	if count := elements(t, empty.render()); count["svg"] != 1 {
		t.Errorf("no bars: %v", count)
	}
}

func TestAxis(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		log       bool
		want      []float64
	}{
		{0.5, 1, false, []float64{0, 0.2, 0.4, 0.6, 0.8, 1}},
		{0, 250, false, []float64{0, 50, 100, 150, 200, 250}},
		{3, 7, false, []float64{0, 1, 2, 3, 4, 5, 6, 7}},
		{90, 5000, true, []float64{10, 100, 1000, 10000}},
		{100, 100, true, []float64{100, 1000}},
	} {
		a := newAxis(c.low, c.high, c.log)
		if !slices.EqualFunc(a.ticks, c.want, func(x, y float64) bool { return math.Abs(x-y) < 1e-9*(1+y) }) {
			t.Errorf("axis to %v: %v, want %v", c.high, a.ticks, c.want)
		}
		last := len(a.ticks) - 1
		if a.y(a.ticks[0]) != plotBottom || a.y(a.ticks[last]) != plotTop || a.y(1e9) != plotTop || a.y(0) != plotBottom {
			t.Errorf("axis to %v: its ends are at %v and %v", c.high, a.y(a.ticks[0]), a.y(a.ticks[last]))
		}
	}
}

// Every chart has a bar for everybody who was measured.
func TestDrawn(t *testing.T) {
	r := madeResult()
	r.load.label, r.load.metrics[1].chart = "L1/64", chartCPU
	charts := drawn([]result{r})
	if len(charts) != 2 || charts[0].suffix != "throughput" || charts[1].suffix != "cpu" {
		t.Fatalf("charts %+v", charts)
	}
	rates, cpu := charts[0], charts[1]
	if len(rates.names) != 4 || rates.groups[0].bars[3].mid != 0.75 || !math.IsNaN(rates.groups[0].bars[2].mid) {
		t.Errorf("throughput %+v", rates)
	}
	if len(cpu.names) != 5 || cpu.names[0] != direct || cpu.groups[0].label != "L1/64" || cpu.groups[0].bars[0].mid != 10 {
		t.Errorf("CPU %+v", cpu)
	}
	for _, c := range charts {
		elements(t, c.render())
	}
}
