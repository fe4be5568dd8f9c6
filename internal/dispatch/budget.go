package dispatch

import "sync"

// A Budget is what the flows of several services take of together: the
// descriptors of the process. The nil Budget has no end. It is safe for
// concurrent use.
type Budget struct {
	whole *Budget // what this one is a share of, or nil

	mu   sync.Mutex // guards all below; taken before that of the whole
	left int
	all  int           // when nothing is taken
	held bool          // nothing is to be taken
	full chan struct{} // closed and dropped when something is given back
}

// NewBudget returns a budget of n.
func NewBudget(n int) *Budget { return &Budget{left: n, all: n} }

// Share returns a budget that is no more than n of b, and what is taken of it is
// taken of b: it bounds what some of those may take who share b.
func (b *Budget) Share(n int) *Budget { return &Budget{whole: b, left: n} }

// take takes n. Where so many are not left it takes nothing, and returns a channel
// that is closed when it is worth asking again.
func (b *Budget) take(n int) (full <-chan struct{}) {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > 0 && (b.held || b.left < n) {
		return b.changed()
	}
	if full := b.whole.take(n); full != nil {
		return full
	}
	b.left -= n
	return nil
}

func (b *Budget) give(n int) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += n
	b.whole.give(n)
	b.wake()
}

// wake has those ask again who found too little. Called with mu held.
func (b *Budget) wake() {
	if b.full != nil {
		close(b.full)
		b.full = nil
	}
}

// Hold has nothing more taken, or lets it be taken again, as where another lack
// than that of descriptors keeps connections out.
func (b *Budget) Hold(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held != on {
		b.held = on
		b.wake()
	}
}

// room returns nil if there are n left, and otherwise a channel that is closed
// when it is worth asking again.
func (b *Budget) room(n int) <-chan struct{} {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.held && b.left >= n {
		return b.whole.room(n)
	}
	return b.changed()
}

// isWanted reports whether somebody waits for a part of the whole.
func (b *Budget) isWanted() bool {
	if b == nil {
		return false
	}
	if b.whole != nil {
		return b.whole.isWanted()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.full != nil
}

func (b *Budget) changed() <-chan struct{} {
	if b.full == nil {
		b.full = make(chan struct{})
	}
	return b.full
}

// borrow takes n of the whole where so many are left, and so many quarters of all
// beside them, which are for flows. Nobody is said to wait where it reports false. ample says that
// there are so many that some of what is borrowed may be kept for later.
func (b *Budget) borrow(n, quarters int) (ok, ample bool) {
	if b == nil {
		return true, true
	}
	if b.whole != nil {
		return b.whole.borrow(n, quarters)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held || b.left-n < quarters*b.all/4 {
		return false, false
	}
	b.left -= n
	return true, b.all >= ampleBudget
}

// giveBack returns what was borrowed.
func (b *Budget) giveBack(n int) {
	if b != nil && b.whole != nil {
		b = b.whole
	}
	b.give(n)
}

// ampleBudget is from which budget on a few descriptors do not matter.
const ampleBudget = 4096

// Borrow takes n descriptors of the budget that all services have, for what is not
// a flow's. It reports false where there are not so many. It does not block.
func (d *Dispatcher) Borrow(n int) bool {
	ok, _ := d.budget().borrow(n, 0)
	return ok
}

// BorrowSpare takes n descriptors of the budget that all services have, for what
// a plane needs beside its flows, such as pipes. It reports false where those that
// are left are for flows. Where ample is false it is given back as soon as it is
// not needed. It does not block.
func (d *Dispatcher) BorrowSpare(n int) (ok, ample bool) { return d.budget().borrow(n, 1) }

// GiveBack returns n descriptors that were borrowed.
func (d *Dispatcher) GiveBack(n int) { d.budget().giveBack(n) }

func (d *Dispatcher) budget() *Budget {
	d.mu.Lock()
	defer d.unlock()
	return d.cfg.Budget
}
