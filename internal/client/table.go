// Package client remembers, within a bound, which server each client used last: the
// client table (a stick table keyed by address).
//
// A client is an address without its port. Servers go by what identifies them, not by
// slots, so services that list them differently may share a table, and so may other
// nodes: Changes returns what has changed since a cursor, and Merge applies it. Times are
// on the wall clock, as durations since 1970, and are passed in; that clock must never
// go back.
//
// Look-up, insertion and eviction are O(1). A full table evicts the client that has had
// no connection for the longest time, and a client that has one only where all have: a
// flood of addresses does not make the table forget those that are connected. The table
// is cut into shards with a lock each. One of less than 16,384 clients has one shard and
// evicts exactly that client; a larger one does so within a shard. The bound holds
// exactly over all shards.
package client

import (
	"hash/maphash"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// An Entry is what the table knows of one client.
type Entry struct {
	Slot     int           // its place in the table
	Addr     netip.Addr    // invalid: the clients of Unix sockets, one for all
	Last     time.Duration // when its last connection started
	Server   ID            // its last server, or NoServer
	Connects uint64        // connections since it is known
	Sent     uint64        // bytes sent to it
	Received uint64        // bytes received from it
}

// A Table is the client table. It is safe for concurrent use and, once it has seen as
// many clients as it may hold, allocates nothing.
type Table struct {
	seed     maphash.Seed
	tracking atomic.Int64 // a time.Duration; 0: clients are remembered for ever
	layout   atomic.Pointer[layout]
	resizing sync.Mutex // held by Resize
	evicted  atomic.Uint64
	servers  interned
	clock    clock
	node     atomic.Uint32
}

// New returns a table that holds at most max clients, at least one.
func New(max int) *Table {
	t := &Table{seed: maphash.MakeSeed()}
	t.servers.index = map[Identity]ID{}
	t.servers.directory.Store(&Directory{})
	t.layout.Store(newLayout(max, t.seed, 1))
	return t
}

// SetTracking sets after what time without a connection a client is forgotten;
// 0 means never.
func (t *Table) SetTracking(d time.Duration) { t.tracking.Store(int64(d)) }

// Max is how many clients the table may hold.
func (t *Table) Max() int { return t.layout.Load().max }

// Len is how many clients the table holds, including forgotten ones whose place nobody
// has taken yet.
func (t *Table) Len() int { return int(t.layout.Load().count.Load()) }

// Evictions is how many clients were forgotten, since the table was made, because
// others wanted their places.
func (t *Table) Evictions() uint64 { return t.evicted.Load() }

// Lookup returns the server that the client used last. It returns false for a client
// that is not known, has no server, or was last seen longer ago than the tracking time.
// It changes nothing, so that a refused client takes no place.
func (t *Table) Lookup(addr netip.Addr, now time.Duration) (server ID, ok bool) {
	k := keyOf(addr)
	h := t.hash(k)
	_, s := t.lock(h)
	defer s.mu.Unlock()
	e := s.find(h, k)
	if e == nil || e.server >= forgotten || t.expired(e.last, now) {
		return NoServer, false
	}
	return e.server, true
}

// Begin counts a new connection of the client, which End ends: the client is now the
// most recent one of the table, and server its server. NoServer leaves its server as it
// was (the emergency server pins nobody). A full table forgets another client.
func (t *Table) Begin(addr netip.Addr, server ID, now time.Duration) {
	t.assign(addr, server, now, 1)
}

// Assign does the same for a connection that is counted already, and may have come to
// another server since.
func (t *Table) Assign(addr netip.Addr, server ID, now time.Duration) {
	t.assign(addr, server, now, 0)
}

func (t *Table) assign(addr netip.Addr, server ID, now time.Duration, begun int) {
	k := keyOf(addr)
	h := t.hash(k)
	l, s := t.lock(h)
	i := s.index(h, k)
	if i == none {
		s, i = t.insert(l, s, h, k)
	}
	e := s.at(i)
	if e.server == forgotten || t.expired(e.last, now) {
		e.forget()
	}
	switch {
	case server == NoServer:
	case server != e.server:
		e.server = server
		t.newVersion(s, i, now)
	case now/refresh != e.last/refresh:
		s.changed(i, t.clock.next(now))
	}
	e.last = now
	e.connects++
	s.count(i, begun)
	s.mu.Unlock()
}

// End ends a connection for which Begin was called, and counts the bytes sent to and
// received from its client, if that is still known. A client that was forgotten meanwhile
// and came again may count one connection too few until all of them have ended.
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
	if i := s.index(h, k); i != none && s.at(i).server != forgotten {
		e := s.at(i)
		e.sent += sent
		e.received += received
		if ended > 0 && e.live > 0 {
			s.count(i, -ended)
		}
	}
	s.mu.Unlock()
}

