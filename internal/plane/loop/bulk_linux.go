package loop

import (
	"syscall"

	"pen/internal/dispatch"
	"pen/internal/plane/relay"
	"pen/internal/plane/splice"
	"pen/internal/sock"
)

const (
	// bulkReads is after how many reads in a row that filled the buffer, and were
	// taken whole, bulk is spliced.
	bulkReads = 4
	// stuckTicks is how often pipes are looked at.
	stuckTicks = uint32(splice.StuckTime / tick)
)

// A lentPipe is a pipe that a half has.
type lentPipe struct {
	*splice.Pipe
	token   int32  // of the half
	written uint64 // by the half, when the pipe was looked at last
	seen    bool   // it was looked at
}

// copyBulk is copy for what may be bulk. What the other side does not take stays in the
// kernel: a side that reads nothing costs no memory here.
func (l *loop) copyBulk(id int32, r *record, from relay.Side) bool {
	h, src, dst := &r.half[from], &r.side[from], &r.side[from.Other()]
	buf := l.buf
	if h.tapped {
		buf = buf[:l.maxRead(id, len(buf))]
	}
	n, errno := splice.Peek(src.fd.Load(), buf)
	if errno != 0 || n == 0 {
		return l.noBytes(id, r, from, errno)
	}
	m, errno := splice.Write(dst.fd.Load(), buf[:n])
	switch {
	case errno == 0:
		splice.Discard(src.fd.Load(), buf[:m])
		count(&h.read, m)
		count(&h.written, m)
	case isAgain(errno):
		m = 0
	default:
		count(&h.read, n)
		l.unwritable(id, r, from.Other(), errno)
		return false
	}
	switch {
	case m < n:
		dst.ready &^= canWrite // less than all is a full queue: an event tells of room
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
		l.show(id, r, from, buf[:m])
	}
	return true
}

// splice fills a pipe from one side, and empties it into the other. It reports false
// when the half, or all, is over.
func (l *loop) splice(id int32, r *record, from relay.Side) bool {
	h, dst := &r.half[from], r.side[from.Other()].fd.Load()
	n := l.p.pipes.Limit(func() int { return sock.SendRoom(int(dst)) })
	if h.tapped {
		n = l.maxRead(id, n)
	}
	n, errno := splice.Move(r.side[from].fd.Load(), l.lent[h.pipe].W, n)
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
	l.p.pipes.Hold(n)
	if n < splice.SmallSplice {
		h.full = 0
	}
	if h.tapped {
		l.charge(id, r, from, n)
	}
	if errno := l.flush(id, r, from); errno != 0 && !isAgain(errno) {
		l.unwritable(id, r, from.Other(), errno)
		return false
	}
	return true
}

// borrowPipe reports whether a half has a pipe, now at the latest.
func (l *loop) borrowPipe(h *half, id int32, from relay.Side) bool {
	if h.pipe >= 0 {
		return true
	}
	p := l.p.pipes.Get()
	if p == nil {
		return false
	}
	h.pipe = int32(len(l.lent))
	l.lent = append(l.lent, lentPipe{Pipe: p, token: token(id, from)})
	return true
}

// returnPipe returns a half's pipe, and drops the bytes in it.
func (l *loop) returnPipe(h *half) {
	n, last := h.pipe, len(l.lent)-1
	if n < 0 {
		return
	}
	l.p.pipes.Hold(-int(h.piped))
	l.p.pipes.Put(l.lent[n].Pipe, h.piped > 0)
	h.pipe, h.piped = -1, 0
	if moved := l.lent[last]; int(n) != last {
		id, from := sideOf(moved.token)
		l.rs.at(id).half[from].pipe = n
		l.lent[n] = moved
	}
	l.lent[last] = lentPipe{}
	l.lent = l.lent[:last]
}

// rescuePipes takes the pipes back from halves whose bulk is taken slowly, or not at
// all. What is in a pipe becomes a tail.
func (l *loop) rescuePipes() {
	if len(l.lent) == 0 || l.wheel.clock-l.looked < stuckTicks {
		return
	}
	l.looked = l.wheel.clock
	for i := len(l.lent) - 1; i >= 0; i-- {
		p := &l.lent[i]
		id, from := sideOf(p.token)
		h := &l.rs.at(id).half[from]
		if written := h.written.Load(); !p.seen || written-p.written >= splice.SlowBytes {
			p.seen, p.written = true, written
		} else {
			l.takeBack(id, h, p)
		}
	}
}

// takeBack takes a pipe back from a half.
func (l *loop) takeBack(id int32, h *half, p *lentPipe) {
	h.full = 0
	if n := int(h.piped); n > 0 {
		b, err := p.TakeOut(n)
		if err != nil { // bytes are lost
			l.kill(id, l.rs.at(id).side[relay.Client].gen, dispatch.ByError)
			return
		}
		l.p.pipes.Hold(-n)
		h.piped = 0
		l.keepTail(h, p.token, b)
	}
	l.returnPipe(h)
}
