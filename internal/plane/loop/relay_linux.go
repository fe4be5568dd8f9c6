package loop

import (
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"pen/internal/dispatch"
	"pen/internal/plane"
	"pen/internal/sock"
)

const (
	// maxRounds is how many reads a half may do before others get their turn.
	maxRounds = 16
	// firstRead is how much is read at a go of what is not bulk. More than that
	// is never kept for a side that takes nothing.
	firstRead = 16 << 10
	// After so many reads in a row that filled the buffer and were taken whole
	// bulk is spliced, as long as a splice moves smallSplice bytes.
	bulkReads   = 4
	smallSplice = 16 << 10
	maxQuestion = 4096 // bytes of what a client says that is answered here
)

func count(n *atomic.Uint64, more int) { n.Store(n.Load() + uint64(more)) } // by one goroutine only
func (h *half) hasBytes() bool         { return h.tail >= 0 || h.piped > 0 }
func (h *half) waits() bool            { return h.hasBytes() || h.blocked }
func (h *half) paused() bool           { return h.until != 0 }
func (h *half) setEOF()                { h.eof.Store(1) }
func (r *record) relays() bool         { return r.state == relaying }
func isAgain(e syscall.Errno) bool     { return e == syscall.EAGAIN || e == syscall.EINTR }

// prepare notes what a target says of the connection to it.
func (l *loop) prepare(id int32, r *record, t dispatch.Target) {
	r.ends = [2]bool{client: t.EndWithClient, server: t.EndWithServer}
	metered := t.Spend != nil
	r.half[client].tapped, r.half[server].tapped = metered || t.Log != nil, metered || t.LogAnswer != nil
	if r.half[client].tapped || r.half[server].tapped {
		l.taps[id] = &tap{log: [2]func([]byte){t.Log, t.LogAnswer}, spend: t.Spend, piece: t.Piece}
	}
}

// up begins to relay.
func (l *loop) up(id int32, r *record) {
	l.wheel.disarm(id)
	l.rs.flow(id).Up()
	r.state = relaying
	for which := range r.side {
		r.side[which].ready |= canWrite // the first write tells whether there is room
	}
	// What there is to read has been told, or will be: that the server has said
	// nothing yet is not asked.
	l.pump(id, r, client)
	if r.relays() {
		l.pump(id, r, server)
	}
}

// note takes what the kernel says of one descriptor.
func (l *loop) note(token int32, gen, events uint32) {
	s := &l.rs.at(token >> 1).side[token&1]
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
	id, which := token>>1, uint8(token&1)
	r := l.rs.at(id)
	if r.side[which].gen != gen {
		return
	}
	switch r.state {
	case connecting:
		if which == server {
			l.connected(id, r)
		}
	case waiting, retrying:
		l.checkWaiting(id, r)
	case relaying:
		l.relay(id, r, which)
	case draining:
		if r.side[which].ready&failed != 0 {
			l.look(id, r)
		}
	case answering:
		l.answer(id, r)
	}
}

// connected looks at how a connect has ended.
func (l *loop) connected(id int32, r *record) {
	s := &r.side[server]
	if s.ready&failed != 0 {
		if err := plane.Target(l.rs.flow(id).Target()).Failure(int(s.fd.Load())); err != nil {
			l.next(id, r, err)
			return
		}
	}
	if s.ready&canWrite != 0 {
		l.up(id, r)
	}
}

// relay does what an event on one side has made possible.
func (l *loop) relay(id int32, r *record, which uint8) {
	if r.side[which].ready&canRead != 0 {
		l.pump(id, r, which)
	}
	if !r.relays() {
		return
	}
	if r.half[1-which].waits() {
		l.pump(id, r, 1-which)
	}
	if !r.relays() || r.side[which].ready&failed == 0 || r.half[which].eof.Load() == 0 {
		return
	}
	// After the end of what it sends a reset is not seen by reading.
	if err := sock.Failure(int(r.side[which].fd.Load())); err != nil {
		r.note(which, err)
		l.abort(id, r, 1-which)
	}
}

// goOn continues a half that gave others their turn.
func (l *loop) goOn(token int32) {
	id := token >> 1
	if r := l.rs.at(id); r.relays() {
		l.pump(id, r, uint8(token&1))
	}
}

