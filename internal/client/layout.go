package client

import (
	"cmp"
	"hash/maphash"
	"slices"
	"sync/atomic"
)

const (
	clientsPerShard = 8192
	maxShards       = 64
)

// A layout is the table at one size; Resize replaces it.
type layout struct {
	max    int
	number uint64  // of this layout; the first one is 1
	shards []shard // a power of two of them
	count  atomic.Int64
}

func newLayout(limit int, seed maphash.Seed, number uint64) *layout {
	limit = max(1, min(limit, 1<<31-2))
	n := 1
	for n < maxShards && limit/(2*n) >= clientsPerShard {
		n *= 2
	}
	l := &layout{max: limit, number: number, shards: make([]shard, n)}
	for i := range l.shards {
		l.shards[i].init((limit+n-1)/n, seed)
	}
	return l
}

// rebuild replaces the layout by one of at most limit clients: those of the table, and
// more of them, which must be sorted, oldest first. If there are more than fit, the most
// recent ones stay; of a client that is in both, what the table knows stays. It returns
// how many of more have come in. Called with t.resizing held.
func (t *Table) rebuild(limit int, more []entry) (added int) {
	old := t.layout.Load()
	var here []entry
	for i := range old.shards {
		s := &old.shards[i]
		s.mu.Lock()
		s.moved = true
		for _, e := range s.all {
			here = append(here, *e)
		}
	}
	slices.Reverse(here) // oldest first, as far as times are equal
	slices.SortStableFunc(here, byUse)
	more = slices.DeleteFunc(more, func(e entry) bool {
		h := t.hash(e.key)
		return old.shard(h).find(h, e.key) != nil
	})
	seq := t.clock.next(0) // with all locked: later than what any Cursor has
	for i := range more {
		more[i].seq = seq
		t.clock.see(min(more[i].version, maxFollowed))
	}
	next := newLayout(limit, t.seed, old.number+1)
	for surplus := len(here) + len(more) - next.max; len(here)+len(more) > 0; surplus-- {
		from := &more
		if len(more) == 0 || len(here) > 0 && byUse(here[0], more[0]) < 0 {
			from = &here
		}
		e := &(*from)[0]
		*from = (*from)[1:]
		if surplus <= 0 && next.put(t.hash(e.key), e) && from == &more {
			added++
		}
	}
	t.layout.Store(next)
	for i := range old.shards {
		old.shards[i].mu.Unlock()
	}
	return added
}

// byUse orders entries as they are evicted: those with a connection last, and the
// oldest first.
func byUse(a, b entry) int {
	return cmp.Or(cmp.Compare(min(a.live, 1), min(b.live, 1)), cmp.Compare(a.last, b.last))
}

// put adds an entry, with all that it holds, as the newest one of a layout that nobody
// else uses yet and that has room. It reports false if the client is there already.
func (l *layout) put(h uint64, e *entry) bool {
	s := l.shard(h)
	if s.index(h, e.key) != none {
		return false
	}
	s.add(h, *e)
	l.count.Add(1)
	return true
}

func (l *layout) shard(h uint64) *shard { return &l.shards[h&uint64(len(l.shards)-1)] }

func (l *layout) slot(h uint64, i uint32) int {
	return int(i)*len(l.shards) + int(h&uint64(len(l.shards)-1))
}

// reserve counts one more client, unless the table is full.
func (l *layout) reserve() bool {
	if l.count.Add(1) <= int64(l.max) {
		return true
	}
	l.count.Add(-1)
	return false
}

// steal evicts a client from any shard that has one.
func (l *layout) steal() bool {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		ok := !s.moved && s.evict()
		s.mu.Unlock()
		if ok {
			return true
		}
	}
	return false
}