// Get returns what the table knows of a client, also of one whose tracking time is over
// and whose place nobody has taken yet; false if that is nothing.
func (t *Table) Get(addr netip.Addr) (Entry, bool) {
	k := keyOf(addr)
	h := t.hash(k)
	l, s := t.lock(h)
	defer s.mu.Unlock()
	i := s.index(h, k)
	if i == none || s.at(i).server == forgotten {
		return Entry{}, false
	}
	return s.at(i).export(l.slot(h, i)), true
}

// Forget drops a client, and reports whether it was known. Its connections go on; the
// next one finds it unknown.
func (t *Table) Forget(addr netip.Addr, now time.Duration) bool {
	k := keyOf(addr)
	h := t.hash(k)
	l, s := t.lock(h)
	defer s.mu.Unlock()
	i := s.index(h, k)
	switch {
	case i == none, s.at(i).server == forgotten:
		return false
	case t.node.Load() != 0:
		s.bury(i)
		s.at(i).last = now
		t.newVersion(s, i, now)
	default:
		s.remove(i)
		l.count.Add(-1)
	}
	return true
}

// Dump returns all clients in the order of their slots. Each shard is locked while it is
// copied.
func (t *Table) Dump() []Entry {
	l := t.layout.Load()
	all := make([]Entry, 0, l.count.Load())
	for n := range l.shards {
		s := &l.shards[n]
		s.mu.Lock()
		for i, e := range s.all {
			if e.server != forgotten {
				all = append(all, e.export(l.slot(uint64(n), i)))
			}
		}
		s.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b Entry) int { return a.Slot - b.Slot })
	return all
}

// Resize sets how many clients the table may hold. Clients stay; if there are more than
// fit, those with a connection and the most recent others do. Other calls wait meanwhile,
// about half a second for a million clients.
func (t *Table) Resize(max int) {
	t.resizing.Lock()
	defer t.resizing.Unlock()
	if max != t.layout.Load().max {
		t.rebuild(max, nil)
	}
}

func (t *Table) hash(k key) uint64 { return hash(t.seed, k) }

func hash(seed maphash.Seed, k key) uint64 { return maphash.Bytes(seed, k[:]) }

// newVersion makes an entry an assignment by this node.
func (t *Table) newVersion(s *shard, i uint32, now time.Duration) {
	e := s.at(i)
	seq := t.clock.next(now)
	e.version, e.node = max(seq, e.version+1), uint16(t.node.Load())
	s.changed(i, seq)
}

func (t *Table) expired(last, now time.Duration) bool {
	d := time.Duration(t.tracking.Load())
	return d > 0 && now-last > d
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

// insert makes room for a new client and adds it. It takes a locked shard and returns
// one, not always the same: where that shard is empty and the table full, the place comes
// from another one, and no two are ever locked at once.
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
			l.count.Add(-1) // the first to come takes the place
		}
		l, s = t.lock(h)
		if i := s.index(h, k); i != none {
			return s, i
		}
	}
}
