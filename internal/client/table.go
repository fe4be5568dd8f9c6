// Package client remembers, within a bound, which server each client used
// last: the client table (a stick table keyed by address).
//
// A client is an address without its port. Look-up, insertion and eviction are
// O(1). A full table evicts the client that has had no connection for the longest
// time, and a client that has one only where all have: nobody who comes with many
// addresses makes the table forget those that are there. The table is cut into
// shards with a lock each; one of less than 16,384 clients has one shard and evicts
// exactly that client, a larger one does so within a shard. The bound holds exactly
// over all shards.
package client

import (
	"cmp"
	"hash/maphash"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// NoServer is the server of a client that has none.
const NoServer = -1

const (
	clientsPerShard = 8192
	maxShards       = 64
)

// An Entry is what the table knows of one client.
type Entry struct {
	Slot     int           // its place in the table
	Addr     netip.Addr    // invalid: the clients of Unix sockets, one for all
	Last     time.Duration // when its last connection began, on the caller's clock
	Server   int           // slot of its last server, or NoServer
	Connects uint64        // connections since it is known
	Sent     uint64        // bytes sent to it
	Received uint64        // bytes received from it
}

// A Table is the client table. It is safe for concurrent use and, once as
// many clients were seen as it may hold, allocates nothing.
type Table struct {
	seed     maphash.Seed
	tracking atomic.Int64 // a time.Duration; 0 remembers for ever
	layout   atomic.Pointer[layout]
	resizing sync.Mutex // held by Resize
	evicted  atomic.Uint64
}

// A layout is the table at one size; Resize replaces it.
type layout struct {
	max    int
	shards []shard // a power of two of them
	count  atomic.Int64
}

// New returns a table that holds at most max clients, at least one.
func New(max int) *Table {
	t := &Table{seed: maphash.MakeSeed()}
	t.layout.Store(newLayout(max))
	return t
}

func newLayout(limit int) *layout {
	limit = max(1, min(limit, 1<<31-2))
	n := 1
	for n < maxShards && limit/(2*n) >= clientsPerShard {
		n *= 2
	}
	l := &layout{max: limit, shards: make([]shard, n)}
	for i := range l.shards {
		l.shards[i].init((limit + n - 1) / n)
	}
	return l
}

// SetTracking sets after what time without a connection a client is forgotten;
// 0 means never.
func (t *Table) SetTracking(d time.Duration) { t.tracking.Store(int64(d)) }

// Max is how many clients the table may hold.
func (t *Table) Max() int { return t.layout.Load().max }

// Len is how many clients the table holds, forgotten ones that were not
// replaced yet included.
func (t *Table) Len() int { return int(t.layout.Load().count.Load()) }

// Evictions is how many clients were forgotten, since the table was made, because
// others wanted their places.
func (t *Table) Evictions() uint64 { return t.evicted.Load() }

// Lookup returns the slot of the server that the client used last. It answers
// false for a client that is not known, has no server, or was last seen longer
// ago than the tracking time. It changes nothing, so that a refused client
// occupies no place.
func (t *Table) Lookup(addr netip.Addr, now time.Duration) (server int, ok bool) {
	k := keyOf(addr)
	h := t.hash(k)
	_, s := t.lock(h)
	defer s.mu.Unlock()
	e := s.find(h, k)
	if e == nil || e.server == NoServer || t.expired(e, now) {
		return NoServer, false
	}
	return int(e.server), true
}

// Begin notes that a connection of the client is up, which End ends: the client is
// now the most recent one of the table, and server its server. NoServer leaves its
// server as it was (the emergency server pins nobody). A full table forgets another
// client.
func (t *Table) Begin(addr netip.Addr, server int, now time.Duration) {
	t.assign(addr, server, now, 1)
}

// Assign does the same for a connection that began before, and may have come to
// another server since.
func (t *Table) Assign(addr netip.Addr, server int, now time.Duration) {
	t.assign(addr, server, now, 0)
}

func (t *Table) assign(addr netip.Addr, server int, now time.Duration, begun int) {
	k := keyOf(addr)
	h := t.hash(k)
	l, s := t.lock(h)
	i := s.index(h, k)
	if i == none {
		s, i = t.insert(l, s, h, k)
	}
	e := s.at(i)
	if t.expired(e, now) {
		e.forget()
	}
	if server != NoServer {
		e.server = int32(server)
	}
	e.last = now
	e.connects++
	s.count(i, begun)
	s.mu.Unlock()
}

// End says that a connection for which Begin was called is over, and counts the
// bytes sent to and received from its client, if that is still known. A client that
// was forgotten meanwhile and came again may count one connection too few until all
// of them have ended.
func (t *Table) End(addr netip.Addr, sent, received uint64) {
	t.add(addr, sent, received, 1)
}

// Add counts bytes likewise for a connection for which Begin was not called.
func (t *Table) Add(addr netip.Addr, sent, received uint64) {
	t.add(addr, sent, received, 0)
}

func (t *Table) add(addr netip.Addr, sent, received uint64, ended int) {
	k := keyOf(addr)
	h := t.hash(k)
	_, s := t.lock(h)
	if i := s.index(h, k); i != none {
		e := s.at(i)
		e.sent += sent
		e.received += received
		if ended > 0 && e.live > 0 {
			s.count(i, -ended)
		}
	}
	s.mu.Unlock()
}

// Get returns what the table knows of a client, also of one that is forgotten
// and was not replaced yet; false if that is nothing.
func (t *Table) Get(addr netip.Addr) (Entry, bool) {
	k := keyOf(addr)
	h := t.hash(k)
	l, s := t.lock(h)
	defer s.mu.Unlock()
	i := s.index(h, k)
	if i == none {
		return Entry{}, false
	}
	return s.at(i).export(l.slot(h, i)), true
}

// Forget drops a client, and reports whether it was known. Its connections go
// on; the next one finds it unknown.
func (t *Table) Forget(addr netip.Addr) bool {
	k := keyOf(addr)
	h := t.hash(k)
	l, s := t.lock(h)
	defer s.mu.Unlock()
	i := s.index(h, k)
	if i == none {
		return false
	}
	s.remove(i)
	l.count.Add(-1)
	return true
}

// Dump returns all clients in the order of their slots. Each shard is locked
// for the time of copying it.
func (t *Table) Dump() []Entry {
	l := t.layout.Load()
	all := make([]Entry, 0, l.count.Load())
	for n := range l.shards {
		s := &l.shards[n]
		s.mu.Lock()
		for i, e := range s.all {
			all = append(all, e.export(l.slot(uint64(n), i)))
		}
		s.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b Entry) int { return a.Slot - b.Slot })
	return all
}

