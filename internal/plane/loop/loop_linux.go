package loop

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"pen/internal/dispatch"
	"pen/internal/plane"
	"pen/internal/plane/idlers"
	"pen/internal/sock"
)

// A Plane serves one listener.
type Plane struct {
	log      *slog.Logger
	share    *Share
	at       net.Addr
	listener int // of all loops
	accept   func(listener int) (fd int32, from netip.AddrPort, errno syscall.Errno)
	idlers   *idlers.Idlers  // of the service; set by Serve
	givenUp  plane.Sometimes // clients for whom there was no server
	drain    plane.Patience  // with a side that takes its last bytes
	doubts   plane.Doubts
	d        *dispatch.Dispatcher // set by Serve, as is serving
	serving  context.Context      // until the plane takes nothing new

	closing   sync.Once
	removed   error // of the file, set by closing
	running   sync.WaitGroup
	loops     []*loop
	accepting atomic.Int32 // loops that may still hand over a connection
	leaving   sync.RWMutex // guards left; loops hold it while they accept
	left      bool         // another plane has the socket
}

var _ plane.Plane = (*Plane)(nil)

// Listen binds an address as [sock.Listen] does, to be served by n loops.
// backlog 0 is what the kernel allows.
//
// Each loop needs a processor of Go's most of the time. One more than there are
// loops (GOMAXPROCS) has others run at once, and keeps Go from taking away a
// loop's while it waits for events. Planes that share these processors share
// a Share; nil is a plane that has them for itself.
func Listen(addr string, backlog, n int, share *Share, log *slog.Logger) (*Plane, error) {
	fd, at, err := sock.ListenFD(addr, backlog)
	if err != nil {
		return nil, err
	}
	p := &Plane{log: log, share: share, at: at, listener: fd, accept: accept, drain: plane.DrainTime}
	for range n {
		l, err := newLoop(p)
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		p.loops = append(p.loops, l)
	}
	return p, nil
}

// Addr is the bound address.
func (p *Plane) Addr() net.Addr { return p.at }

// Close releases a plane that will not be served.
func (p *Plane) Close() error {
	p.closeListener()
	for _, l := range p.loops {
		l.release()
	}
	return p.removed
}

// Share returns another listener with the socket of this one, for a plane that
// takes its place. It is the caller's to close.
func (p *Plane) Share() (net.Listener, error) {
	fd, err := unix.FcntlInt(uintptr(p.listener), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("dup", err)
	}
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close()
	ln, err := net.FileListener(f)
	if unix, ok := ln.(*net.UnixListener); ok {
		unix.SetUnlinkOnClose(true)
	}
	return ln, err
}

// Leave has the plane leave all clients from now on, and the file of a Unix
// socket, to whoever shares its socket. It is called before the plane is told to
// end.
func (p *Plane) Leave() {
	p.leaving.Lock()
	defer p.leaving.Unlock()
	p.left = true
}

// closeListener closes the socket, once, after its file is removed: from then on
// another listener may have both.
func (p *Plane) closeListener() {
	p.closing.Do(func() {
		p.removed = p.removeFile()
		unix.Close(p.listener)
	})
}

// removeFile removes the file of a Unix socket.
func (p *Plane) removeFile() error {
	p.leaving.RLock()
	left := p.left
	p.leaving.RUnlock()
	if p.at.Network() != "unix" || left {
		return nil
	}
	if err := os.Remove(p.at.String()); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Serve implements [plane.Plane].
func (p *Plane) Serve(ctx context.Context, d *dispatch.Dispatcher) error {
	p.accepting.Store(int32(len(p.loops)))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.d, p.serving = d, ctx
	p.idlers = idlers.Join(d, p.log)
	p.running.Go(func() { p.idlers.Run(ctx) })
	p.share.add(len(p.loops))
	defer p.share.add(-len(p.loops))
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

// stopped says that a loop accepts nothing any more. The last one closes the
// listener and wakes the others: nothing can be handed to them from now on.
func (p *Plane) stopped() {
	if p.accepting.Add(-1) == 0 {
		p.closeListener()
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
