package client

import (
	"net/netip"
	"sync"
	"time"
)

// none is the index of no entry.
const none = ^uint32(0)

const chunkSize = 256

// A key is an address: IPv4 in its IPv6-mapped form, Unix clients all zero.
type key [16]byte

func keyOf(addr netip.Addr) key { return addr.As16() }

// links chain an entry into its bucket and into the order of use. They are
// indices, so the garbage collector finds no pointer in a table of any size.
type links struct {
	hash         uint32 // the part that chooses the bucket
	next         uint32 // in the bucket, or in the list of free entries
	newer, older uint32 // in the order of use
}

// An entry takes 72 bytes.
type entry struct {
	key            key
	last           time.Duration
	sent, received uint64
	connects       uint32
	server         int32
	live           uint32 // connections now
	links
}

// forget makes the entry that of a client never seen before.
func (e *entry) forget() { *e = entry{key: e.key, server: NoServer, live: e.live, links: e.links} }

func (e *entry) export(slot int) Entry {
	out := Entry{
		Slot: slot, Last: e.last, Server: int(e.server),
		Connects: uint64(e.connects), Sent: e.sent, Received: e.received,
	}
	if e.key != (key{}) {
		out.Addr = netip.AddrFrom16(e.key).Unmap()
	}
	return out
}

// An order is a list of entries by their use.
type order struct{ newest, oldest uint32 }

// A shard is a part of the table: entries in chunks that never move, found by
// hash buckets and ordered by use: those of clients without a connection, and
// those of clients with one, which are evicted last.
type shard struct {
	mu      sync.Mutex // guards all below
	moved   bool       // the table was resized; look for the new layout
	buckets []uint32   // a power of two of them
	chunks  [][]entry
	used    uint32 // entries ever taken from the chunks
	free    uint32 // list of evicted ones
	idle    order
	busy    order

	_ [64]byte // the next shard's lock is on another cache line
}

// init prepares the shard for about n entries.
func (s *shard) init(n int) {
	size := 1
	for size < n {
		size *= 2
	}
	s.buckets = make([]uint32, size)
	for i := range s.buckets {
		s.buckets[i] = none
	}
	s.free, s.idle, s.busy = none, order{none, none}, order{none, none}
}

// order returns the one in which an entry stands.
func (s *shard) order(e *entry) *order {
	if e.live > 0 {
		return &s.busy
	}
	return &s.idle
}

// all yields the entries with their indices: those of clients without a connection
// first, the most recent one first.
func (s *shard) all(yield func(uint32, *entry) bool) {
	for _, o := range []order{s.idle, s.busy} {
		for i := o.newest; i != none; {
			e := s.at(i)
			older := e.older
			if !yield(i, e) {
				return
			}
			i = older
		}
	}
}

func (s *shard) at(i uint32) *entry { return &s.chunks[i/chunkSize][i%chunkSize] }

// bucket uses the high half of the hash; the low bits chose the shard.
func (s *shard) bucket(h uint32) *uint32 { return &s.buckets[h&uint32(len(s.buckets)-1)] }

func (s *shard) index(h uint64, k key) uint32 {
	i := *s.bucket(uint32(h >> 32))
	for i != none && s.at(i).key != k {
		i = s.at(i).next
	}
	return i
}

func (s *shard) find(h uint64, k key) *entry {
	if i := s.index(h, k); i != none {
		return s.at(i)
	}
	return nil
}

// add puts in a client as the newest one and returns its index. The place of an
// evicted one is used first.
func (s *shard) add(h uint64, e entry) uint32 {
	i := s.free
	if i != none {
		s.free = s.at(i).next
	} else {
		i = s.used
		s.used++
		if int(i/chunkSize) == len(s.chunks) {
			s.chunks = append(s.chunks, make([]entry, chunkSize))
		}
	}
	b := s.bucket(uint32(h >> 32))
	e.links = links{hash: uint32(h >> 32), next: *b}
	*s.at(i) = e
	*b = i
	s.pushNewest(i)
	return i
}

// evict forgets the client that has had no connection for the longest time or, if
// all have one, that whose last one began first. It reports false if there is none.
func (s *shard) evict() bool {
	for _, o := range []*order{&s.idle, &s.busy} {
		if o.oldest != none {
			s.remove(o.oldest)
			return true
		}
	}
	return false
}

// count adds n to a client's live connections, and makes it the most recent one of
// those like it.
func (s *shard) count(i uint32, n int) {
	s.unlink(i)
	e := s.at(i)
	e.live = uint32(max(0, int(e.live)+n))
	s.pushNewest(i)
}

// remove takes an entry out and keeps its place for the next client.
func (s *shard) remove(i uint32) {
	e := s.at(i)
	p := s.bucket(e.hash)
	for *p != i {
		p = &s.at(*p).next
	}
	*p = e.next
	s.unlink(i)
	e.next = s.free
	s.free = i
}

func (s *shard) pushNewest(i uint32) {
	e := s.at(i)
	o := s.order(e)
	e.newer, e.older = none, o.newest
	if o.newest == none {
		o.oldest = i
	} else {
		s.at(o.newest).newer = i
	}
	o.newest = i
}

func (s *shard) unlink(i uint32) {
	e := s.at(i)
	o := s.order(e)
	if e.newer == none {
		o.newest = e.older
	} else {
		s.at(e.newer).older = e.older
	}
	if e.older == none {
		o.oldest = e.newer
	} else {
		s.at(e.older).newer = e.newer
	}
}
