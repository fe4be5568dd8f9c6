//go:build linux

package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// resamples is the number of bootstrap draws; bootstrapSeed makes them, and so
// the printed intervals, the same whenever the samples are the same.
const (
	resamples     = 10000
	bootstrapSeed = 1
)

// interval is a median with its bootstrap 95 % interval.
type interval struct{ mid, low, high float64 }

// median returns the middle of v, the mean of the two middle ones for an even
// count, NaN for none. It does not change v.
func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// combine applies f to the values that a and b have for the same pass.
func combine(a, b []float64, f func(a, b float64) float64) []float64 {
	out := make([]float64, min(len(a), len(b)))
	for i := range out {
		out[i] = f(a[i], b[i])
	}
	return out
}

// over and minus are what the tables combine.
func over(a, b float64) float64  { return a / b }
func minus(a, b float64) float64 { return a - b }

// bootstrap returns the median of v and the 2.5th and 97.5th percentile of the
// medians of resamples of v. Every value belongs to one pass, so a pass is
// drawn as a whole: that keeps the pairing of contenders.
func bootstrap(v []float64) interval {
	if len(v) == 0 {
		return interval{math.NaN(), math.NaN(), math.NaN()}
	}
	rng := rand.New(rand.NewPCG(bootstrapSeed, uint64(len(v))))
	medians := make([]float64, resamples)
	draw := make([]float64, len(v))
	for i := range medians {
		for j := range draw {
			draw[j] = v[rng.IntN(len(v))]
		}
		medians[i] = median(draw)
	}
	slices.Sort(medians)
	at := func(q float64) float64 { return medians[int(q*float64(resamples-1))] }
	return interval{median(v), at(0.025), at(0.975)}
}

// quantiles returns the values below or at which the given shares of d lie
// (nearest rank: always values of d), in microseconds. d must not be empty; it
// is sorted.
func quantiles(d []time.Duration, shares ...float64) []float64 {
	slices.Sort(d)
	out := make([]float64, len(shares))
	for i, share := range shares {
		rank := int(math.Ceil(share * float64(len(d))))
		out[i] = float64(d[max(rank, 1)-1]) / float64(time.Microsecond)
	}
	return out
}

// passOrder returns the order in which n contenders take their turn in a pass:
// forwards, then backwards, then forwards, so that a drift of the machine hits
// all of them alike (ABBA).
func passOrder(n, pass int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	if pass%2 == 1 {
		slices.Reverse(order)
	}
	return order
}
