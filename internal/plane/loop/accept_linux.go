package loop

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pen/internal/dispatch"
	"pen/internal/plane"
	"pen/internal/plane/relay"
	"pen/internal/sock"
)

const (
	// acceptBatch is how many connections are taken before others get their
	// turn.
	acceptBatch = 4
	// acceptPause is how long nothing is accepted after an error, such as a
	// lack of descriptors.
	acceptPause = 50 * time.Millisecond
)

// An acceptor is what a loop knows of accepting.
type acceptor struct {
	stopped bool
	paused  bool // after an error
	until   uint32
	failing bool // the error has been told
	waiting bool // for room
	last    int  // connections taken the last time
}

// listen has the kernel tell this loop of new connections, or not. It wakes one
// loop for each (epoll_ctl(2), EPOLLEXCLUSIVE).
func (l *loop) listen(on bool) error {
	if !on {
		return unix.EpollCtl(l.ep, unix.EPOLL_CTL_DEL, l.listener, nil)
	}
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLEXCLUSIVE, Fd: tokenListener}
	return unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, l.listener, &e)
}

// resume ends a pause that is over.
func (a *acceptor) resume(l *loop) {
	if a.paused && int32(l.tick()-a.until) >= 0 {
		a.paused = false
		if !a.stopped && !a.waiting {
			l.listen(true)
		}
	}
}

// room ends the wait for room.
func (a *acceptor) room(l *loop) {
	a.waiting = false
	if !a.stopped && !a.paused {
		l.listen(true)
	}
}

// accept takes connections. While there is no room for another one, clients
// wait in the kernel's queue.
func (l *loop) accept(ctx context.Context) {
	a := &l.accepting
	// A failed accept costs as much as a short read, so try one more than
	// succeeded last time.
	batch := min(a.last+1, acceptBatch)
	a.last = 0
	for range batch {
		if a.stopped || a.waiting || a.paused {
			return
		}
		room, errno := l.acceptOne()
		switch {
		case room != nil:
			a.waiting = true
			l.listen(false)
			l.p.running.Go(func() {
				select {
				case <-room:
				case <-ctx.Done():
				}
				l.post(note{kind: noteRoom})
			})
		case errno == 0:
			a.last++
			if a.failing {
				a.failing = false
				l.p.log.Warn("accepting connections again", "listener", l.p.ln.Addr())
			}
		case errno == syscall.EAGAIN:
			return
		case isOnesOwn(errno):
		default:
			if !a.failing {
				a.failing = true
				l.p.log.Error("can't accept connections", "listener", l.p.ln.Addr(), "error", errno)
			}
			a.paused, a.until = true, l.tick()+uint32(acceptPause/tick)
			l.listen(false)
		}
	}
}

// isOnesOwn reports whether an error of accept is that of one connection: the next
// one may be well (accept(2)).
func isOnesOwn(errno syscall.Errno) bool {
	return errno == syscall.ECONNABORTED || errno == syscall.EINTR
}

// acceptOne takes a connection, unless there is no room: then it returns what
// to wait for.
func (l *loop) acceptOne() (room <-chan struct{}, errno syscall.Errno) {
	place, room := l.d.Reserve()
	if room != nil {
		return room, 0
	}
	fd, from, errno := l.p.accept(l.listener)
	if errno != 0 {
		place.Release()
		return nil, errno
	}
	l.admit(place, fd, from)
	return nil, 0
}

// stopAccepting accepts no more clients, after those that wait in the queue and have
// a place; where the socket is shared they are for another plane.
func (l *loop) stopAccepting() {
	a := &l.accepting
	if a.stopped {
		return
	}
	if !a.waiting && !a.paused {
		l.listen(false)
	}
	for more := !l.p.ln.IsShared(); more; {
		room, errno := l.acceptOne()
		more = room == nil && (errno == 0 || isOnesOwn(errno))
	}
	a.stopped, a.paused = true, false
	l.p.stopped()
}

// admit begins a client's flow, here or in another loop, or refuses the client.
func (l *loop) admit(place dispatch.Place, fd int32, from netip.AddrPort) {
	c := &carrier{}
	start, err := place.Begin(from, c)
	if err != nil {
		l.p.log.Debug("client refused", "client", from, "reason", err)
		if errors.Is(err, dispatch.ErrLimited) {
			resetFD(fd)
		} else {
			closeFD(fd)
		}
		return
	}
	to := l.p.leastLoaded(l)
	to.live.Add(1)
	if to == l {
		l.adopt(fd, &start, c)
	} else {
		handed := start // so that start itself needs no memory
		to.post(note{kind: noteAdopt, fd: fd, start: &handed, c: c})
	}
}

// adopt makes a connection this loop's.
func (l *loop) adopt(fd int32, start *dispatch.Start, c *carrier) {
	id, r := l.rs.take(start.Flow)
	registered := l.register(r, id, relay.Client, fd)
	c.rec, c.id, c.gen = r, id, r.side[relay.Client].gen
	c.loop.Store(l)
	switch {
	case c.killed.Load() != 0 || !registered:
		l.giveUp(id, r, dispatch.Ending(c.killed.Load()).Then(dispatch.ByError), true)
	case start.Dummy:
		r.state = answering
		l.wheel.arm(id, plane.DummyTime)
	default:
		l.connectTo(id, r, start.Target, start.Found)
	}
}

