package config

import (
	"fmt"
	"strings"
)

// maxNearest is how long a word may be to be compared with known ones.
const maxNearest = 64

// nearest returns the known word that a misspelled one is most like, or "" where
// none is like it.
func nearest(word string, known []string) string { return within(len(word)/3, word, known) }

// within is nearest for words that are at most so far away.
func within(most int, word string, known []string) string {
	if len(word) > maxNearest {
		return ""
	}
	word = strings.ToLower(word)
	best, least := "", most+1
	for _, k := range known {
		if n := distance(word, strings.ToLower(k)); n < least {
			best, least = k, n
		}
	}
	return best
}

// didYouMean ends an error about a word that is not known, with the nearest one
// that is.
func didYouMean(word string, known []string) string {
	if k := nearest(word, known); k != "" {
		return "; did you mean " + k + "?"
	}
	return ""
}

// noneOf is the error for a word that is none of those that are known.
func noneOf(word string, known ...string) error {
	return fmt.Errorf("%q is none of %s%s", word, strings.Join(known, ", "), didYouMean(word, known))
}

// distance is how many letters must be added, removed, replaced or exchanged
// with their neighbour to make b of a.
func distance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(next[j-1]+1, row[j]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
