package loop

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"

	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/plane"
	"pen/internal/plane/idlers"
	"pen/internal/plane/relay"
	"pen/internal/plane/splice"
	"pen/internal/sock"
)

// A Plane serves one listener.
type Plane struct {
	log        *slog.Logger
	ln         *sock.Listener
	processors *Processors
	accept     func(listener int) (fd int32, from netip.AddrPort, errno syscall.Errno)
	idlers     *idlers.Idlers  // of the service; set by Serve
	givenUp    plane.Sometimes // clients for whom there was no server
	drain      relay.Patience  // with a side that takes its last bytes
	pipes      *splice.Pipes   // set by Serve
	doubts     plane.Doubts
	d          *dispatch.Dispatcher // set by Serve, as is serving
	serving    context.Context      // until the plane takes nothing new

	running   sync.WaitGroup
	loops     []*loop
	accepting atomic.Int32 // loops that may still hand over a connection
}

var _ plane.Plane = (*Plane)(nil)

// New returns a plane of n loops for a listener of connections.
//
// Each loop needs a processor of Go's most of the time. GOMAXPROCS should be one more
// than there are loops, for all other goroutines, and so that Go does not take away a
// loop's processor while it waits for events. Planes that share processors share
// Processors; nil is a plane that has them for itself.
func New(ln *sock.Listener, n int, processors *Processors, log *slog.Logger) (*Plane, error) {
	p := &Plane{log: log, ln: ln, processors: processors, accept: accept, drain: relay.DrainTime}
	for range n {
		l, err := newLoop(p)
		if err != nil {
			p.releaseLoops()
			return nil, err
		}
		p.loops = append(p.loops, l)
	}
	return p, nil
}

// Unable returns why Ends are refused by Configure, or nil: event loops only relay.
func Unable(e *edge.Ends) error {
	if extra := e.Extra(); extra != "" {
		return plane.Unable("loop", extra)
	}
	return nil
}

// Configure implements [plane.Plane]. There is nothing to be configured.
func (p *Plane) Configure(e *edge.Ends) error { return Unable(e) }

// Close implements [plane.Plane].
func (p *Plane) Close() error {
	p.releaseLoops()
	return p.ln.Release()
}

func (p *Plane) releaseLoops() {
	for _, l := range p.loops {
		l.release()
	}
}

// Serve implements [plane.Plane].
func (p *Plane) Serve(ctx context.Context, d *dispatch.Dispatcher) error {
	p.accepting.Store(int32(len(p.loops)))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.d, p.serving = d, ctx
	p.pipes = splice.Join(d)
	defer p.pipes.Leave()
	p.idlers = idlers.Join(d, p.log)
	p.running.Go(func() { p.idlers.Run(ctx) })
	p.processors.add(len(p.loops))
	defer p.processors.add(-len(p.loops))
	var loops sync.WaitGroup
	for _, l := range p.loops {
		loops.Go(func() { l.run(ctx, d) })
	}
	<-ctx.Done()
	for _, l := range p.loops {
		l.post(note{kind: noteStop})
	}
	loops.Wait()
	cancel()
	p.running.Wait()
	return p.Close()
}

// stopped is called by a loop that accepts no more clients. The last one releases the
// listener and wakes the others: nothing can be handed to them from now on.
func (p *Plane) stopped() {
	if p.accepting.Add(-1) == 0 {
		p.ln.Release() // Close returns the error
		for _, l := range p.loops {
			l.post(note{kind: noteLook})
		}
	}
}

// leastLoaded returns the loop to which a new connection goes: the one that
// has accepted it, unless another one has clearly fewer. The kernel wakes the
// loop that was idle last, which would get them all.
func (p *Plane) leastLoaded(own *loop) *loop {
	best := own
	for _, l := range p.loops {
		if l.live.Load() < best.live.Load() {
			best = l
		}
	}
	if n := best.live.Load(); own.live.Load() > n+n/8 {
		return best
	}
	return own
}
