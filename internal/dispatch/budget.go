package dispatch

import "sync"

// A Budget is what the flows of several services take of together: the
// descriptors of the process. The nil Budget has no end. It is safe for
// concurrent use.
type Budget struct {
	mu   sync.Mutex // guards all below
	left int
	full chan struct{} // closed and dropped when something is given back
}

// NewBudget returns a budget of n.
func NewBudget(n int) *Budget { return &Budget{left: n} }

// take takes n. Where so many are not left it takes nothing, and returns a channel
// that is closed when it is worth asking again.
func (b *Budget) take(n int) (full <-chan struct{}) {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left < n {
		return b.changed()
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
	if b.full != nil {
		close(b.full)
		b.full = nil
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
	if b.left >= n {
		return nil
	}
	return b.changed()
}

func (b *Budget) changed() <-chan struct{} {
	if b.full == nil {
		b.full = make(chan struct{})
	}
	return b.full
}
