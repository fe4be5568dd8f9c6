package dispatch

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"pen/internal/client"
	"pen/internal/pool"
)

// A clientTable is a client table as the service sees it: with slots for the servers
// that the table knows by their identities. It never changes; when the service's servers
// or the table's directory do, another one takes its place.
type clientTable struct {
	*client.Table
	servers   []client.Identity // by slot
	ids       []client.ID       // by slot
	directory *client.Directory // when slots was made
	slots     []int32           // by ID; -1: none of the service's servers
}

// clientTable returns the one for a table and servers.
func (d *Dispatcher) clientTable(t *client.Table, servers []client.Identity) *clientTable {
	if c := d.clients.Load(); c != nil && c.Table == t && slices.Equal(c.servers, servers) {
		return c
	}
	return newClientTable(t, servers)
}

func newClientTable(t *client.Table, servers []client.Identity) *clientTable {
	ids, directory := t.Intern(servers)
	return &clientTable{t, servers, ids, directory, directory.Slots(servers)}
}

// Identities are what a client table knows the servers by, by slot. Where several are at
// one address and have no names, their order tells them apart.
func Identities(servers []pool.Config) []client.Identity {
	list := make([]client.Identity, len(servers))
	at := map[string]int{}
	for slot, c := range servers {
		s := client.Identity{Name: c.Name, Address: c.Identity}
		if s.Address == "" && c.Used() {
			s.Address = cmp.Or(c.Path, c.Addr.String())
		}
		if at[s.Address]++; at[s.Address] > 1 && s.Address != "" {
			s.Address = fmt.Sprintf("%s#%d", s.Address, at[s.Address])
		}
		list[slot] = s
	}
	return list
}

// table is the client table, with the slots of all servers that it knows now.
func (d *Dispatcher) table() *clientTable {
	c := d.clients.Load()
	if c.directory == c.Directory() {
		return c
	}
	next := newClientTable(c.Table, c.servers)
	d.clients.CompareAndSwap(c, next) // else Configure has made a newer one
	return next
}

// slot is that of a server, or pool.None.
func (c *clientTable) slot(id client.ID) int {
	if int(id) >= len(c.slots) || c.slots[id] < 0 {
		return pool.None
	}
	return int(c.slots[id])
}

// A Client is a client table's entry, with the slot of the client's server.
type Client struct {
	client.Entry
	Server int // slot, or -1
}

// Clients returns the client table, without the bytes of live flows.
func (d *Dispatcher) Clients() []Client {
	c := d.table()
	entries := c.Dump()
	all := make([]Client, len(entries))
	for i, e := range entries {
		all[i] = Client{e, max(c.slot(e.Server), -1)}
	}
	return all
}

// A memo is what the client table must know of a flow, made under the lock and written
// without it.
type memo struct {
	table  *client.Table // nil: nothing
	key    netip.Addr
	server client.ID
	now    time.Duration
	begins bool // the flow is not counted among its client's connections yet
}

// memo records that the flow uses the server of a slot. The emergency server pins
// nobody, and the abuse server is not remembered. Clients without an address can't be
// told apart.
func (f *Flow) memo(slot int, now time.Duration) memo {
	c, key, server := f.d.clients.Load(), f.key(), client.NoServer
	switch {
	case !key.IsValid(), slot < 0 && !pool.IsEmergency(slot):
		return memo{}
	case slot >= 0 && slot < len(c.ids):
		server = c.ids[slot]
	}
	m := memo{c.Table, key, server, now, f.table == nil}
	if m.begins {
		f.table = m.table
	}
	return m
}

func (m *memo) write() {
	switch {
	case m.table == nil:
	case m.begins:
		m.table.Begin(m.key, m.server, m.now)
	default:
		m.table.Assign(m.key, m.server, m.now)
	}
}
