package dispatch

import (
	"net/netip"

	"pen/internal/pool"
)

// A Place is room for one connection: one of Config.ConnMax, and its part of the
// Budget. It ends with exactly one of its methods.
type Place struct {
	d      *Dispatcher
	budget *Budget
	cost   int
}

// Reserve takes a place for a connection before it is accepted, so that several
// listeners that share a limit do not accept more than it allows. Where there is
// none, full is not nil: a channel that is closed when it is worth asking again,
// while clients wait in the kernel's queue.
func (d *Dispatcher) Reserve() (p Place, full <-chan struct{}) {
	d.mu.Lock()
	defer d.unlock()
	if !d.hasRoom() {
		return Place{}, d.roomChanged()
	}
	return d.reserve(nil)
}

// Room returns nil if Reserve would find a place now, and otherwise a channel
// that is closed when it is worth asking again. It is a hint, for planes that
// must accept before they reserve: another listener may take the place meanwhile.
func (d *Dispatcher) Room() <-chan struct{} {
	d.mu.Lock()
	defer d.unlock()
	if !d.hasRoom() {
		return d.roomChanged()
	}
	return d.cfg.Budget.room(d.cfg.FlowCost)
}

// reserve takes a place whether or not flows wait for a server. The part of the
// budget of a flow that is to end in its favour goes with it.
func (d *Dispatcher) reserve(from *Flow) (Place, <-chan struct{}) {
	if d.flows.used+d.reserved >= d.cfg.ConnMax {
		return Place{}, d.roomChanged()
	}
	p := Place{d, d.cfg.Budget, d.cfg.FlowCost}
	missing := p.cost
	if from != nil && from.budget == p.budget {
		missing -= int(from.cost)
	}
	if full := p.budget.take(missing); full != nil {
		return Place{}, full
	}
	if from != nil && from.budget == p.budget {
		from.cost = 0
	}
	d.reserved++
	return p, nil
}

// Release gives the place back.
func (p Place) Release() {
	p.d.mu.Lock()
	defer p.d.unlock()
	p.giveBack()
}

func (p Place) giveBack() {
	p.budget.give(p.cost)
	p.d.reserved--
	p.d.roomLocked()
}

// Admit judges the client of the connection and returns its flow, for which the
// caller must call Done, or ErrDenied or ErrLimited. The client's address is
// invalid if it came by a Unix socket.
func (p Place) Admit(client netip.AddrPort, c Carrier) (*Flow, error) {
	d := p.d
	n := d.newcomer(client)
	d.mu.Lock()
	defer d.unlock()
	denied, err := d.denies(n)
	if err != nil {
		p.giveBack()
		return nil, err
	}
	return p.admit(n, denied, c)
}

func (p Place) admit(n newcomer, denied bool, c Carrier) (*Flow, error) {
	f := p.flow(c)
	if err := f.enter(n, denied); err != nil {
		f.vacate()
		return nil, err
	}
	f.choose()
	return f, nil
}

// Open makes a flow of a connection whose client has yet to say something. The
// caller must call Admit next, or Done. Before Next is called the flow does not count
// as one that waits for a server, and keeps out none that does.
func (p Place) Open(c Carrier) *Flow {
	p.d.mu.Lock()
	defer p.d.unlock()
	return p.flow(c)
}

// flow makes the place a flow's, which no limit counts yet but that of all flows.
func (p Place) flow(c Carrier) *Flow {
	p.d.reserved--
	f := p.d.flows.take()
	f.d, f.carrier, f.remembered, f.why = p.d, c, pool.None, NoServer
	f.budget, f.cost, f.ruled = p.budget, uint16(p.cost), uint32(p.d.pool.Revision())
	return f
}