// register makes a descriptor one side of a connection. It reports false where there
// can't be events for it.
func (l *loop) register(r *record, id int32, side relay.Side, fd int32) bool {
	l.gen++
	s := &r.side[side]
	s.gen, s.ready, s.quiet = l.gen, 0, false
	s.fd.Store(fd)
	if errno := watch(l.ep, unix.EPOLL_CTL_ADD, fd, token(id, side), s.gen, false); errno != 0 {
		l.p.log.Error("event loop", "error", errno)
		return false
	}
	return true
}

// connect tries the servers that the flow offers until a connect is under way, or there
// is an idler.
func (l *loop) connect(id int32, r *record) {
	t, ok := l.rs.flow(id).Next()
	l.connectTo(id, r, t, ok)
}

// connectTo is connect after Next.
func (l *loop) connectTo(id int32, r *record, t dispatch.Target, ok bool) {
	f := l.rs.flow(id)
	for ; ; t, ok = f.Next() {
		if !ok {
			if l.waitForServer(id, r) {
				return
			}
			if n := l.p.givenUp.Due(); n > 0 {
				l.p.log.Warn("no server for client", "client", f.Client(), "clients", n)
			}
			l.giveUp(id, r, dispatch.Refused, false)
			return
		}
		fd, done, err := l.reach(t)
		switch {
		case err == nil:
			l.begun(id, r, t, int32(fd), done)
			return
		case errors.Is(err, sock.ErrBusy):
			r.state, r.wait = retrying, relay.Wait{}
			l.wheel.arm(id, tick)
			return
		}
		l.p.failed(f, t, err)
	}
}

// begun continues with a connect that is under way, or done.
func (l *loop) begun(id int32, r *record, t dispatch.Target, fd int32, done bool) {
	l.prepare(id, r, t)
	switch registered := l.register(r, id, relay.Server, fd); {
	case !registered:
		l.giveUp(id, r, dispatch.ByError, true)
	case done:
		l.startRelay(id, r)
	default:
		l.armConnect(id, r, t.Timeout)
	}
}

// retry connects again to a server whose queue was full: the kernel has no event for room
// in it. After the time that a connect may take, other servers are tried.
func (l *loop) retry(id int32, r *record) {
	f := l.rs.flow(id)
	t := f.Target()
	fd, done, err := sock.Connect(plane.Target(t))
	if errors.Is(err, sock.ErrBusy) {
		pause, over := r.wait.Look(1, relay.Patience{Still: t.Timeout, InAll: t.Timeout})
		if !over {
			l.wheel.arm(id, pause)
			return
		}
	}
	r.state = connecting
	if err != nil {
		l.p.failed(f, t, err)
		l.connect(id, r)
		return
	}
	l.begun(id, r, t, int32(fd), done)
}

// armConnect gives a connect its time.
func (l *loop) armConnect(id int32, r *record, timeout time.Duration) {
	l.wheel.arm(id, timeout)
	r.due, r.late = r.timer.due, false
}

// outOfTime gives up a connect that took too long. The result may be among events that
// this loop has not come to, so the kernel is asked first. Where this is noticed very
// late, since the process stood still, the connect gets its time once more.
func (l *loop) outOfTime(id int32, r *record) {
	if isDecided(r.side[relay.Server].fd.Load()) {
		r.side[relay.Server].ready |= canWrite | failed
		l.connected(id, r)
		return
	}
	timeout := l.rs.flow(id).Target().Timeout
	if late := time.Duration(l.tick()-r.due) * tick; !r.late && plane.IsLate(timeout+late, timeout) {
		l.armConnect(id, r, timeout)
		r.late = true
		return
	}
	l.next(id, r, os.ErrDeadlineExceeded)
}

// errPreamble ends a connect for a client that waited when its servers began to
// want a Preamble: the loop can't send it.
var errPreamble = fmt.Errorf("%w: the server wants a PROXY header or TLS first", dispatch.ErrLocal)

// reach takes an idler, or begins to connect.
func (l *loop) reach(t dispatch.Target) (fd int, done bool, err error) {
	if t.Preamble != nil {
		return -1, false, errPreamble
	}
	if c := l.p.idlers.Take(t); c != nil {
		fd, err := sock.TakeOver(c)
		return fd, true, err
	}
	return sock.Connect(plane.Target(t))
}

// failed reports that a server could not be reached.
func (p *Plane) failed(f *dispatch.Flow, t dispatch.Target, err error) {
	if p.doubts.Failed(f, t, err, p.log) {
		p.running.Go(func() { p.doubts.Verify(p.serving, p.d, t, p.log) })
	}
}

// next tries another server after one has failed.
func (l *loop) next(id int32, r *record, err error) {
	l.wheel.disarm(id)
	closeFD(r.side[relay.Server].fd.Load())
	r.side[relay.Server].fd.Store(-1)
	f := l.rs.flow(id)
	l.p.failed(f, f.Target(), err)
	l.connect(id, r)
}
