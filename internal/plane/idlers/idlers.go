// Package idlers keeps connections to servers ready for clients that are still
// to come. Planes share it.
package idlers

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"pen/internal/dispatch"
	"pen/internal/plane"
	"pen/internal/sock"
)

// turn is how often idlers are looked at.
const turn = time.Second

// Idlers are the connections that are kept. Nothing is read from them: a client
// gets all that a server says.
type Idlers struct {
	log  *slog.Logger
	kick chan struct{} // tells Run that one is missing

	mu  sync.Mutex // guards all below
	all []*idler   // the oldest first
}

// An idler has no connection while it is being made.
type idler struct {
	target dispatch.Target
	conn   net.Conn
}

// New returns Idlers that keep none yet. It starts nothing.
func New(log *slog.Logger) *Idlers { return &Idlers{log: log, kick: make(chan struct{}, 1)} }

// Run keeps as many as the Dispatcher wants until ctx is done. It blocks, and
// has closed those that are left when it returns.
func (x *Idlers) Run(ctx context.Context, d *dispatch.Dispatcher) {
	var dials sync.WaitGroup
	look := time.NewTicker(turn)
	defer look.Stop()
	for ctx.Err() == nil {
		for _, i := range x.revise(d) {
			dials.Go(func() { x.connect(ctx, d, i) })
		}
		select {
		case <-ctx.Done():
		case <-x.kick:
		case <-look.C:
			x.prune()
		}
	}
	dials.Wait()
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, i := range x.all {
		i.conn.Close()
	}
	x.all = nil
	d.SetSpares(0)
}

// prune drops the idlers that their servers have ended.
func (x *Idlers) prune() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.drop(func(_ int, i *idler) bool { return i.conn != nil && !isOpen(i.conn) })
}

// revise closes the idlers that are of no use any more and returns new ones,
// to be connected.
func (x *Idlers) revise(d *dispatch.Dispatcher) []*idler {
	x.mu.Lock()
	defer x.mu.Unlock()
	var targets []dispatch.Target
	for _, i := range x.all {
		targets = append(targets, i.target)
	}
	surplus, missing := d.Spares(targets)
	x.drop(func(n int, i *idler) bool {
		_, useless := slices.BinarySearch(surplus, n)
		return useless && i.conn != nil
	})
	var added []*idler
	for _, t := range missing {
		t.KeepAlive = true // a server that is gone without a word is noticed
		added = append(added, &idler{target: t})
	}
	x.all = append(x.all, added...)
	x.tell(d)
	return added
}

// drop closes idlers, which are told by their place. Called with mu held.
func (x *Idlers) drop(which func(int, *idler) bool) {
	kept := make([]*idler, 0, len(x.all))
	for n, i := range x.all {
		if which(n, i) {
			i.conn.Close()
		} else {
			kept = append(kept, i)
		}
	}
	x.all = kept
}

// tell has the Dispatcher know how many are ready. Called with mu held.
func (x *Idlers) tell(d *dispatch.Dispatcher) {
	n := 0
	for _, i := range x.all {
		if i.conn != nil {
			n++
		}
	}
	d.SetSpares(n)
}

// connect makes an idler's connection. One that fails is tried again at another
// turn, elsewhere if its server is blacklisted by then.
func (x *Idlers) connect(ctx context.Context, d *dispatch.Dispatcher, i *idler) {
	c, err := plane.Dial(ctx, plane.Target(i.target))
	if err != nil {
		if d.SpareFailed(i.target, plane.Blame(err)) {
			x.log.Warn("can't connect to server", "server", i.target.Slot, "address", i.target, "error", err)
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if err != nil {
		x.all = slices.DeleteFunc(x.all, func(o *idler) bool { return o == i })
		return
	}
	i.conn = c
	x.tell(d)
}

// Take hands over an idler for a target, or returns nil where there is none. It
// does not block.
func (x *Idlers) Take(t dispatch.Target, d *dispatch.Dispatcher) net.Conn {
	x.mu.Lock()
	defer x.mu.Unlock()
	for {
		n := slices.IndexFunc(x.all, func(i *idler) bool {
			o := i.target
			return i.conn != nil && o.Slot == t.Slot && o.Addr == t.Addr && o.Path == t.Path && o.Source == t.Source
		})
		if n < 0 {
			return nil
		}
		c := x.all[n].conn
		x.all = slices.Delete(x.all, n, n+1)
		x.tell(d)
		select {
		case x.kick <- struct{}{}:
		default:
		}
		if isOpen(c) {
			return c
		}
		c.Close()
	}
}

// isOpen reports whether the other side has not ended a connection. What it
// has sent stays to be read.
func isOpen(c net.Conn) bool {
	raw, err := sock.Raw(c)
	if err != nil {
		return false
	}
	open := false
	raw.Control(func(fd uintptr) {
		n, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK)
		open = n > 0 || errors.Is(err, syscall.EAGAIN)
	})
	return open
}
