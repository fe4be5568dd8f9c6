package dispatch

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A flow gets the lowest free number, and memory is given back.
func TestFlowNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var fs flows
		live := map[int]*Flow{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			n := rapid.IntRange(1, 200).Draw(t, "n")
			if rapid.Bool().Draw(t, "take") {
				for range n {
					want := 0
					for live[want] != nil {
						want++
					}
					f := fs.take()
					if int(f.id) != want || f.phase == free {
						t.Fatalf("flow %d, want %d", f.id, want)
					}
					live[int(f.id)] = f
				}
			} else {
				for id, f := range live {
					if n--; n < 0 {
						break
					}
					fs.put(f)
					delete(live, id)
				}
			}
			var got, want []int
			for f := range fs.live {
				got = append(got, int(f.id))
			}
			last := -1
			for id, f := range live {
				want = append(want, id)
				last = max(last, id)
				if fs.at(id) != f {
					t.Fatalf("flow %d is not at its place", id)
				}
			}
			slices.Sort(want)
			if !slices.Equal(got, want) || fs.used != len(want) || fs.at(last+1) != nil || fs.at(-1) != nil {
				t.Fatalf("live are %v, want %v; %d used", got, want, fs.used)
			}
			if most := last/chunkFlows + 2; len(fs.chunks) > most {
				t.Fatalf("%d chunks for %d numbers, want at most %d", len(fs.chunks), last+1, most)
			}
		}
	})
}
