//go:build linux

package main

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
)

// Measures of a chart in pixels.
const (
	chartWidth = 1000
	plotLeft   = 60
	plotRight  = chartWidth - 10
	plotTop    = 70
	plotBottom = 370
	groupGap   = 14
)

// palette are colours that differ for the colour-blind too (Okabe and Ito).
var palette = []string{"#999999", "#e69f00", "#f0e442", "#56b4e9", "#cc79a7", "#009e73", "#0072b2", "#d55e00"}

// axis maps values to heights. Both ends are at ticks.
type axis struct {
	log   bool
	ticks []float64
}

// newAxis makes an axis for values up to high, from 0 or, if it is logarithmic,
// from the power of ten at or below low.
func newAxis(low, high float64, log bool) axis {
	if log {
		from, to := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
		a := axis{log: true}
		for e := from; e <= max(to, from+1); e++ {
			a.ticks = append(a.ticks, math.Pow(10, e))
		}
		return a
	}
	power, step := math.Pow(10, math.Floor(math.Log10(high))), 0.0
	for _, part := range []float64{1, 0.5, 0.2} {
		if step = power * part; high/step >= 4 {
			break
		}
	}
	a := axis{}
	for i := 0.0; i <= math.Ceil(high/step); i++ {
		a.ticks = append(a.ticks, i*step)
	}
	return a
}

// y returns the height of v in pixels from the top of the chart. What is off
// the axis is at its end.
func (a axis) y(v float64) float64 {
	first, last := a.ticks[0], a.ticks[len(a.ticks)-1]
	v = min(max(v, first), last)
	share := (v - first) / (last - first)
	if a.log {
		share = math.Log(v/first) / math.Log(last/first)
	}
	return plotBottom - share*(plotBottom-plotTop)
}

// render draws the chart as SVG 1.1.
func (c chart) render() string {
	low, high := math.Inf(1), c.line
	for _, g := range c.groups {
		for _, b := range g.bars {
			if !math.IsNaN(b.mid) {
				low, high = min(low, b.low), max(high, b.high)
			}
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img" font-family="sans-serif" font-size="12">`+"\n",
		chartWidth, plotBottom+30)
	fmt.Fprintf(&b, `<title>%s</title>`+"\n", escape(c.title))
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	text(&b, 10, 22, "start", c.title, `font-size="15" font-weight="bold"`)
	c.legend(&b)
	if low > 0 && !math.IsInf(low, 0) || !c.log && high > 0 {
		a := newAxis(low, high, c.log)
		a.draw(&b)
		c.bars(&b, a)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// legend draws the names beside their colours.
func (c chart) legend(b *strings.Builder) {
	x := 10
	for i, name := range c.names {
		fmt.Fprintf(b, `<rect x="%d" y="38" width="12" height="12" fill="%s"/>`+"\n", x, c.colour(i))
		text(b, float64(x+17), 49, "start", name, "")
		x += 34 + 7*len(name)
	}
}

// colour is that of name i: grey is kept for direct, the last are ours.
func (c chart) colour(i int) string {
	if c.names[0] != direct {
		i++
	}
	return palette[i%len(palette)]
}

// draw draws the axis with a line at every tick.
func (a axis) draw(b *strings.Builder) {
	for _, t := range a.ticks {
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1[3]f" stroke="#dddddd"/>`+"\n", plotLeft, plotRight, a.y(t))
		text(b, plotLeft-6, a.y(t)+4, "end", fmt.Sprintf("%.6g", t), "")
	}
}

// bars draws all groups, and a whisker for every interval.
func (c chart) bars(b *strings.Builder, a axis) {
	span := float64(plotRight-plotLeft) / float64(len(c.groups))
	for i, g := range c.groups {
		left := plotLeft + span*float64(i) + groupGap/2
		width := (span - groupGap) / float64(len(g.bars))
		for j, v := range g.bars {
			if math.IsNaN(v.mid) {
				continue
			}
			x, y := left+width*float64(j), a.y(v.mid)
			fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"><title>%s</title></rect>`+"\n",
				x, y, width-1, plotBottom-y, c.colour(j), escape(v.describe(c.names[j], g.label)))
			fmt.Fprintf(b, `<line x1="%.1f" x2="%.1[1]f" y1="%.1f" y2="%.1f" stroke="black"/>`+"\n", x+(width-1)/2, a.y(v.low), a.y(v.high))
		}
		text(b, left+(span-groupGap)/2, plotBottom+18, "middle", g.label, "")
	}
	if c.line != 0 {
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1[3]f" stroke="black" stroke-dasharray="4 3"/>`+"\n", plotLeft, plotRight, a.y(c.line))
	}
}

// text draws words at x, y.
func text(b *strings.Builder, x, y float64, anchor, words, style string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`+"\n", x, y, anchor, style, escape(words))
}

// escape makes words fit for XML; what XML has no place for becomes U+FFFD.
func escape(words string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(words)) // a Builder takes everything
	return b.String()
}
