package dispatch

import (
	"net/netip"
	"time"

	"pen/internal/pool"
)

// A View is what a plane can decide without asking the Dispatcher for each flow: the
// rules, and the state of the servers at one moment. It is immutable and safe for
// concurrent use. A plane that compiles it holds it until [Dispatcher.Changed] tells
// that there is a newer one.
//
// Connections are counted elsewhere: what a View says of room is true of its moment
// only, and reaching a limit makes no new revision.
type View struct {
	*pool.View
	Rules   *Config
	Now     time.Duration // when it was made, on the Dispatcher's clock
	Flows   int           // live flows and reserved places
	Pending int           // those of them that have no server yet
}

// View returns the present View. It costs O(servers).
func (d *Dispatcher) View() *View {
	d.mu.Lock()
	defer d.unlock()
	now := d.now()
	return &View{
		View: d.pool.View(now), Rules: d.cfg, Now: now,
		Flows: int(d.taken.Load()), Pending: int(d.pending.Load()),
	}
}

// closed is a channel that never blocks.
var closed = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Changed returns a channel that is closed as soon as there is a newer View than that
// of a revision. Changes that time brings are found by Sweep.
func (d *Dispatcher) Changed(revision uint64) <-chan struct{} {
	d.mu.Lock()
	defer d.unlock()
	if d.pool.Revision() != revision {
		return closed
	}
	if d.changed == nil {
		d.changed = make(chan struct{})
	}
	return d.changed
}

// Asks returns why a plane must ask about every flow, or "". Flows of clients that are
// not known may have to be asked about as well: see [pool.View.Pick].
func (v *View) Asks() string {
	r, lim := v.Rules, &v.Rules.Limits
	switch {
	case r.Dummy:
		return "clients get a dummy page"
	case r.PerDatagram:
		return "each datagram chooses its server"
	case lim.byClient():
		return "each client is limited"
	case lim.Rate > 0 || lim.ServerRate > 0:
		return "the rate of connections is limited"
	case lim.Conns > 0:
		return "the number of connections is limited"
	case r.Queue > 0:
		return "connections may wait in a queue"
	}
	return ""
}

// A Fate is what becomes of a client.
type Fate uint8

// The fates of clients.
const (
	Ask    Fate = iota // only the Dispatcher knows
	Deny               // its address is denied
	Assign             // it gets a server
)

// Decide returns what the Dispatcher would do with a new flow of a client, and the slot
// of its server. remembered is the slot that the client used last, or None. turn is the
// slot whose turn it is, where that chooses: see [pool.View.Places].
func (v *View) Decide(client netip.AddrPort, remembered, turn int) (Fate, int) {
	r := v.Rules
	client = netip.AddrPortFrom(client.Addr().Unmap().WithZone(""), client.Port())
	switch {
	case v.Asks() != "":
		return Ask, pool.None
	case r.ACLs.Permits(r.ClientACL, client.Addr()):
	case v.Abuse.Used():
		return Ask, pool.None
	default:
		return Deny, pool.None
	}
	slot, known := remembered, !r.NoTracking && remembered >= 0 && remembered < len(v.Servers) && v.Servers[remembered].Used()
	if !known {
		slot = turn
		if v.Choice != pool.InTurn && v.Choice != pool.AtRandom {
			slot, _ = v.Pick(netip.AddrPortFrom(r.key(client.Addr()), client.Port()))
		}
	}
	if v.Flows >= r.ConnMax || slot < 0 || slot >= len(v.Servers) {
		return Ask, pool.None
	}
	if s := &v.Servers[slot]; !s.Takes(known) || s.Room(known) == 0 || !r.ACLs.Permits(s.ACL, client.Addr()) {
		return Ask, pool.None
	}
	return Assign, slot
}
