package dispatch

import (
	"net/netip"
	"time"

	"pen/internal/pool"
)

// Admit judges a new client and returns its flow, for which the caller must
// call Done, or ErrDenied, ErrFull or ErrLimited. The client's address is
// invalid if it came by a Unix socket.
func (d *Dispatcher) Admit(client netip.AddrPort, c Carrier) (*Flow, error) {
	n := d.newcomer(client)
	d.mu.Lock()
	defer d.mu.Unlock()
	denied, err := d.denies(n)
	if err != nil {
		return nil, err
	}
	f, err := d.place(c)
	if err != nil {
		return nil, err
	}
	if err := f.enter(n, denied); err != nil {
		f.vacate()
		return nil, err
	}
	f.expect()
	return f, nil
}

// Open takes a place for a connection whose client has yet to say something, and
// returns a flow, for which the caller must call Admit next, or Done; or
// ErrFull. It does not wait for a server, and keeps out nobody who does, before
// Next is called.
func (d *Dispatcher) Open(c Carrier) (*Flow, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, err := d.place(c)
	if err == nil {
		f.opened = true
	}
	return f, err
}

// Admit judges the client of a flow that Open has returned, as
// [Dispatcher.Admit] does. After an error there is nothing left but Done.
func (f *Flow) Admit(client netip.AddrPort) error {
	d := f.d
	n := d.newcomer(client)
	d.mu.Lock()
	defer d.mu.Unlock()
	denied, err := d.denies(n)
	if err != nil {
		return err
	}
	return f.enter(n, denied)
}

// A newcomer is a client that is to be judged.
type newcomer struct {
	at         netip.AddrPort
	key        netip.Addr // what it is known by
	remembered int        // slot that it used last, or pool.None
	now        time.Duration
}

func (d *Dispatcher) newcomer(client netip.AddrPort) newcomer {
	client = netip.AddrPortFrom(client.Addr().Unmap().WithZone(""), client.Port())
	n := newcomer{client, d.key(client.Addr()), pool.None, d.now()}
	if slot, known := d.clients.Load().Lookup(n.key, n.now); known {
		n.remembered = slot
	}
	return n
}

// denies reports whether the access list denies a client, and ErrDenied where
// there is no abuse server for it either.
func (d *Dispatcher) denies(n newcomer) (bool, error) {
	if d.cfg.ACLs.Permits(d.cfg.ClientACL, n.at.Addr()) {
		return false, nil
	}
	if d.pool.Abuse() == nil {
		d.refused[Denied]++
		return true, ErrDenied
	}
	return true, nil
}

// place makes a flow that no limit counts yet but that of all flows.
func (d *Dispatcher) place(c Carrier) (*Flow, error) {
	if d.flows.used >= d.cfg.ConnMax || !d.cfg.Budget.take(d.cfg.FlowCost) {
		d.refused[Full]++
		return nil, ErrFull
	}
	f := d.flows.take()
	f.d, f.carrier, f.diverted, f.remembered, f.why = d, c, true, pool.None, NoServer
	f.budget, f.cost = d.cfg.Budget, d.cfg.FlowCost
	return f, nil
}

// expect counts a flow that waits for its first server.
func (f *Flow) expect() {
	f.opened = false
	if f.pending = !f.d.cfg.Dummy; f.pending {
		f.d.pending++
	}
}

// vacate gives a flow's place back.
func (f *Flow) vacate() {
	d := f.d
	f.settle()
	f.budget.give(f.cost)
	d.flows.put(f)
	d.roomLocked()
}

// enter makes a flow its client's, or refuses the client with ErrLimited.
func (f *Flow) enter(n newcomer, denied bool) error {
	d := f.d
	var hold time.Duration
	divert := denied
	if !denied {
		var err error
		if hold, divert, err = d.ladder(n.key, n.now); err != nil {
			return err
		}
	}
	f.client, f.key, f.remembered = n.at, n.key, n.remembered
	f.hold, f.diverted = hold, divert
	if divert {
		f.stage = stageAbuse
	} else {
		d.countFlow(f, n.now)
	}
	return nil
}
