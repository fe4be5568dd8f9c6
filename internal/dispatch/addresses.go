package dispatch

import (
	"net/netip"

	"pen/internal/pool"
)

// addressTries are those of a flow at a server that has several addresses. The zero
// value is of no server.
type addressTries struct {
	server *pool.Server
	addr   netip.AddrPort   // the one that is tried, or used
	failed []netip.AddrPort // for this flow
	again  bool             // there is another one to try
}

// tryAddress notes which address of its server the flow tries.
func (f *Flow) tryAddress(s *pool.Server) {
	a := f.addresses(s)
	if a == nil {
		if f.past != nil {
			f.past.addresses = addressTries{}
		}
		if len(s.Others) == 0 {
			return
		}
		a = &f.history().addresses
		a.server = s
	}
	a.again = false
	a.addr, _ = s.Untried(a.failed)
}

// addresses returns the tries of a server's addresses, or nil.
func (f *Flow) addresses(s *pool.Server) *addressTries {
	if f.past == nil || s == nil || f.past.addresses.server != s {
		return nil
	}
	return &f.past.addresses
}

// addr is the address of a server that the flow tries or uses.
func (f *Flow) addr(s *pool.Server) netip.AddrPort {
	if a := f.addresses(s); a != nil {
		return a.addr
	}
	return s.Addr
}

// tryAnother reports whether a server has another address, which Next offers,
// after one has failed.
func (f *Flow) tryAnother(s *pool.Server) bool {
	a := f.addresses(s)
	if a == nil {
		return false
	}
	a.failed = append(a.failed, a.addr)
	if _, a.again = s.Untried(a.failed); !a.again {
		*a = addressTries{}
		return false
	}
	return f.d.pool.Holds(s)
}

// anotherAddress is the server that has another address to try, or nil.
func (f *Flow) anotherAddress() *pool.Server {
	if f.past == nil || !f.past.addresses.again {
		return nil
	}
	a := &f.past.addresses
	a.again = false
	if s := a.server; f.d.pool.Holds(s) {
		if _, ok := s.Untried(a.failed); ok {
			return s
		}
	}
	*a = addressTries{}
	return nil
}

// preferAddress has other flows start with the address that works.
func (f *Flow) preferAddress() {
	if a := f.addresses(f.server); a != nil {
		f.d.pool.Prefer(f.server, a.addr)
		a.failed = nil
	}
}

// Lost says that the server of a slot can't be reached, as a failed connect does.
func (d *Dispatcher) Lost(slot int) { d.rules.Load().Observer.ConnectFailed(slot) }

// lost tells the Observer of a failed connect, unless that is no fault of the server's.
func (d *Dispatcher) lost(s *pool.Server, err error) {
	if !isLocal(err) {
		o, slot := d.cfg.Observer, s.Slot
		d.woken = append(d.woken, func() { o.ConnectFailed(slot) })
	}
}
