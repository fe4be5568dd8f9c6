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

// An entry takes 64 bytes, a cache line.
type entry struct {
	key            key
	last           time.Duration
	sent, received uint64
	connects       uint32
	server         int32
	links
}

// forget makes the entry that of a client never seen before.
func (e *entry) forget() { *e = entry{key: e.key, server: NoServer, links: e.links} }

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

// A shard is a part of the table: entries in chunks that never move, found by
// hash buckets and ordered by use.
type shard struct {
	mu      sync.Mutex // guards all below
	moved   bool       // the table was resized; look for the new layout
	buckets []uint32   // a power of two of them
	chunks  [][]entry
	used    uint32 // entries ever taken from the chunks
	free    uint32 // list of evicted ones
	newest  uint32
	oldest  uint32

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
	s.free, s.newest, s.oldest = none, none, none
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

// add puts in a new client as the newest and returns its index. The place of
// an evicted one is used first.
func (s *shard) add(h uint64, k key) uint32 {
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
	*s.at(i) = entry{key: k, server: NoServer, links: links{hash: uint32(h >> 32), next: *b}}
	*b = i
	s.pushNewest(i)
	return i
}

// evict forgets the client that was used the longest ago. It reports false if
// there is none.
func (s *shard) evict() bool {
	if s.oldest == none {
		return false
	}
	s.remove(s.oldest)
	return true
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

func (s *shard) toFront(i uint32) {
	if s.newest != i {
		s.unlink(i)
		s.pushNewest(i)
	}
}

func (s *shard) pushNewest(i uint32) {
	e := s.at(i)
	e.newer, e.older = none, s.newest
	if s.newest == none {
		s.oldest = i
	} else {
		s.at(s.newest).newer = i
	}
	s.newest = i
}

func (s *shard) unlink(i uint32) {
	e := s.at(i)
	if e.newer == none {
		s.newest = e.older
	} else {
		s.at(e.newer).older = e.older
	}
	if e.older == none {
		s.oldest = e.newer
	} else {
		s.at(e.older).newer = e.newer
	}
}
