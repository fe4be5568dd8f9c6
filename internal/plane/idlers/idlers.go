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

// turn is how often idlers are checked.
const turn = time.Second

// Idlers are the connections that are kept for a service, by its planes together.
// Nothing is read from them: a client gets all that a server says. Each takes a
// descriptor of the service's budget.
type Idlers struct {
	d      *dispatch.Dispatcher
	log    *slog.Logger
	kick   chan struct{} // makes Run connect a missing one
	keeper chan struct{} // full while one plane's Run keeps them

	mu  sync.Mutex // guards all below
	all []*idler   // the oldest first
}

// services are the Idlers of services that have planes, with how many.
var services = struct {
	mu  sync.Mutex // guards all below
	of  map[*dispatch.Dispatcher]*Idlers
	use map[*Idlers]int
}{of: map[*dispatch.Dispatcher]*Idlers{}, use: map[*Idlers]int{}}

// An idler has no connection while it is being made.
type idler struct {
	target dispatch.Target
	conn   net.Conn
}

// Join returns the Idlers of a plane's service. It starts nothing; the plane calls
// Run.
func Join(d *dispatch.Dispatcher, log *slog.Logger) *Idlers {
	services.mu.Lock()
	defer services.mu.Unlock()
	x := services.of[d]
	if x == nil {
		x = &Idlers{d: d, log: log, kick: make(chan struct{}, 1), keeper: make(chan struct{}, 1)}
		services.of[d] = x
	}
	services.use[x]++
	return x
}

// Of returns the Idlers of a service, or nil, which has none, where no plane of
// the service has joined.
func Of(d *dispatch.Dispatcher) *Idlers {
	services.mu.Lock()
	defer services.mu.Unlock()
	return services.of[d]
}

// Run keeps as many as the Dispatcher wants until ctx is done: one plane of the
// service does, and when it ends another one goes on. When Run returns for the last
// one that has joined, no connection is left. It is called once after Join, and
// blocks.
func (x *Idlers) Run(ctx context.Context) {
	select {
	case x.keeper <- struct{}{}:
		x.keep(ctx)
		<-x.keeper
	case <-ctx.Done():
	}
	services.mu.Lock()
	defer services.mu.Unlock()
	services.use[x]--
	if services.use[x] > 0 {
		return
	}
	delete(services.of, x.d)
	delete(services.use, x)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.drop(func(int, *idler) bool { return true })
	x.d.SetSpares(0)
}

func (x *Idlers) keep(ctx context.Context) {
	var dials sync.WaitGroup
	defer dials.Wait()
	look := time.NewTicker(turn)
	defer look.Stop()
	for due := true; ctx.Err() == nil; {
		for _, i := range x.revise(due) {
			dials.Go(func() { x.connect(ctx, i) })
		}
		select {
		case <-ctx.Done():
		case <-x.kick:
			due = false
		case <-look.C:
			due = true
			x.prune()
		}
	}
}

// prune drops the idlers that their servers have closed.
func (x *Idlers) prune() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.drop(func(_ int, i *idler) bool { return i.conn != nil && !isOpen(i.conn) })
}

// revise closes the idlers that are of no use any more, if that is due, and returns
// new ones to connect, as far as there are descriptors for them. It is not due when
// clients come: one that is counted already may be about to take an idler.
func (x *Idlers) revise(due bool) []*idler {
	x.mu.Lock()
	defer x.mu.Unlock()
	var targets []dispatch.Target
	for _, i := range x.all {
		targets = append(targets, i.target)
	}
	surplus, missing := x.d.Spares(targets)
	x.drop(func(n int, i *idler) bool {
		_, useless := slices.BinarySearch(surplus, n)
		return due && useless && i.conn != nil
	})
	var added []*idler
	for _, t := range missing {
		if !x.d.Borrow(1) {
			break
		}
		t.KeepAlive = true // a server that is gone without a word is noticed
		added = append(added, &idler{target: t})
	}
	x.all = append(x.all, added...)
	x.report()
	return added
}

// drop closes idlers, chosen by their index. mu is held.
func (x *Idlers) drop(which func(int, *idler) bool) {
	kept := make([]*idler, 0, len(x.all))
	for n, i := range x.all {
		if !which(n, i) {
			kept = append(kept, i)
			continue
		}
		i.conn.Close()
		x.d.GiveBack(1)
	}
	x.all = kept
}

// report tells the Dispatcher how many are ready. mu is held.
func (x *Idlers) report() {
	n := 0
	for _, i := range x.all {
		if i.conn != nil {
			n++
		}
	}
	x.d.SetSpares(n)
}

// connect makes an idler's connection. One that fails is tried again at another
// turn, elsewhere if its server is blacklisted by then.
func (x *Idlers) connect(ctx context.Context, i *idler) {
	c, err := plane.Dial(ctx, plane.Target(i.target))
	if err != nil {
		if x.d.SpareFailed(i.target, plane.Blame(err)) {
			x.log.Warn("can't connect to server", "server", i.target.Slot, "address", i.target, "error", err)
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if err != nil {
		x.all = slices.DeleteFunc(x.all, func(o *idler) bool { return o == i })
		x.d.GiveBack(1)
		return
	}
	i.conn = c
	x.report()
}

// Take hands over an idler for a target, or returns nil where there is none. Its
// descriptor is now of the flow that uses it. It does not block.
func (x *Idlers) Take(t dispatch.Target) net.Conn {
	if x == nil {
		return nil
	}
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
		x.report()
		select {
		case x.kick <- struct{}{}:
		default:
		}
		open := isOpen(c)
		if !open {
			c.Close()
		}
		x.d.GiveBack(1)
		if open {
			return c
		}
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
