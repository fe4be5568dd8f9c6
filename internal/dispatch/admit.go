package dispatch

import (
	"net/netip"
	"time"

	"pen/internal/acl"
	"pen/internal/client"
)

// Admit takes a place for a new client, judges it and returns its flow, for which
// the caller must call Done, or ErrDenied, ErrLimited or ErrFull. It is for planes
// whose clients can't wait in the kernel until there is a place. A client that is
// refused in any case never gets ErrFull: a plane need not make room for it. The plane
// counts ErrFull when it gives the client up.
func (d *Dispatcher) Admit(client netip.AddrPort, c Carrier) (*Flow, error) {
	n := d.newcomer(client)
	d.mu.Lock()
	defer d.unlock()
	denied, err := d.denies(&n)
	if err != nil {
		d.refuse(n.at, Denied)
		return nil, err
	}
	p, full := d.reserve(nil)
	if full == nil {
		return p.admit(&n, denied, c)
	}
	if why, refused := d.refuses(&n, denied); refused {
		d.refuse(n.at, why)
		return nil, ErrLimited
	}
	return nil, ErrFull
}

// Admit judges the client of a flow that [Place.Open] has returned, as
// [Place.Begin] does. After an error only Done may be called.
//
// One client may have half of all places, or leastUnidentified, for connections that
// have not called Next yet, such as those whose TLS hello is still to come.
func (f *Flow) Admit(client netip.AddrPort) error {
	d := f.d
	n := d.newcomer(client)
	d.mu.Lock()
	defer d.unlock()
	denied, err := d.denies(&n)
	if err != nil {
		return f.refused(d, Denied, err)
	}
	return f.identify(&n, denied)
}

// Move moves a flow whose client was admitted to another service, where its
// client is judged as well, before it has called Next. It returns the new flow,
// and has ended the old one; or full, a channel that is closed when it is worth
// asking again; or an error as those of Admit. Then the old flow is still there.
func (f *Flow) Move(to *Dispatcher, client netip.AddrPort, c Carrier) (moved *Flow, full <-chan struct{}, err error) {
	n := to.newcomer(client)
	moved, full, err = to.moveIn(f, &n, c)
	if moved != nil {
		f.Done(NotEnded) // it goes on
	}
	return moved, full, err
}

func (d *Dispatcher) moveIn(from *Flow, n *newcomer, c Carrier) (*Flow, <-chan struct{}, error) {
	d.mu.Lock()
	defer d.unlock()
	denied, err := d.denies(n)
	if err != nil {
		return nil, nil, from.refused(d, Denied, err)
	}
	p, full := d.reserve(from)
	if full != nil {
		if why, refused := d.refuses(n, denied); refused {
			err = from.refused(d, why, ErrLimited)
		}
		return nil, full, err
	}
	f := p.flow(c)
	p.settle()
	if err := f.identify(n, denied); err != nil {
		if from.budget == f.budget {
			from.cost, f.cost = f.cost, 0
		}
		from.why = f.why
		f.vacate()
		return nil, nil, err
	}
	f.delay(from.mustWait())
	if was, is := from.record(), f.record(); was != nil && is != nil {
		is.Accepted = was.Accepted
	}
	return f, nil, nil
}

// leastUnidentified is how many connections one client may always have in the phase
// identifying.
const leastUnidentified = 16

// identify makes a reserved flow its client's.
func (f *Flow) identify(n *newcomer, denied bool) error {
	d := f.d
	if d.unidentified[n.key] >= max(d.cfg.ConnMax/2, leastUnidentified) {
		return f.refused(d, ClientConns, ErrLimited)
	}
	if err := f.enter(n, denied); err != nil {
		return err
	}
	f.enterPhase(identifying)
	return nil
}

// A clientCount counts flows by their clients; those without an address do not count.
type clientCount map[netip.Addr]int

func (c *clientCount) add(key netip.Addr) {
	if !key.IsValid() {
		return
	}
	if *c == nil {
		*c = clientCount{}
	}
	(*c)[key]++
}

func (c clientCount) remove(key netip.Addr) {
	if n := c[key]; n > 1 {
		c[key] = n - 1
	} else {
		delete(c, key)
	}
}

// A newcomer is a client before it is judged.
type newcomer struct {
	at         netip.AddrPort
	key        netip.Addr // what it is known by; invalid for one of a Unix socket: those can't be told apart
	remembered client.ID  // the server that it used last
	now        time.Duration
	permits    acl.Set // access lists that permit it
	era        uint32  // Config.era of permits
}

func (d *Dispatcher) newcomer(at netip.AddrPort) newcomer {
	at = netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port())
	cfg := d.rules.Load()
	n := newcomer{at, cfg.key(at.Addr()), client.NoServer, d.now(), cfg.permitting(at.Addr()), cfg.era}
	if n.key.IsValid() {
		n.remembered, _ = d.table().Lookup(n.key, n.now)
	}
	return n
}

// isDenied reports whether the access list denies a client.
func (d *Dispatcher) isDenied(n *newcomer) bool {
	if n.era != d.cfg.era { // the configuration has changed meanwhile
		n.permits, n.era = d.cfg.permitting(n.at.Addr()), d.cfg.era
	}
	return n.permits&acl.SetOf(d.cfg.ClientACL) == 0
}

// denies reports whether the access list denies a client, and ErrDenied where
// there is no abuse server for it either.
func (d *Dispatcher) denies(n *newcomer) (bool, error) {
	if !d.isDenied(n) {
		return false, nil
	}
	if d.pool.Abuse() == nil {
		return true, ErrDenied
	}
	return true, nil
}

// vacate gives a flow's place back.
func (f *Flow) vacate() {
	d := f.d
	f.enterPhase(free)
	f.prove(needless)
	f.budget.give(int(f.cost))
	d.flows.put(f)
	d.taken.Add(-1)
	d.roomLocked()
}

// refuses reports whether limits refuse a client whether or not there is a place, and
// why.
func (d *Dispatcher) refuses(n *newcomer, denied bool) (why Refusal, refused bool) {
	if denied || d.pool.Abuse() != nil {
		return 0, false
	}
	early, why, over := d.overLimit(n.key, n.now)
	return why, over && !d.mayDelay(early)
}

// enter makes a flow its client's. What becomes of a client that the access list
// permits is a ladder: it is admitted, perhaps after a delay, or it gets the abuse
// server, or it is refused with ErrLimited.
func (f *Flow) enter(n *newcomer, denied bool) error {
	d := f.d
	early, why, over := time.Duration(0), Refusal(0), false
	if !denied {
		early, why, over = d.overLimit(n.key, n.now)
	}
	found := permitted
	switch {
	case denied:
		found = onList
	case !over:
	case d.mayDelay(early):
		d.note(Delayed)
		f.delay(early)
	case d.pool.Abuse() != nil:
		d.note(Diverted)
		found = overLimit
	default:
		return f.refused(d, why, ErrLimited)
	}
	f.client, f.remembered, f.judgement = endpointOf(n.at), int32(d.clients.Load().slot(n.remembered)), found
	f.permits, f.era = n.permits, n.era
	if f.isDiverted() {
		f.stage = stageAbuse
	} else {
		d.countFlow(f, n.now)
	}
	return nil
}
