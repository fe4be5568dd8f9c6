package dispatch

import (
	"net/netip"
	"time"
)

// maxIdle bounds the clients without a live flow whose rates are remembered.
const maxIdle = 1 << 16

// A tally is what limits know of one client.
type tally struct {
	key          [16]byte
	rate         gcra  // of its new flows
	live         int32 // its flows
	newer, older int32 // its neighbours, if it has no live flow
}

// tallies are those of the clients that have live flows, and of others as long
// as their rates matter and there is room. They are found by number; number 0
// is nobody's, and both ends of the list of those without live flows. The zero
// value is ready. A client that is known costs no allocation.
type tallies struct {
	index map[[16]byte]int32
	all   []tally
	free  []int32 // numbers
	idle  int     // how many have no live flow
}

// of returns a copy of a client's tally.
func (ts *tallies) of(client netip.Addr) tally {
	if i := ts.index[client.As16()]; i != 0 {
		return ts.all[i]
	}
	return tally{}
}

// take counts a flow of a client and returns the number of its tally.
func (ts *tallies) take(client netip.Addr) int32 {
	key := client.As16()
	i := ts.index[key]
	switch {
	case i == 0:
		i = ts.add(key)
	case ts.all[i].live == 0:
		ts.unlink(i)
	}
	ts.all[i].live++
	return i
}

func (ts *tallies) add(key [16]byte) int32 {
	if ts.index == nil {
		ts.index, ts.all = map[[16]byte]int32{}, make([]tally, 1)
	}
	var i int32
	if n := len(ts.free); n > 0 {
		i, ts.free = ts.free[n-1], ts.free[:n-1]
	} else {
		i = int32(len(ts.all))
		ts.all = append(ts.all, tally{})
	}
	ts.all[i] = tally{key: key}
	ts.index[key] = i
	return i
}

// release uncounts a flow. Where too many clients have none, the one that has
// been without for longest is forgotten.
func (ts *tallies) release(i int32) {
	t := &ts.all[i]
	if t.live--; t.live > 0 {
		return
	}
	newest := ts.all[0].older
	t.newer, t.older = 0, newest
	ts.all[newest].newer, ts.all[0].older = i, i
	ts.idle++
	if ts.idle > maxIdle {
		ts.drop(ts.all[0].newer)
	}
}

// prune forgets a few of the clients whose rates do not matter any more. It is
// called for every new flow, of which two steps keep ahead.
func (ts *tallies) prune(now time.Duration) {
	for range 2 {
		if ts.idle == 0 {
			return
		}
		oldest := ts.all[0].newer
		if time.Duration(ts.all[oldest].rate) > now {
			return
		}
		ts.drop(oldest)
	}
}

// drop forgets a client without live flows.
func (ts *tallies) drop(i int32) {
	ts.unlink(i)
	delete(ts.index, ts.all[i].key)
	ts.free = append(ts.free, i)
}

func (ts *tallies) unlink(i int32) {
	t := &ts.all[i]
	ts.all[t.newer].older, ts.all[t.older].newer = t.older, t.newer
	ts.idle--
}
