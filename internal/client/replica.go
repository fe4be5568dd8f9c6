package client

import (
	"net/netip"
	"sync/atomic"
	"time"
)

const (
	// maxVersion is the one of the year 2100. A later one is an error of the node that
	// gave it. The clock follows up to a year before, so that it can always go on.
	maxVersion  = uint64(4_102_444_800_000) << 16
	maxFollowed = maxVersion - 1<<51
	// refresh is how often it counts as a change that a client comes again: once in each
	// such time.
	refresh = 30 * time.Second
	// maxSteps bounds how far a client that other nodes know is sorted into those that
	// were here later.
	maxSteps = 64
)

// An Assignment is which server a client was assigned to, or that it was forgotten,
// for exchange between the tables of several nodes.
type Assignment struct {
	Addr    netip.Addr // as in Entry
	Server  ID         // in the directory of this table; NoServer: the client was forgotten
	Version uint64     // the larger one is newer; see clock
	Node    uint16     // that assigned it; of equal versions the larger one's is newer
	Age     time.Duration
}

// A Cursor is how far a reader of Changes has got. The zero one is at the beginning: what
// it gets is the whole table. A cursor is never too old, since there is no log of
// changes that could be cut off.
type Cursor struct {
	after, until uint64 // sequence numbers: what the reader has, and will have after this walk
	layout       uint64 // under way in this one, or 0
	shard        int
	entry        uint32
}

// A clock gives versions: milliseconds since 1970 in the upper 48 bits, a count in the
// lower 16. Each one is larger than all that were given or seen before, so that a change
// made in the knowledge of another one is newer, whatever the machines' clocks say. (It
// is a hybrid logical clock.)
type clock struct{ last atomic.Uint64 }

func versionAt(now time.Duration) uint64 { return uint64(max(now, 0)/time.Millisecond) << 16 }

func (c *clock) next(now time.Duration) uint64 {
	for {
		last := c.last.Load()
		v := max(last+1, versionAt(now))
		if c.last.CompareAndSwap(last, v) {
			return v
		}
	}
}

func (c *clock) see(v uint64) {
	for last := c.last.Load(); last < v && !c.last.CompareAndSwap(last, v); last = c.last.Load() {
	}
}

// SetNode gives the table the number of its node, of those that exchange assignments,
// from 1. From then on Forget keeps the place of a client, without anything but that it
// was forgotten, until it is evicted: the other nodes must hear of it.
func (t *Table) SetNode(node uint16) { t.node.Store(uint32(node)) }

// Changes returns clients that were assigned to a server, came again after a while, or
// were forgotten since the cursor, each as it is now, and at most limit, or one. The calls
// with the next cursors, up to the one that returns false for more, walk through the whole
// table; what changes behind them comes with the next walk. Some clients may come twice.
// Clients that were evicted do not come. One shard at a time is locked.
func (t *Table) Changes(c Cursor, limit int, now time.Duration) (list []Assignment, next Cursor, more bool) {
	l := t.layout.Load()
	if c.layout != l.number {
		// All that has a number up to this one is seen, since numbers are given with
		// the shard locked.
		c = Cursor{after: c.after, until: t.clock.next(now), layout: l.number}
	}
	for c.shard < len(l.shards) {
		s := &l.shards[c.shard]
		s.mu.Lock()
		moved := s.moved
		list, c.entry = s.appendChanges(list, c.entry, c.after, max(1, limit), now)
		s.mu.Unlock()
		switch {
		case moved: // once more, in the new layout
			return list, Cursor{after: c.after}, true
		case len(list) >= max(1, limit):
			return list, c, true
		}
		c.shard, c.entry = c.shard+1, 0
	}
	return list, Cursor{after: c.until}, false
}

// appendChanges appends what has changed after a sequence number, from an entry on, and
// returns the entry to go on with. It passes over the blocks in which nothing has.
func (s *shard) appendChanges(list []Assignment, from uint32, after uint64, limit int, now time.Duration) ([]Assignment, uint32) {
	for i := from; i < s.used; i++ {
		if i%blockSize == 0 && s.marks[i/blockSize] <= after {
			i += blockSize - 1
			continue
		}
		e := s.at(i)
		if e.seq <= after || e.server == NoServer {
			continue
		}
		if len(list) == limit {
			return list, i
		}
		list = append(list, e.assignment(now))
	}
	return list, s.used
}

func (e *entry) assignment(now time.Duration) Assignment {
	a := Assignment{Addr: e.addr(), Server: e.server, Version: e.version, Node: e.node, Age: max(now-e.last, 0)}
	if a.Server == forgotten {
		a.Server = NoServer
	}
	return a
}

// Merge applies assignments of other nodes and returns how many were news, and how many
// it refused because they can't be true: of no server, or of a time after 2100. In
// whatever order and how often tables get each other's assignments, they end up equal:
// the newest version of a client wins, also where the client has connections here, which
// go on. When a client was last here counts by its age, not by another node's clock, and
// is never after now.
//
// A full table gives up a client for one that was in use later, but none with a
// connection.
func (t *Table) Merge(list []Assignment, now time.Duration) (news, refused int) {
	servers := *t.Directory()
	for i := range list {
		a := &list[i]
		switch {
		case a.Version == 0, a.Version > maxVersion, a.Server != NoServer && !servers.has(a.Server):
			refused++
		case t.merge(a, now):
			news++
		}
	}
	return news, refused
}

func (t *Table) merge(a *Assignment, now time.Duration) bool {
	t.clock.see(min(a.Version, maxFollowed))
	last := now - min(max(a.Age, 0), maxAge)
	k := keyOf(a.Addr)
	h := t.hash(k)
	l, s := t.lock(h)
	defer s.mu.Unlock()
	i := s.index(h, k)
	if i == none {
		if t.expired(last, now) || !l.reserve() && !t.replace(s, last) {
			return false
		}
		i = s.add(h, entry{key: k, server: NoServer, last: last})
		s.sort(i)
	}
	e := s.at(i)
	if last > e.last {
		e.last = last
		s.sort(i)
	}
	if a.Version < e.version || a.Version == e.version && a.Node <= e.node {
		return false
	}
	e.server, e.version, e.node = a.Server, a.Version, a.Node
	if a.Server == NoServer {
		s.bury(i)
	}
	s.changed(i, t.clock.next(now))
	return true
}

// replace evicts a client without a connection that was last here before a time.
func (t *Table) replace(s *shard, last time.Duration) bool {
	if i := s.idle.oldest; i == none || s.at(i).last >= last {
		return false
	}
	t.evicted.Add(1)
	return s.evict()
}

// bury makes an entry that of a client that was forgotten. No connection of it is
// counted any more.
func (s *shard) bury(i uint32) {
	s.count(i, -int(s.at(i).live))
	e := s.at(i)
	e.forget()
	e.server = forgotten
}

// sort moves an entry to its place in the order of use, but puts no more than maxSteps
// before it.
func (s *shard) sort(i uint32) {
	s.unlink(i)
	e := s.at(i)
	newer, older := none, s.order(e).newest
	for range maxSteps {
		if older == none || s.at(older).last <= e.last {
			break
		}
		newer, older = older, s.at(older).older
	}
	s.link(i, newer, older)
}
