package pool

import (
	"cmp"
	"slices"

	"pen/internal/heap"
)

// maglevSize is the number of places in a Maglev table, a prime. Up to some 650
// servers of the same weight, their parts differ by 1 % at most.
const maglevSize = 65537

// A MaglevTable says which server a hash belongs to (Eisenbud et al., "Maglev:
// A Fast and Reliable Software Network Load Balancer", NSDI 2016, section
// 3.4). It is never changed.
type MaglevTable struct {
	slots []int32 // by place; empty without servers
}

// NewMaglev makes the table for servers, by slot. It depends on the addresses
// and weights of those that have a weight, and not on their slots or states:
// peers with the same servers have the same table. It takes some milliseconds,
// for thousands of servers some ten, so it is called without a lock.
func NewMaglev(servers []Config) *MaglevTable { return newMaglev(servers, maglevSize) }

func newMaglev(servers []Config, size uint64) *MaglevTable {
	t := &MaglevTable{}
	turns := heap.New((*entrant).isNext, nil)
	for _, e := range entrants(servers, size) {
		turns.Push(e)
	}
	if turns.Len() == 0 {
		return t
	}
	t.slots = make([]int32, size)
	for i := range t.slots {
		t.slots[i] = None
	}
	for range size {
		e := turns.First()
		for t.slots[e.place] != None {
			e.place = (e.place + e.skip) % size
		}
		t.slots[e.place] = int32(e.slot)
		e.taken++
		turns.Fix(0)
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

// An entrant is a server that takes places in the table in the order that its
// name says, each time that its weight gives it a turn.
type entrant struct {
	name        string
	slot        int
	weight      int
	order       int // by name
	taken       int
	place, skip uint64
}

// entrants returns the servers that have a weight.
func entrants(servers []Config, size uint64) []*entrant {
	var all []*entrant
	for slot, c := range servers {
		if c.Used() && c.Weight > 0 {
			all = append(all, &entrant{name: c.address(), slot: slot, weight: c.Weight})
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

// isNext reports whether a's turn comes before b's.
func (a *entrant) isNext(b *entrant) bool {
	x, y := uint64(a.taken+1)*uint64(b.weight), uint64(b.taken+1)*uint64(a.weight)
	return x < y || x == y && a.order < b.order
}