// pump moves bytes from one side to the other as long as there are some and
// there is room.
func (l *loop) pump(id int32, r *record, from uint8) {
	h, src, dst := &r.half[from], &r.side[from], &r.side[1-from]
	for rounds := 0; !h.over; rounds++ {
		switch {
		case h.waits():
			if dst.ready&canWrite == 0 {
				l.setQuiet(id, r, from, h.piped > 0 || h.paused())
				return
			}
			h.blocked = false
			errno := l.flush(h, dst)
			if errno != 0 && !isAgain(errno) {
				l.writeFailed(id, r, from, errno)
				return
			}
		case src.quiet:
			if h.paused() {
				l.returnPipe(h)
				return
			}
			l.setQuiet(id, r, from, false)
		case src.ready&canRead == 0:
			l.returnPipe(h)
			return
		case rounds >= maxRounds:
			l.again = append(l.again, id<<1|int32(from))
			return
		case h.full >= bulkReads && l.borrowPipe(h, id, from):
			if !l.moveBulk(id, r, from) {
				return
			}
		default:
			if !l.move(id, r, from) {
				return
			}
		}
	}
}

// setQuiet has the kernel tell of bytes to be read, or not: while bulk waits for
// room every segment that comes would wake the loop, on the sender's account.
func (l *loop) setQuiet(id int32, r *record, which uint8, quiet bool) {
	s := &r.side[which]
	if s.quiet != quiet {
		s.quiet = quiet
		s.ready |= canRead
		watch(l.ep, unix.EPOLL_CTL_MOD, s.fd.Load(), id<<1|int32(which), s.gen, quiet)
	}
}

// move reads once and writes once. It reports false when the half, or all, is
// over.
func (l *loop) move(id int32, r *record, from uint8) bool {
	h, src, dst := &r.half[from], &r.side[from], &r.side[1-from]
	if h.full > 0 {
		return l.moveMuch(id, r, from)
	}
	buf := l.buf[:firstRead]
	if h.tapped {
		buf = buf[:l.most(id, len(buf))]
	}
	n, errno := read(src.fd.Load(), buf)
	if errno != 0 || n == 0 {
		return l.noBytes(id, r, from, errno)
	}
	count(&h.read, n)
	switch {
	case n == len(buf):
		h.full = 1
	case src.ready&ending == 0:
		// All there was; what comes now is told by another event.
		src.ready &^= canRead
	}
	if h.tapped {
		l.see(id, r, from, buf[:n])
	}
	m, errno := write(dst.fd.Load(), buf[:n])
	switch {
	case errno == 0:
		count(&h.written, m)
	case isAgain(errno):
		m = 0
		dst.ready &^= canWrite
	default:
		l.writeFailed(id, r, from, errno)
		return false
	}
	if m < n {
		h.tail, h.full = l.tails.keep(buf[m:n]), 0
	}
	return true
}

// moveMuch is move for what may be bulk. What the other side does not take is
// left in the kernel: a side that reads nothing costs no memory here.
func (l *loop) moveMuch(id int32, r *record, from uint8) bool {
	h, src, dst := &r.half[from], &r.side[from], &r.side[1-from]
	buf := l.buf
	if h.tapped {
		buf = buf[:l.most(id, len(buf))]
	}
	n, errno := peek(src.fd.Load(), buf)
	if errno != 0 || n == 0 {
		return l.noBytes(id, r, from, errno)
	}
	m, errno := write(dst.fd.Load(), buf[:n])
	switch {
	case errno == 0:
		discard(src.fd.Load(), buf[:m])
		count(&h.read, m)
		count(&h.written, m)
	case isAgain(errno):
		m = 0
	default:
		count(&h.read, n)
		l.writeFailed(id, r, from, errno)
		return false
	}
	switch {
	case m < n:
		dst.ready &^= canWrite // less than all is a full queue: its room will be told
		h.blocked, h.full = true, 1
	case n == len(buf):
		h.full = min(h.full+1, bulkReads)
	case src.ready&ending == 0:
		src.ready &^= canRead
		h.full = 1
		if n < firstRead {
			h.full = 0
		}
	}
	if h.tapped && m > 0 {
		l.see(id, r, from, buf[:m])
	}
	return true
}

