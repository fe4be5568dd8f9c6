//go:build linux

package main

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want float64
	}{
		{[]float64{3}, 3},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 3, 2}, 2.5},
		{[]float64{-1, -1, 5, 5}, 2},
	} {
		before := slices.Clone(c.in)
		if got := median(c.in); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.in, got, c.want)
		}
		if !slices.Equal(before, c.in) {
			t.Errorf("median changed its argument from %v to %v", before, c.in)
		}
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("median(nil) = %v, want NaN", got)
	}
}

func TestQuantiles(t *testing.T) {
	var thousand []time.Duration
	for i := range 1000 {
		thousand = append(thousand, time.Duration(1000-i)*time.Microsecond)
	}
	for _, c := range []struct {
		in   []time.Duration
		want []float64 // at 0.5, 0.99, 0.999, 1
	}{
		{thousand, []float64{500, 990, 999, 1000}},
		{[]time.Duration{3000, 1000}, []float64{1, 3, 3, 3}},
		{[]time.Duration{1500}, []float64{1.5, 1.5, 1.5, 1.5}},
	} {
		if got := quantiles(c.in, 0.5, 0.99, 0.999, 1); !slices.Equal(got, c.want) {
			t.Errorf("quantiles of %d values = %v, want %v", len(c.in), got, c.want)
		}
	}
}

func TestBootstrap(t *testing.T) {
	same := bootstrap([]float64{2, 2, 2, 2})
	if same != (interval{2, 2, 2}) {
		t.Errorf("bootstrap of equal values = %v", same)
	}
	v := []float64{0.9, 1.1, 1.0, 1.2, 0.8, 1.05}
	i := bootstrap(v)
	if i.mid != median(v) || i.low < 0.8 || i.high > 1.2 || i.low >= i.mid || i.high <= i.mid {
		t.Errorf("bootstrap(%v) = %v", v, i)
	}
	if again := bootstrap(v); again != i {
		t.Errorf("bootstrap gave %v, then %v", i, again)
	}
	if none := bootstrap(nil); !math.IsNaN(none.mid) {
		t.Errorf("bootstrap(nil) = %v, want NaN", none)
	}
}

func TestCombine(t *testing.T) {
	a, b := []float64{6, 8, 1}, []float64{3, 2}
	if got := combine(a, b, over); !slices.Equal(got, []float64{2, 4}) {
		t.Errorf("over = %v", got)
	}
	if got := combine(a, b, minus); !slices.Equal(got, []float64{3, 6}) {
		t.Errorf("minus = %v", got)
	}
}

func TestPassOrderIsABBA(t *testing.T) {
	var turns []int
	for pass := range 4 {
		turns = append(turns, passOrder(3, pass)...)
	}
	if got, want := fmt.Sprint(turns), "[0 1 2 2 1 0 0 1 2 2 1 0]"; got != want {
		t.Errorf("turns %s, want %s", got, want)
	}
}
