package loop

import (
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"pen/internal/dispatch"
	"pen/internal/plane"
	"pen/internal/plane/relay"
	"pen/internal/plane/splice"
	"pen/internal/sock"
)

const (
	// maxRounds is how many reads a half may do before others get their turn.
	maxRounds = 16
	// firstRead is how much is read at once where it is not bulk. More than that
	// is never kept for a side that takes nothing.
	firstRead   = 16 << 10
	maxQuestion = 4096 // bytes of what a client says that is answered here
)

func count(n *atomic.Uint64, more int) { n.Store(n.Load() + uint64(more)) } // by one goroutine only
func (h *half) hasBytes() bool         { return h.tailed || h.piped > 0 }
func (h *half) isBlocked() bool        { return h.hasBytes() || h.blocked }
func (h *half) isPaused() bool         { return h.until != 0 }
func isAgain(e syscall.Errno) bool     { return e == syscall.EAGAIN || e == syscall.EINTR }

// relays reports whether a place has a connection that relays. What may have ended a
// connection must ask by its place: the record may have another loop's connection by now.
func (l *loop) relays(id int32) bool { return l.rs.at(id).state == relaying }

// A token names a side of a record in events, and the half that reads from it.
func token(id int32, side relay.Side) int32 { return id<<1 | int32(side) }

func sideOf(token int32) (id int32, side relay.Side) { return token >> 1, relay.Side(token & 1) }

// prepare applies what a target says about the connection to it.
func (l *loop) prepare(id int32, r *record, t dispatch.Target) {
	r.final = [2]bool{relay.Client: t.EndWithClient, relay.Server: t.EndWithServer}
	if t.Meter != nil || t.Tap != nil {
		l.taps[id] = &tap{t.Tap, t.Meter, t.MaxRead}
	}
	for side := range r.half {
		r.half[side].tapped = t.Meter != nil || t.Tap.Sees(relay.Side(side) == relay.Client)
	}
}

// startRelay starts to relay over a connection to a server.
func (l *loop) startRelay(id int32, r *record) {
	l.wheel.disarm(id)
	l.rs.flow(id).Up()
	r.state = relaying
	for side := range r.side {
		r.side[side].ready |= canWrite // the first write tells whether there is room
	}
	// Events have told, or will tell, what there is to read. So the server is not
	// read in vain before its first byte.
	l.pump(id, r, relay.Client)
	if l.relays(id) {
		l.pump(id, r, relay.Server)
	}
}

// note notes an event of one descriptor.
func (l *loop) note(token int32, gen, events uint32) {
	id, side := sideOf(token)
	s := &l.rs.at(id).side[side]
	if s.gen != gen {
		return // of a connection that is over
	}
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		s.ready |= canRead
	}
	if events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		s.ready |= canWrite
	}
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		s.ready |= ending
	}
	if events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		s.ready |= failed
	}
}

// act does what a descriptor's event has made possible.
func (l *loop) act(token int32, gen uint32) {
	id, side := sideOf(token)
	r := l.rs.at(id)
	if r.side[side].gen != gen {
		return
	}
	switch r.state {
	case connecting:
		if side == relay.Server {
			l.connected(id, r)
		}
	case waiting, retrying:
		l.checkWaiting(id, r)
	case relaying:
		l.relay(id, r, side)
	case draining:
		if r.side[side].ready&failed != 0 {
			l.checkDrained(id, r)
		}
	case answering:
		l.answer(id, r)
	}
}

// connected is called when a connect has succeeded or failed.
func (l *loop) connected(id int32, r *record) {
	s := &r.side[relay.Server]
	if s.ready&failed != 0 {
		if err := plane.Target(l.rs.flow(id).Target()).Failure(int(s.fd.Load())); err != nil {
			l.next(id, r, err)
			return
		}
	}
	if s.ready&canWrite != 0 {
		l.startRelay(id, r)
	}
}

// relay does what an event on one side has made possible.
func (l *loop) relay(id int32, r *record, side relay.Side) {
	if r.side[side].ready&canRead != 0 {
		l.pump(id, r, side)
	}
	if !l.relays(id) {
		return
	}
	if r.half[side.Other()].isBlocked() {
		l.pump(id, r, side.Other())
	}
	if !l.relays(id) || r.side[side].ready&failed == 0 || !r.relay.Ended(side) {
		return
	}
	// After the end of what it sends a reset is not seen by reading.
	if err := sock.Failure(int(r.side[side].fd.Load())); err != nil {
		l.broken(id, r, side, err)
	}
}

// goOn continues a half that gave others their turn.
func (l *loop) goOn(token int32) {
	id, from := sideOf(token)
	if l.relays(id) {
		l.pump(id, l.rs.at(id), from)
	}
}