// noBytes does what a read asks for that gave none. It reports false when the
// half, or all, is over.
func (l *loop) noBytes(id int32, r *record, from uint8, errno syscall.Errno) bool {
	switch errno {
	case syscall.EAGAIN:
		r.side[from].ready &^= canRead
		return true
	case syscall.EINTR:
		return true
	case 0:
		l.ended(id, r, from)
	default:
		r.note(from, errno)
		l.abort(id, r, 1-from)
	}
	return false
}

// moveBulk fills a pipe from one side, and empties it into the other.
func (l *loop) moveBulk(id int32, r *record, from uint8) bool {
	h, dst := &r.half[from], &r.side[1-from]
	most := pipeSize
	if l.held+l.tails.bytes > heldMost {
		most = min(most, max(sock.SendRoom(int(dst.fd.Load())), smallSplice))
	}
	if h.tapped {
		most = l.most(id, most)
	}
	n, errno := splice(r.side[from].fd.Load(), l.pipes.at(h.pipe).w, most)
	switch {
	case errno == syscall.EINVAL: // not this kind of socket
		h.full = 0
		l.returnPipe(h)
		return true
	case errno != 0 || n == 0:
		return l.noBytes(id, r, from, errno)
	}
	count(&h.read, n)
	h.piped = int32(n)
	l.held += n
	if n < smallSplice {
		h.full = 0
	}
	if h.tapped {
		l.pay(id, r, from, n)
	}
	if errno := l.flush(h, dst); errno != 0 && !isAgain(errno) {
		l.writeFailed(id, r, from, errno)
		return false
	}
	return true
}

// flush writes what a half has kept, until all is gone or the side takes no
// more.
func (l *loop) flush(h *half, dst *side) syscall.Errno {
	for h.hasBytes() {
		var n int
		var errno syscall.Errno
		tail := h.tail >= 0 // comes first: what was taken out of the pipe
		if tail {
			n, errno = write(dst.fd.Load(), l.tails.left(h.tail))
		} else {
			n, errno = splice(l.pipes.at(h.pipe).r, dst.fd.Load(), int(h.piped))
		}
		if errno != 0 {
			if errno == syscall.EAGAIN {
				dst.ready &^= canWrite
			}
			return errno
		}
		count(&h.written, n)
		if !tail {
			h.piped -= int32(n)
			l.held -= n
		} else if l.tails.written(h.tail, n) {
			h.tail = -1
		}
	}
	if h.full < bulkReads {
		l.returnPipe(h)
	}
	return 0
}

func (l *loop) borrowPipe(h *half, id int32, from uint8) bool {
	if h.pipe < 0 {
		if h.pipe = l.pipes.get(); h.pipe >= 0 {
			l.pipes.lend(h.pipe, id<<1|int32(from))
		}
	}
	return h.pipe >= 0
}

func (l *loop) returnPipe(h *half) {
	if h.pipe >= 0 {
		l.held -= int(h.piped)
		l.pipes.put(h.pipe, h.piped > 0)
		h.pipe, h.piped = -1, 0
	}
}

// releaseHalf gives back what a half has borrowed, with the bytes in it.
func (l *loop) releaseHalf(h *half) {
	l.returnPipe(h)
	if h.tail >= 0 {
		l.tails.drop(h.tail)
		h.tail = -1
	}
	h.blocked = false
}

// answer gives the client the page when it has said something, whatever that
// is, and ends the connection.
func (l *loop) answer(id int32, r *record) {
	fd := r.side[client].fd.Load()
	n, errno := read(fd, l.buf[:maxQuestion])
	if isAgain(errno) {
		return
	}
	if errno != 0 {
		r.note(client, errno)
	}
	if errno != 0 || n == 0 {
		r.note(client, nil)
		l.finish(id, r)
		return
	}
	count(&r.half[client].read, n)
	if n, errno := write(fd, []byte(plane.DummyPage)); errno == 0 {
		count(&r.half[server].written, n)
	}
	shutdown(fd)
	r.ending = dispatch.ByCompletion
	l.drain(id, r, client)
}
