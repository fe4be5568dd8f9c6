package dispatch

import "sync"

// A Budget counts what all services share: the descriptors of the process. The nil Budget
// is unlimited. It is safe for concurrent use.
type Budget struct {
	whole *Budget // this one is a share of it, or nil

	mu   sync.Mutex // guards all below; taken before that of the whole
	left int
	all  int           // what is left when nothing is taken
	held bool          // nothing may be taken
	full chan struct{} // closed and dropped when something is given back
}

// NewBudget returns a budget of n.
func NewBudget(n int) *Budget { return &Budget{left: n, all: n} }

// Share returns a budget of at most n of b: what is taken from it is taken from b as well.
func (b *Budget) Share(n int) *Budget { return &Budget{whole: b, left: n} }

// take takes n. If fewer are left it takes nothing and returns a channel that is closed
// when it is worth asking again.
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

// wake closes the channel of those that found too little. mu is held.
func (b *Budget) wake() {
	if b.full != nil {
		close(b.full)
		b.full = nil
	}
}

// Hold stops or resumes taking, for lacks other than that of descriptors.
func (b *Budget) Hold(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held != on {
		b.held = on
		b.wake()
	}
}

// room returns nil if n are left, or else a channel that is closed when it is worth asking
// again.
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

// isWanted reports whether anything waits for a part of the whole.
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

// borrow takes n of the whole if so many are left, beside so many quarters of all, which
// are kept for flows. If it reports false, that does not count as waiting. ample says that
// the budget is large enough to keep what is borrowed for later.
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

// giveBack returns what borrow took.
func (b *Budget) giveBack(n int) {
	if b != nil && b.whole != nil {
		b = b.whole
	}
	b.give(n)
}

// ampleBudget is the budget above which a few descriptors do not matter.
const ampleBudget = 4096

// Borrow takes n descriptors of the budget of all services, for what no flow owns. It
// reports false if fewer are left. It does not block.
func (d *Dispatcher) Borrow(n int) bool {
	ok, _ := d.budget().borrow(n, 0)
	return ok
}

// BorrowSpare takes n descriptors of the budget of all services for what a plane can do
// without, such as pipes. It reports false if what is left is for flows. If ample is false
// they must be given back as soon as they are not needed. It does not block.
func (d *Dispatcher) BorrowSpare(n int) (ok, ample bool) { return d.budget().borrow(n, 1) }

// GiveBack returns n descriptors of Borrow or BorrowSpare.
func (d *Dispatcher) GiveBack(n int) { d.budget().giveBack(n) }

func (d *Dispatcher) budget() *Budget { return d.rules.Load().Budget }
