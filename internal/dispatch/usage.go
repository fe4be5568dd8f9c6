package dispatch

import (
	"net/netip"
	"time"
)

// maxIdle bounds the clients without live flows whose rates are remembered.
const maxIdle = 1 << 16

// A usage is what limits know of one client.
type usage struct {
	key        [16]byte
	rate       gcra  // of its new flows
	live       int32 // its flows
	prev, next int32 // its neighbours in the list of idle clients, if it has no live flow
}

// usages are those of clients with live flows, and of idle clients while their rates
// matter and there is room. They are found by number. Number 0 stands for none; it heads
// the list of idle clients, a ring from the one that has been idle for longest to the
// one that is newly idle. The zero value is ready. A known client costs no allocation.
type usages struct {
	index map[[16]byte]int32
	all   []usage
	free  []int32 // numbers
	idle  int     // clients without live flows
}

// of returns a copy of a client's usage.
func (us *usages) of(client netip.Addr) usage {
	if i := us.index[client.As16()]; i != 0 {
		return us.all[i]
	}
	return usage{}
}

// count counts a flow of a client and returns the number of its usage.
func (us *usages) count(client netip.Addr) int32 {
	key := client.As16()
	i := us.index[key]
	switch {
	case i == 0:
		i = us.add(key)
	case us.all[i].live == 0:
		us.unlink(i)
	}
	us.all[i].live++
	return i
}

func (us *usages) add(key [16]byte) int32 {
	if us.index == nil {
		us.index, us.all = map[[16]byte]int32{}, make([]usage, 1)
	}
	var i int32
	if n := len(us.free); n > 0 {
		i, us.free = us.free[n-1], us.free[:n-1]
	} else {
		i = int32(len(us.all))
		us.all = append(us.all, usage{})
	}
	us.all[i] = usage{key: key}
	us.index[key] = i
	return i
}

// uncount uncounts a flow. If too many clients are idle, it forgets the one that has been
// idle for longest.
func (us *usages) uncount(i int32) {
	u, head := &us.all[i], &us.all[0]
	if u.live--; u.live > 0 {
		return
	}
	u.prev, u.next = head.prev, 0
	us.all[head.prev].next, head.prev = i, i
	us.idle++
	if us.idle > maxIdle {
		us.forget(head.next)
	}
}

// prune forgets up to two idle clients whose rates do not matter any more. It is called
// for every new flow, of which two steps keep ahead.
func (us *usages) prune(now time.Duration) {
	for range 2 {
		if us.idle == 0 {
			return
		}
		oldest := us.all[0].next
		if time.Duration(us.all[oldest].rate) > now {
			return
		}
		us.forget(oldest)
	}
}

// forget forgets an idle client.
func (us *usages) forget(i int32) {
	us.unlink(i)
	delete(us.index, us.all[i].key)
	us.free = append(us.free, i)
}

func (us *usages) unlink(i int32) {
	u := &us.all[i]
	us.all[u.prev].next, us.all[u.next].prev = u.next, u.prev
	us.idle--
}
