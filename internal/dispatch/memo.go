package dispatch

import (
	"net/netip"
	"time"

	"pen/internal/client"
	"pen/internal/pool"
)

// A memo is what the client table is to know of a flow, made under the lock and
// written without it.
type memo struct {
	table  *client.Table // nil: nothing
	key    netip.Addr
	server int
	now    time.Duration
	begins bool // the flow is not counted among its client's connections yet
}

// memo says that the flow uses the server of a slot. The emergency server pins
// nobody, and the abuse server is not remembered. Clients without an address are not
// told apart.
func (f *Flow) memo(slot int, now time.Duration) memo {
	if pool.IsEmergency(slot) {
		slot = client.NoServer
	} else if slot < 0 {
		return memo{}
	}
	key := f.key()
	if !key.IsValid() {
		return memo{}
	}
	m := memo{f.d.clients.Load(), key, slot, now, f.table == nil}
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