// Resize sets how many clients the table may hold. Clients stay; if there are
// more than fit, those with a connection and the most recent others do. Other calls wait meanwhile, about
// half a second for a million clients.
func (t *Table) Resize(max int) {
	t.resizing.Lock()
	defer t.resizing.Unlock()
	if max != t.layout.Load().max {
		t.rebuild(max, nil)
	}
}

// rebuild replaces the layout by one of at most limit clients: those of the
// table, and more of them, which are sorted, oldest first. If there are more
// than fit, the most recent ones stay; of a client that is in both, what the
// table knows. It returns how many of more have come in. t.resizing is held.
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
	next := newLayout(limit)
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

// put adds an entry, with all that it holds, as the newest one of a layout
// that nobody else uses yet and that has room. It reports false if the client
// is there.
func (l *layout) put(h uint64, e *entry) bool {
	s := l.shard(h)
	if s.index(h, e.key) != none {
		return false
	}
	s.add(h, *e)
	l.count.Add(1)
	return true
}

func (t *Table) hash(k key) uint64 { return maphash.Bytes(t.seed, k[:]) }

func (t *Table) expired(e *entry, now time.Duration) bool {
	d := time.Duration(t.tracking.Load())
	return d > 0 && now-e.last > d
}

// lock returns the shard of a hash, locked.
func (t *Table) lock(h uint64) (*layout, *shard) {
	for {
		l := t.layout.Load()
		s := l.shard(h)
		s.mu.Lock()
		if !s.moved {
			return l, s
		}
		s.mu.Unlock()
	}
}

// insert makes room for a new client and adds it. It takes a locked shard and
// returns one, not always the same: where that shard is empty and the table
// full, the place comes from another, and no two are ever locked at once.
func (t *Table) insert(l *layout, s *shard, h uint64, k key) (*shard, uint32) {
	for {
		room := l.reserve()
		if !room && s.evict() {
			t.evicted.Add(1)
			room = true
		}
		if room {
			return s, s.add(h, entry{key: k, server: NoServer})
		}
		s.mu.Unlock()
		if l.steal() {
			t.evicted.Add(1)
			l.count.Add(-1) // whoever is first may take the place
		}
		l, s = t.lock(h)
		if i := s.index(h, k); i != none {
			return s, i
		}
	}
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