// pump moves bytes from one side to the other as long as there are some and
// there is room.
func (l *loop) pump(id int32, r *record, from relay.Side) {
	h, src, dst := &r.half[from], &r.side[from], &r.side[from.Other()]
	for rounds := 0; r.relay.Reads(from); rounds++ {
		switch {
		case h.isBlocked():
			if dst.ready&canWrite == 0 {
				l.setQuiet(id, r, from, h.piped > 0 || h.isPaused())
				return
			}
			h.blocked = false
			errno := l.flush(id, r, from)
			if errno != 0 && !isAgain(errno) {
				l.unwritable(id, r, from.Other(), errno)
				return
			}
		case src.quiet:
			if h.isPaused() {
				l.returnPipe(h)
				return
			}
			l.setQuiet(id, r, from, false)
		case src.ready&canRead == 0:
			l.returnPipe(h)
			return
		case rounds >= maxRounds:
			l.again = append(l.again, token(id, from))
			return
		case h.full >= bulkReads && l.borrowPipe(h, id, from):
			if !l.splice(id, r, from) {
				return
			}
		default:
			if !l.copy(id, r, from) {
				return
			}
		}
	}
}

// setQuiet turns off, or on, events for bytes to be read: while bulk waits for room,
// every segment that comes would wake the loop, at the expense of the sender.
func (l *loop) setQuiet(id int32, r *record, side relay.Side, quiet bool) {
	s := &r.side[side]
	if s.quiet != quiet {
		s.quiet = quiet
		s.ready |= canRead
		watch(l.ep, unix.EPOLL_CTL_MOD, s.fd.Load(), token(id, side), s.gen, quiet)
	}
}

// copy reads once and writes once. It reports false when the half, or all, is over.
func (l *loop) copy(id int32, r *record, from relay.Side) bool {
	h, src, dst := &r.half[from], &r.side[from], &r.side[from.Other()]
	if h.full > 0 {
		return l.copyBulk(id, r, from)
	}
	buf := l.buf[:firstRead]
	if h.tapped {
		buf = buf[:l.maxRead(id, len(buf))]
	}
	n, errno := splice.Read(src.fd.Load(), buf)
	if errno != 0 || n == 0 {
		return l.noBytes(id, r, from, errno)
	}
	count(&h.read, n)
	switch {
	case n == len(buf):
		h.full = 1
	case src.ready&ending == 0:
		// All there was; another event tells of what comes now.
		src.ready &^= canRead
	}
	if h.tapped {
		l.show(id, r, from, buf[:n])
	}
	m, errno := splice.Write(dst.fd.Load(), buf[:n])
	switch {
	case errno == 0:
		count(&h.written, m)
	case isAgain(errno):
		m = 0
		dst.ready &^= canWrite
	default:
		l.unwritable(id, r, from.Other(), errno)
		return false
	}
	if m < n {
		l.keepTail(h, token(id, from), append([]byte(nil), buf[m:n]...))
		h.full = 0
	}
	return true
}

// noBytes handles a read that gave nothing. It reports false when the half, or all, is
// over.
func (l *loop) noBytes(id int32, r *record, from relay.Side, errno syscall.Errno) bool {
	switch errno {
	case syscall.EAGAIN:
		r.side[from].ready &^= canRead
		return true
	case syscall.EINTR:
		return true
	case 0:
		l.ended(id, r, from)
	default:
		l.broken(id, r, from, errno)
	}
	return false
}

// flush writes what is held for the other side, until all is gone or the side takes no
// more.
func (l *loop) flush(id int32, r *record, from relay.Side) syscall.Errno {
	h, dst := &r.half[from], &r.side[from.Other()]
	for h.hasBytes() {
		var n int
		var errno syscall.Errno
		var tail []byte
		if h.tailed { // comes first: it was taken out of the pipe
			tail = l.tails[token(id, from)]
			n, errno = splice.Write(dst.fd.Load(), tail)
		} else {
			n, errno = splice.Move(l.lent[h.pipe].R, dst.fd.Load(), int(h.piped))
		}
		if errno != 0 {
			if errno == syscall.EAGAIN {
				dst.ready &^= canWrite
			}
			return errno
		}
		count(&h.written, n)
		l.p.pipes.Hold(-n)
		switch {
		case !h.tailed:
			h.piped -= int32(n)
		case n < len(tail):
			l.tails[token(id, from)] = tail[n:]
		default:
			delete(l.tails, token(id, from))
			h.tailed = false
		}
	}
	if h.full < bulkReads {
		l.returnPipe(h)
	}
	return 0
}

// keepTail keeps bytes that the other side did not take.
func (l *loop) keepTail(h *half, token int32, b []byte) {
	l.tails[token], h.tailed = b, true
	l.p.pipes.Hold(len(b))
}

// releaseHalf gives back what a half has borrowed, and drops the bytes in it.
func (l *loop) releaseHalf(h *half, token int32) {
	l.returnPipe(h)
	if h.tailed {
		l.p.pipes.Hold(-len(l.tails[token]))
		delete(l.tails, token)
		h.tailed = false
	}
	h.blocked = false
}
