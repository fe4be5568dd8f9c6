package loop

const chunkSize = 256

// places are numbers that are lent, in chunks. The lowest chunk with room lends
// first, so that after a spike whole chunks get free, which are then let go.
type places struct {
	unused [][]int32 // by chunk; nil where it is let go
	first  int       // no chunk before this one has an unused number
	free   int       // numbers that are not lent, without those let go
}

// take returns a number. grown says that its chunk is new, or is used again.
func (ps *places) take() (id int32, grown bool) {
	if ps.free == 0 {
		return ps.grow(), true
	}
	for len(ps.unused[ps.first]) == 0 {
		ps.first++
	}
	return ps.pop(ps.first), false
}

// grow makes the chunk with the lowest number of those that are not there.
func (ps *places) grow() int32 {
	c := 0
	for c < len(ps.unused) && ps.unused[c] != nil {
		c++
	}
	if c == len(ps.unused) {
		ps.unused = append(ps.unused, nil)
	}
	ids := make([]int32, 0, chunkSize)
	for i := int32(chunkSize - 1); i >= 0; i-- {
		ids = append(ids, int32(c)*chunkSize+i)
	}
	ps.unused[c], ps.first = ids, c
	ps.free += chunkSize
	return ps.pop(c)
}

func (ps *places) pop(c int) int32 {
	ids := ps.unused[c]
	id := ids[len(ids)-1]
	ps.unused[c] = ids[:len(ids)-1]
	ps.free--
	return id
}

// put takes a number back. It reports whether its chunk is let go: nothing of it
// is lent, and another chunk's worth of numbers is free.
func (ps *places) put(id int32) (gone bool) {
	c := int(id / chunkSize)
	ps.unused[c] = append(ps.unused[c], id)
	ps.free++
	ps.first = min(ps.first, c)
	if len(ps.unused[c]) < chunkSize || ps.free < 2*chunkSize {
		return false
	}
	ps.unused[c] = nil
	ps.free -= chunkSize
	return true
}

// lent is how many numbers are lent.
func (ps *places) lent() int {
	n := -ps.free
	for _, ids := range ps.unused {
		if ids != nil {
			n += chunkSize
		}
	}
	return n
}
