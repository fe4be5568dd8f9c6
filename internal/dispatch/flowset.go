package dispatch

import "math/bits"

// A chunk is memory for some flows. It never moves.
type chunk struct {
	flows [chunkFlows]Flow
	live  uint64 // a bit for each flow that lives
}

const chunkFlows = 64

// flows holds live flows, numbered from 0, in chunks that never move and are reused: a flow
// costs no allocation and is found by its number. The lowest free number is used first and
// empty chunks at the end are freed, so that a walk costs what lives, also after a spike.
// The Dispatcher's lock guards it.
type flows struct {
	chunks []*chunk
	open   []uint64 // a bit for each chunk that has a free place
	used   int
}

func (fs *flows) take() *Flow {
	n := fs.firstOpen()
	if n == len(fs.chunks) {
		fs.chunks = append(fs.chunks, new(chunk))
		if n/64 == len(fs.open) {
			fs.open = append(fs.open, 0)
		}
		fs.open[n/64] |= 1 << (n % 64)
	}
	c := fs.chunks[n]
	i := bits.TrailingZeros64(^c.live)
	c.live |= 1 << i
	if c.live == ^uint64(0) {
		fs.open[n/64] &^= 1 << (n % 64)
	}
	fs.used++
	f := &c.flows[i]
	f.id, f.phase = int32(n*chunkFlows+i), reserved
	return f
}

// firstOpen is the first chunk with a free place, or the one behind the last.
func (fs *flows) firstOpen() int {
	for i, word := range fs.open {
		if word != 0 {
			return 64*i + bits.TrailingZeros64(word)
		}
	}
	return len(fs.chunks)
}

func (fs *flows) put(f *Flow) {
	n, i := int(f.id)/chunkFlows, int(f.id)%chunkFlows
	*f = Flow{}
	fs.chunks[n].live &^= 1 << i
	fs.open[n/64] |= 1 << (n % 64)
	fs.used--
	// One empty chunk stays at the end, or a flow at its border would make it
	// anew again and again.
	for last := len(fs.chunks) - 1; last > 0 && fs.chunks[last].live|fs.chunks[last-1].live == 0; last-- {
		fs.open[last/64] &^= 1 << (last % 64)
		fs.chunks[last] = nil
		fs.chunks = fs.chunks[:last]
	}
	fs.open = fs.open[:(len(fs.chunks)+63)/64]
}

// at returns the live flow of this number, or nil.
func (fs *flows) at(id int) *Flow {
	if id < 0 || id >= len(fs.chunks)*chunkFlows {
		return nil
	}
	if f := &fs.chunks[id/chunkFlows].flows[id%chunkFlows]; f.phase != free {
		return f
	}
	return nil
}

// live iterates over the live flows in the order of their numbers. With many flows that
// takes long: see inSlices.
func (fs *flows) live(yield func(*Flow) bool) { fs.slice(0, len(fs.chunks), yield) }

// slice does so for the flows of some chunks. It reports whether that is not all: there
// are more chunks, and yield has not returned false. A flow that ends meanwhile is not
// yielded.
func (fs *flows) slice(from, to int, yield func(*Flow) bool) (more bool) {
	for n := from; n < min(to, len(fs.chunks)); n++ {
		c := fs.chunks[n]
		for left := c.live; left != 0; left &= left - 1 {
			f := &c.flows[bits.TrailingZeros64(left)]
			if f.phase != free && !yield(f) {
				return false
			}
		}
	}
	return to < len(fs.chunks)
}

// sliceChunks is how many chunks are visited in one hold of the lock: a thousand flows
// take some 50 us.
const sliceChunks = 16

// inSlices calls do for all flows, until it returns false, in holds of the lock for a
// slice each. Without the lock, it calls between after each slice.
func (d *Dispatcher) inSlices(do func(*Flow) bool, between func()) {
	for from, more := 0, true; more; from += sliceChunks {
		d.mu.Lock()
		more = d.flows.slice(from, from+sliceChunks, do)
		d.unlock()
		between()
	}
}
