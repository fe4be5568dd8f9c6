package tlsterm

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"
)

const (
	// crowd is how many clients with a hello may wait for a processor before planes
	// stop accepting; the others wait in the kernel's queue, which is bounded too.
	crowd = 32
	// maxWaiting is how many wait at most; more may have been accepted before they
	// sent their hellos. Beyond it the longest line loses its oldest.
	maxWaiting = 1024
	// Patience is how old a hello may be when its handshake starts. The sender of an
	// older one has given up, or will before the handshake is done.
	Patience = 5 * time.Second
	// late is the wait of a line's oldest from which its newest comes first.
	late = 3 * time.Second
)

// ErrBusy is returned by Handshake when no processor was free in time.
var ErrBusy = errors.New("TLS: more clients than the processors can do handshakes for in time")

// handshakes is the queue of all servers of the process. As many handshakes compute
// at a time as there are processors: more would finish none sooner, and would take
// processors from established connections.
var handshakes = newQueue(runtime.GOMAXPROCS(0))

// Room returns nil if planes may accept more clients that need a handshake, or a
// channel that is closed when they may.
func Room() <-chan struct{} { return handshakes.Room() }

// A queue gives places to handshakes that compute. Handshakes whose client has
// answered come first, since little is left to do for them. The others wait in a
// line for each client network, and the lines take turns: a flood from a few
// networks does not keep other networks out.
type queue struct {
	places int

	mu       sync.Mutex // guards all below
	busy     int        // places in use
	answered []*waiter
	turns    []*line // lines with waiters, the next one first
	lines    map[netip.Prefix]*line
	waiting  int           // in lines
	room     chan struct{} // closed when the crowd is gone; nil: no plane waits
}

// A line has the waiters of one network, the oldest first.
type line struct {
	from    netip.Prefix
	waiters []*waiter
}

// A waiter is a handshake without a place.
type waiter struct {
	line  *line // nil: its client has answered
	since time.Time
	ready chan error // receives once: nil for a place, or why there is none
}

func newQueue(places int) *queue {
	return &queue{places: places, lines: map[netip.Prefix]*line{}}
}

// networkOf is the network of an address: that of one customer of a provider, or a
// small network.
func networkOf(a netip.Addr) netip.Prefix {
	bits := 48
	if a = a.Unmap().WithZone(""); a.Is4() {
		bits = 24
	}
	p, _ := a.Prefix(bits) // zero for a Unix socket
	return p
}

// Room is [Room] for this queue.
func (q *queue) Room() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting < crowd {
		return nil
	}
	if q.room == nil {
		q.room = make(chan struct{})
	}
	return q.room
}

// enter waits for a place for a client from a network, whose hello came at a time,
// at most until a deadline. It reports whether it had to wait.
func (q *queue) enter(ctx context.Context, from netip.Prefix, came, until time.Time) (waited bool, err error) {
	if deadline := came.Add(Patience); until.IsZero() || deadline.Before(until) {
		until = deadline
	}
	left := time.Until(until)
	if left <= 0 {
		return false, ErrBusy
	}
	q.mu.Lock()
	if q.busy < q.places {
		q.busy++
		q.mu.Unlock()
		return false, nil
	}
	w := &waiter{since: came, ready: make(chan error, 1)}
	q.add(w, from)
	q.mu.Unlock()
	over := time.NewTimer(left)
	defer over.Stop()
	return true, q.wait(ctx, w, over.C)
}

// reenter is enter for a client that has answered. A zero until is no deadline.
func (q *queue) reenter(ctx context.Context, until time.Time) error {
	q.mu.Lock()
	if q.busy < q.places {
		q.busy++
		q.mu.Unlock()
		return nil
	}
	w := &waiter{ready: make(chan error, 1)}
	q.answered = append(q.answered, w)
	q.mu.Unlock()
	if until.IsZero() {
		return q.wait(ctx, w, nil)
	}
	over := time.NewTimer(time.Until(until))
	defer over.Stop()
	return q.wait(ctx, w, over.C)
}

// wait waits for a waiter's turn, for ctx, or for over.
func (q *queue) wait(ctx context.Context, w *waiter, over <-chan time.Time) (err error) {
	select {
	case err := <-w.ready:
		return err
	case <-ctx.Done():
		err = ctx.Err()
	case <-over:
		err = ErrBusy
	}
	q.mu.Lock()
	q.remove(w)
	q.mu.Unlock()
	select {
	case got := <-w.ready: // the place came meanwhile
		if got == nil {
			q.leave()
		}
	default:
	}
	return err
}

// leave frees a place, or passes it on.
func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w := q.next(time.Now()); w != nil {
		w.ready <- nil
		return
	}
	q.busy--
}

// add puts a waiter at the end of its line. q.mu is held.
func (q *queue) add(w *waiter, from netip.Prefix) {
	l := q.lines[from]
	if l == nil {
		l = &line{from: from}
		q.lines[from] = l
		q.turns = append(q.turns, l)
	}
	w.line = l
	l.waiters = append(l.waiters, w)
	if q.waiting++; q.waiting > maxWaiting {
		longest := slices.MaxFunc(q.turns, func(a, b *line) int { return len(a.waiters) - len(b.waiters) })
		q.dequeue(longest, 0).ready <- ErrBusy
	}
}

// next removes and returns the next waiter, or nil. It refuses those that have waited
// for too long. q.mu is held.
func (q *queue) next(now time.Time) *waiter {
	if len(q.answered) > 0 {
		w := q.answered[0]
		q.answered = slices.Delete(q.answered, 0, 1)
		return w
	}
	for len(q.turns) > 0 {
		l := q.turns[0]
		switch waited := now.Sub(l.waiters[0].since); {
		case waited >= Patience:
			q.dequeue(l, 0).ready <- ErrBusy
		case waited >= late:
			q.rotate()
			return q.dequeue(l, len(l.waiters)-1)
		default:
			q.rotate()
			return q.dequeue(l, 0)
		}
	}
	return nil
}

// rotate moves the first line behind the others. q.mu is held.
func (q *queue) rotate() { q.turns = append(q.turns[1:], q.turns[0]) }

// dequeue removes a waiter from its line and returns it. q.mu is held.
func (q *queue) dequeue(l *line, at int) *waiter {
	w := l.waiters[at]
	l.waiters = slices.Delete(l.waiters, at, at+1)
	if len(l.waiters) == 0 {
		delete(q.lines, l.from)
		q.turns = slices.Delete(q.turns, slices.Index(q.turns, l), slices.Index(q.turns, l)+1)
	}
	if q.waiting--; q.waiting < crowd && q.room != nil {
		close(q.room)
		q.room = nil
	}
	return w
}

// remove removes a waiter, if it still waits. q.mu is held.
func (q *queue) remove(w *waiter) {
	if w.line == nil {
		q.answered = slices.DeleteFunc(q.answered, func(other *waiter) bool { return other == w })
	} else if at := slices.Index(w.line.waiters, w); at >= 0 {
		q.dequeue(w.line, at)
	}
}
