package pool

import (
	"cmp"
	"slices"

	"pen/internal/heap"
)

// maglevSize is the number of places in a Maglev table, a prime. The shares of up to
// some 650 servers of equal weight differ by at most 1 %.
const maglevSize = 65537

// A MaglevTable maps hashes to servers (Eisenbud et al., "Maglev: A Fast and Reliable
// Software Network Load Balancer", NSDI 2016, section 3.4). It is immutable.
type MaglevTable struct {
	slots []int32 // by place; empty without servers
}

// NewMaglev makes the table for servers, by slot. It depends only on the addresses and
// weights of servers that have a weight, not on slots or states: peers with the same
// servers have the same table. It takes several milliseconds, tens for thousands of
// servers: call it without a lock.
func NewMaglev(servers []Config) *MaglevTable { return newMaglev(servers, maglevSize) }

func newMaglev(servers []Config, size uint64) *MaglevTable {
	t := &MaglevTable{}
	classes := weightClasses(entrants(servers, size))
	if classes.Len() == 0 {
		return t
	}
	t.slots = make([]int32, size)
	taken := make([]uint64, size/64+1) // as bits, which stay in the processor's cache
	for range size {
		e := classes.First().take()
		classes.Fix(0)
		for taken[e.place/64]&(1<<(e.place%64)) != 0 {
			if e.place += e.skip; e.place >= size {
				e.place -= size
			}
		}
		taken[e.place/64] |= 1 << (e.place % 64)
		t.slots[e.place] = int32(e.slot)
	}
	return t
}

// at is the slot that a hash belongs to, or None.
func (t *MaglevTable) at(h uint64) int {
	if t == nil || len(t.slots) == 0 {
		return None
	}
	return int(t.slots[reduce(h, uint64(len(t.slots)))])
}

// An entrant is a server that takes places in the table. Its name decides the order of
// its places, its weight how often it has a turn.
type entrant struct {
	name        string
	slot        int
	weight      uint64
	order       int // by name
	place, skip uint64
}

// entrants returns the servers that have a weight, by name.
func entrants(servers []Config, size uint64) []*entrant {
	var all []*entrant
	for slot, c := range servers {
		if c.Used() && c.Weight > 0 {
			all = append(all, &entrant{name: c.address(), slot: slot, weight: uint64(c.Weight)})
		}
	}
	slices.SortStableFunc(all, func(a, b *entrant) int { return cmp.Compare(a.name, b.name) })
	same := 0 // how many of this name there were
	for i, e := range all {
		if same++; i == 0 || e.name != all[i-1].name {
			same = 0
		}
		h := hashName(e.name, same)
		e.order = i
		e.place = reduce(h, size)
		e.skip = 1 + reduce(scramble(h+golden), size-1)
	}
	return all
}

// A weightClass has the entrants of one weight, which take turns. Turn number n
// of each comes at the time n/weight.
type weightClass struct {
	weight, turn uint64
	all          []*entrant
	next         int // in all
}

// weightClasses sorts entrants into classes, the one whose turn it is on top:
// there are fewer weights than entrants.
func weightClasses(all []*entrant) heap.Heap[*weightClass] {
	classes := map[uint64]*weightClass{}
	for _, e := range all {
		if classes[e.weight] == nil {
			classes[e.weight] = &weightClass{weight: e.weight, turn: 1}
		}
		c := classes[e.weight]
		c.all = append(c.all, e)
	}
	out := heap.New((*weightClass).isNext, nil)
	for _, c := range classes {
		out.Push(c)
	}
	return out
}

// isNext reports whether c's turn comes before d's.
func (c *weightClass) isNext(d *weightClass) bool {
	x, y := c.turn*d.weight, d.turn*c.weight
	return x < y || x == y && c.all[c.next].order < d.all[d.next].order
}

// take gives the next entrant its turn.
func (c *weightClass) take() *entrant {
	e := c.all[c.next]
	if c.next++; c.next == len(c.all) {
		c.next = 0
		c.turn++
	}
	return e
}
