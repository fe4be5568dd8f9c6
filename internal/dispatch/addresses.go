package dispatch

import (
	"net/netip"

	"pen/internal/pool"
)

// addressTries are those of a flow at a server that has several addresses.
type addressTries struct {
	server *pool.Server
	addr   netip.AddrPort   // the one that is tried, or used
	failed []netip.AddrPort // for this flow
	again  bool             // there is another one to try
}

// tryAddress notes which address of its server the flow tries.
func (f *Flow) tryAddress(s *pool.Server) {
	if f.tries == nil || f.tries.server != s {
		f.tries = nil
		if len(s.Others) == 0 {
			return
		}
		f.tries = &addressTries{server: s}
	}
	f.tries.again = false
	f.tries.addr, _ = s.Untried(f.tries.failed)
}

// addr is the address of a server that the flow tries or uses.
func (f *Flow) addr(s *pool.Server) netip.AddrPort {
	if f.tries != nil && f.tries.server == s {
		return f.tries.addr
	}
	return s.Addr
}

// tryAnother reports whether a server has another address, which Next offers,
// after one has failed.
func (f *Flow) tryAnother(s *pool.Server) bool {
	if f.tries == nil {
		return false
	}
	f.tries.failed = append(f.tries.failed, f.tries.addr)
	_, f.tries.again = s.Untried(f.tries.failed)
	if !f.tries.again {
		f.tries = nil
		return false
	}
	return f.d.pool.Holds(s)
}

// anotherAddress is the server that has another address to try, or nil.
func (f *Flow) anotherAddress() *pool.Server {
	if f.tries == nil || !f.tries.again {
		return nil
	}
	f.tries.again = false
	if s := f.tries.server; f.d.pool.Holds(s) {
		if _, ok := s.Untried(f.tries.failed); ok {
			return s
		}
	}
	f.tries = nil
	return nil
}

// preferAddress has others begin with the address that works.
func (f *Flow) preferAddress() {
	if f.tries != nil {
		f.d.pool.Prefer(f.server, f.tries.addr)
		f.tries.failed = nil
	}
}

// Lost says that the server of a slot can't be reached, as a failed connect does.
func (d *Dispatcher) Lost(slot int) {
	d.mu.Lock()
	lost := d.cfg.Lost
	d.mu.Unlock()
	if lost != nil {
		lost(slot)
	}
}

// lost reports a failed connect to whom it concerns.
func (d *Dispatcher) lost(s *pool.Server, err error) {
	if lost := d.cfg.Lost; lost != nil && !isLocal(err) {
		slot := s.Slot
		d.woken = append(d.woken, func() { lost(slot) })
	}
}
