package client

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

const (
	none      = ^uint32(0) // the index of no entry
	chunkSize = 256        // entries that are allocated at a time
	blockSize = 64         // entries with a mark of their latest change
)

// A key is an address: IPv4 in its IPv6-mapped form, Unix clients all zero.
type key [16]byte

func keyOf(addr netip.Addr) key { return addr.As16() }

// links chain an entry into its bucket and into the order of use. They are indices, so
// the garbage collector finds no pointer in a table of any size.
type links struct {
	next         uint32 // in the bucket, or in the list of free entries
	newer, older uint32 // in the order of use
}

// An entry takes 80 bytes. What connections use comes first, so that it is in few cache
// lines.
type entry struct {
	key    key
	server ID
	node   uint16 // that assigned the server
	live   uint32 // connections now
	last   time.Duration
	links
	connects       uint32
	sent, received uint64
	seq            uint64 // when it changed here; 0 has nothing to tell others
	version        uint64 // when the server was assigned; 0: never
}

// forget makes the entry that of a client never seen before. The version stays: nothing
// older may be taken for news.
func (e *entry) forget() { e.server, e.connects, e.sent, e.received = NoServer, 0, 0, 0 }

func (e *entry) addr() netip.Addr {
	if e.key == (key{}) {
		return netip.Addr{}
	}
	return netip.AddrFrom16(e.key).Unmap()
}

func (e *entry) export(slot int) Entry {
	return Entry{
		Slot: slot, Addr: e.addr(), Last: e.last, Server: e.server,
		Connects: uint64(e.connects), Sent: e.sent, Received: e.received,
	}
}

// An order is a list of entries by their use.
type order struct{ newest, oldest uint32 }

// A shard is a part of the table: entries in chunks that never move, found by
// hash buckets and ordered by use: those of clients without a connection, and
// those of clients with one, which are evicted last.
type shard struct {
	mu      sync.Mutex // guards all below
	moved   bool       // the table was resized; look for the new layout
	seed    maphash.Seed
	buckets []uint32 // a power of two of them
	chunks  [][]entry
	marks   []uint64 // by block: the largest seq in it
	used    uint32   // entries ever taken from the chunks
	free    uint32   // list of evicted ones
	idle    order
	busy    order

	_ [64]byte // the next shard's lock is on another cache line
}

// init prepares the shard for about n entries.
func (s *shard) init(n int, seed maphash.Seed) {
	s.seed = seed
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

// order returns the list that an entry is in.
func (s *shard) order(e *entry) *order {
	if e.live > 0 {
		return &s.busy
	}
	return &s.idle
}

// all yields the entries with their indices: first those of clients without a connection,
// then the others, both beginning with the most recent one.
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
func (s *shard) bucket(h uint64) *uint32 { return &s.buckets[uint32(h>>32)&uint32(len(s.buckets)-1)] }

func (s *shard) index(h uint64, k key) uint32 {
	i := *s.bucket(h)
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

// add puts in a client as the newest one and returns its index. The places of evicted
// ones are used first.
func (s *shard) add(h uint64, e entry) uint32 {
	i := s.free
	if i != none {
		s.free = s.at(i).next
	} else {
		i = s.used
		s.used++
		if int(i/chunkSize) == len(s.chunks) {
			s.chunks = append(s.chunks, make([]entry, chunkSize))
			s.marks = append(s.marks, make([]uint64, chunkSize/blockSize)...)
		}
	}
	b := s.bucket(h)
	e.links = links{next: *b}
	*s.at(i) = e
	*b = i
	s.changed(i, e.seq)
	s.pushNewest(i)
	return i
}

// changed gives an entry a sequence number.
func (s *shard) changed(i uint32, seq uint64) {
	s.at(i).seq = seq
	m := &s.marks[i/blockSize]
	*m = max(*m, seq)
}

// evict forgets the client that has had no connection for the longest time or, if all
// have one, the one whose last connection started first. It reports false if there is
// none.
func (s *shard) evict() bool {
	for _, o := range []*order{&s.idle, &s.busy} {
		if o.oldest != none {
			s.remove(o.oldest)
			return true
		}
	}
	return false
}

// count adds n to a client's live connections, and makes it the most recent client of
// those with a connection, or of those without.
func (s *shard) count(i uint32, n int) {
	s.unlink(i)
	e := s.at(i)
	e.live = uint32(max(0, int(e.live)+n))
	s.pushNewest(i)
}

// remove takes an entry out and keeps its place for the next client.
func (s *shard) remove(i uint32) {
	e := s.at(i)
	p := s.bucket(hash(s.seed, e.key))
	for *p != i {
		p = &s.at(*p).next
	}
	*p = e.next
	s.unlink(i)
	e.seq, e.next = 0, s.free
	s.free = i
}

func (s *shard) pushNewest(i uint32) { s.link(i, none, s.order(s.at(i)).newest) }

// link puts an entry between two neighbours in its order of use.
func (s *shard) link(i, newer, older uint32) {
	e := s.at(i)
	o := s.order(e)
	e.newer, e.older = newer, older
	if newer == none {
		o.newest = i
	} else {
		s.at(newer).older = i
	}
	if older == none {
		o.oldest = i
	} else {
		s.at(older).newer = i
	}
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
