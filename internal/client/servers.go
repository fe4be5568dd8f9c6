package client

import (
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

// An ID names a server in the entries of one table. It is the server's index in the
// table's [Directory].
type ID uint16

const (
	// NoServer is the ID of no server.
	NoServer ID = math.MaxUint16
	// forgotten stands in for the server of a client that was forgotten, where other
	// nodes must hear of that.
	forgotten ID = NoServer - 1
	// maxServers bounds a Directory.
	maxServers = int(forgotten)
	// maxIdentity bounds the name and the address of a server, in bytes.
	maxIdentity = 1024
)

// An Identity is what a server is known by, whatever its slot in whichever service:
// its name, which may be empty, and its address as the operator writes it. The zero
// Identity is that of an unused slot.
type Identity struct{ Name, Address string }

// A Directory lists the servers that a table knows at one moment, by ID. An ID that
// is not used has the zero Identity. A Directory never changes; a table that learns of
// a server gets another one.
type Directory []Identity

// Slots returns, by ID, which of a service's servers each server is: the first one of
// its name, or else the first one at its address, or else -1. So clients stay where
// they are when a server gets another slot, is named, or is renamed.
func (d Directory) Slots(servers []Identity) []int32 {
	byName, byAddress := map[string]int32{}, map[string]int32{}
	for slot, s := range slices.Backward(servers) { // the first one of several alike wins
		if s.Name != "" {
			byName[s.Name] = int32(slot)
		}
		if s.Address != "" {
			byAddress[s.Address] = int32(slot)
		}
	}
	slots := make([]int32, len(d))
	for id, s := range d {
		slot, ok := byName[s.Name]
		if !ok {
			slot, ok = byAddress[s.Address]
		}
		if !ok {
			slot = -1
		}
		slots[id] = slot
	}
	return slots
}

// interned are the servers of a table.
type interned struct {
	directory atomic.Pointer[Directory] // read without the lock

	mu    sync.Mutex // guards the rest, and changes of directory
	index map[Identity]ID
	free  []ID
}

// Directory returns the servers that the table knows. Two calls return the same
// pointer as long as nothing has changed.
func (t *Table) Directory() *Directory { return t.servers.directory.Load() }

// Intern returns the IDs of servers and the directory that has them, to which it adds those
// that are new. The IDs are valid for as long as Directory returns the same one: a
// directory has room for 65,534 servers, and when it is full, servers without a client make
// room for new ones. A server for which there is no room, whose texts are longer than 1024
// bytes, or that has no identity at all gets NoServer: its clients are not remembered.
func (t *Table) Intern(servers []Identity) ([]ID, *Directory) {
	in := &t.servers
	in.mu.Lock()
	defer in.mu.Unlock()
	before := in.directory.Load()
	next, collected := *before, false
	ids := make([]ID, len(servers))
	for i, s := range servers {
		id, known := in.index[s]
		switch {
		case s == (Identity{}), len(s.Name) > maxIdentity, len(s.Address) > maxIdentity:
			ids[i] = NoServer
			continue
		case known:
			ids[i] = id
			continue
		}
		if len(next) == maxServers && len(in.free) == 0 && !collected {
			next, collected = t.collect(next, servers), true
		}
		switch n := len(in.free); {
		case n > 0:
			id, in.free = in.free[n-1], in.free[:n-1]
			if !collected { // nobody may be reading what is written
				next, collected = slices.Clone(next), true
			}
			next[id] = s
		case len(next) < maxServers:
			id = ID(len(next))
			next = append(next, s)
		default:
			ids[i] = NoServer
			continue
		}
		ids[i], in.index[s] = id, id
	}
	if !collected && len(next) == len(*before) {
		return ids, before
	}
	in.directory.Store(&next)
	return ids, &next
}

// collect frees the IDs of servers that are not wanted and have no client, and returns
// the directory without them. A client that comes to one of them meanwhile may be
// remembered at the server that gets its ID next. Called with servers.mu held.
func (t *Table) collect(d Directory, wanted []Identity) Directory {
	used := make([]bool, maxServers)
	for _, s := range wanted {
		if id, ok := t.servers.index[s]; ok {
			used[id] = true
		}
	}
	l := t.layout.Load()
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		for _, e := range s.all {
			if int(e.server) < maxServers {
				used[e.server] = true
			}
		}
		s.mu.Unlock()
	}
	d = slices.Clone(d)
	maps.DeleteFunc(t.servers.index, func(_ Identity, id ID) bool { return !used[id] })
	for id := range d {
		if !used[id] && d[id] != (Identity{}) {
			d[id] = Identity{}
			t.servers.free = append(t.servers.free, ID(id))
		}
	}
	return d
}

// has reports whether an ID is one of a server.
func (d Directory) has(id ID) bool { return int(id) < len(d) && d[id] != (Identity{}) }
