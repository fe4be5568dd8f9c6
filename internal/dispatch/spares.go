package dispatch

import "pen/internal/pool"

// Spares returns which connections to servers must be made, and which closed, so that
// Config.Idlers of them are ready for clients to come, to the available servers in turn.
// have are the targets of those that exist or are being made. surplus are the indices of
// those that are of no use any more, missing the targets of those to be made.
//
// A spare connection does not count as its server's and does not touch the client table,
// but together with the counted ones it stays within the server's Max. There are none
// where servers must see each client's address, nor for servers with a Preamble, which
// hang up on connections without one.
func (d *Dispatcher) Spares(have []Target) (surplus []int, missing []Target) {
	d.mu.Lock()
	defer d.unlock()
	kept := make([]int, d.pool.Len())
	n := 0
	for i, t := range have {
		if n == d.cfg.Idlers || !d.spareOf(t, kept) {
			surplus = append(surplus, i)
			continue
		}
		kept[t.Slot]++
		n++
	}
	for n < d.cfg.Idlers {
		s := d.nextSpare(kept)
		if s == nil {
			break
		}
		kept[s.Slot]++
		n++
		missing = append(missing, Target{})
		d.target(&missing[len(missing)-1], s)
	}
	return surplus, missing
}

// spareOf reports whether a client may still use a spare connection.
func (d *Dispatcher) spareOf(t Target, kept []int) bool {
	s := d.pool.At(t.Slot)
	return s != nil && s.Addr == t.Addr && s.Path == t.Path && d.cfg.Source == t.Source && d.takesSpare(s, kept[t.Slot])
}

// nextSpare is the server whose turn it is, or nil if none takes another one.
func (d *Dispatcher) nextSpare(kept []int) *pool.Server {
	now := d.now()
	for range d.pool.Len() {
		slot := d.pool.Next(d.spare, now)
		if slot == pool.None {
			d.spare = 0
			slot = d.pool.Next(0, now)
		}
		if slot == pool.None {
			return nil
		}
		d.spare = slot + 1
		if s := d.pool.At(slot); d.takesSpare(s, kept[slot]) {
			return s
		}
	}
	return nil
}

// takesSpare reports whether a server takes new clients, and one more connection beside
// the kept ones.
func (d *Dispatcher) takesSpare(s *pool.Server, kept int) bool {
	if d.cfg.Dummy || d.transparent() || s.Preamble != nil || d.pool.HalfOpen(s) || d.pool.Admit(s, false, d.now()) != pool.Admitted {
		return false // a server that failed is tried by a client, and by one only
	}
	return s.Max == 0 || s.Conns()+kept < s.Max
}

// SpareFailed records that the connect to a target of Spares failed. It ejects the server,
// as [Flow.Failed] does, unless err wraps ErrLocal or the slot has another server by now.
// It reports whether the server is newly ejected, for the log.
func (d *Dispatcher) SpareFailed(t Target, err error) (blacklisted bool) {
	d.mu.Lock()
	defer d.unlock()
	s := d.pool.At(t.Slot)
	if s == nil || s.Addr != t.Addr || s.Path != t.Path || isLocal(err) {
		return false
	}
	d.lost(s, err)
	if len(s.Others) > 0 {
		d.pool.Prefer(s, s.Others[0]) // clients find out whether any address works
		return false
	}
	return d.pool.Fail(s, d.now())
}

// SetSpares sets what ReadySpares returns.
func (d *Dispatcher) SetSpares(n int) { d.ready.Store(int64(n)) }

// ReadySpares is how many connections are kept ready.
func (d *Dispatcher) ReadySpares() int { return int(d.ready.Load()) }
