package datagram

import (
	"container/list"
	"net/netip"
	"time"
)

// A group is how much would be lost with a flow.
type group uint8

const (
	silent   group = iota // the server has said nothing yet
	answered              // it has, and the client has sent nothing since
	proven                // the client has sent again after an answer
	groups   = iota
)

// A table is the flows of a Plane. Where there are too many, those that are the
// longest silent in the lowest groups go: what somebody sends under addresses
// that are not his ends no conversation. The Plane's lock guards it.
type table struct {
	// What a peer sends next goes to the first of its flows, or to the flow of
	// another server where its datagrams take turns: flow.next chains them. Flows
	// that only wait for answers are not in here.
	of  map[peer]*flow
	all [groups]list.List // the longest silent first
	// by is the flow of each client that was answered last.
	by map[netip.Addr]*flow
}

func newTable() table { return table{of: map[peer]*flow{}, by: map[netip.Addr]*flow{}} }

func (t *table) len() int {
	n := 0
	for i := range t.all {
		n += t.all[i].Len()
	}
	return n
}

// add puts in a flow, to which its peer's datagrams go from now on; or, where it
// already has flows, those that are for its server.
func (t *table) add(f *flow) {
	f.place = t.all[f.group].PushBack(f)
	if first := t.of[f.peer]; first != nil {
		f.next, first.next = first.next, f
		return
	}
	t.of[f.peer] = f
}

// remove takes a flow out.
func (t *table) remove(f *flow) {
	t.unbind(f)
	t.all[f.group].Remove(f.place)
	if client := f.client(); t.by[client] == f {
		delete(t.by, client)
	}
}

// unbind has nothing more go to a flow.
func (t *table) unbind(f *flow) {
	first := t.of[f.peer]
	switch {
	case first == f && f.next == nil:
		delete(t.of, f.peer)
	case first == f:
		t.of[f.peer] = f.next
	default:
		for g := first; g != nil; g = g.next {
			if g.next == f {
				g.next = f.next
				break
			}
		}
	}
	f.next = nil
}

// only has everything that a flow's peer sends go to this one of its flows.
func (t *table) only(f *flow) {
	for g := t.of[f.peer]; g != nil; {
		next := g.next
		g.next = nil
		g = next
	}
	t.of[f.peer] = f
}

// isBound reports whether something may still go to a flow.
func (t *table) isBound(f *flow) bool {
	for g := t.of[f.peer]; g != nil; g = g.next {
		if g == f {
			return true
		}
	}
	return false
}

// touch puts a flow behind all others of a group.
func (t *table) touch(f *flow, now time.Time, g group) {
	f.seen = now
	t.promote(f, g)
	t.all[g].MoveToBack(f.place)
}

// promote takes a flow to a group, if it is in another one.
func (t *table) promote(f *flow, g group) {
	if f.group != g {
		t.all[f.group].Remove(f.place)
		f.group, f.place = g, t.all[g].PushBack(f)
	}
}

// oldest returns the flow of a group that is the longest silent, or nil.
func (t *table) oldest(g group) *flow {
	if e := t.all[g].Front(); e != nil {
		return e.Value.(*flow)
	}
	return nil
}

// surplus returns a flow of a group that has more than most flows, or that has
// more than half of that and a flow which has been silent for brief; or nil.
func (t *table) surplus(g group, most int, now time.Time) *flow {
	f := t.oldest(g)
	n := t.all[g].Len()
	if most == 0 || f == nil || n <= most/2 || n <= most && now.Sub(f.seen) < brief {
		return nil
	}
	return f
}

// leastMissed returns the flow to end in favour of a new one, or nil where there
// are only conversations that go on.
func (t *table) leastMissed(now time.Time) *flow {
	a, b := t.oldest(silent), t.oldest(answered)
	switch {
	case a == nil && b == nil:
		f := t.oldest(proven)
		if f == nil || now.Sub(f.seen) < spared {
			return nil
		}
		return f
	case a == nil || b != nil && b.seen.Before(a.seen):
		return b
	}
	return a
}

const (
	// spared is how long a client must have been silent that has a conversation
	// with its server, for its flow to be ended in favour of a new one.
	spared = 2 * time.Second
	// brief is how long a flow that is not proven lives while there are many.
	brief = 2 * time.Second
)
