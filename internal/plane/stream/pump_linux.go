package stream

import (
	"cmp"
	"errors"
	"io"
	"math"
	"os"
	"syscall"

	"pen/internal/edge"
	"pen/internal/plane/splice"
	"pen/internal/sock"
)

// peekSize is how much is looked at in one go. More than what sockets mostly have would
// rarely fill, and so never be taken for bulk.
const peekSize = 32 << 10

// A pump moves the bulk of a copier, which had filled its buffer. Only what the
// destination has taken is taken off the source, so that a destination that takes
// nothing costs no memory here. What is taken at once goes through a pipe from then on.
// Buffer and pipe are borrowed only while bytes are in flight.
type pump struct {
	*copier
	most int // bytes to read at a go
	pipe *splice.Pipe

	// One turn, and what is left of it to write: the last n bytes of the buffer's
	// first end bytes, which are still to be read from the source, or the n bytes
	// in the pipe.
	n, end int
	piped  bool
	moved  int // bytes that were written
	mark   int // piped: bytes left when the write deadline was set; 0: there is none

	pull, push func(fd uintptr) bool // made once: a method value allocates
}

// pumps reports whether a half's bulk may be left to a pump: nobody looks at it, and it
// does not come in small pieces.
func (h *half) pumps() bool {
	return h.src.tls == nil && h.dst.tls == nil && h.tap == nil && (h.meter == nil || h.maxRead >= splice.SmallSplice)
}

func (c *copier) newPump() *pump {
	p := &pump{copier: c}
	p.pull, p.push = p.tryRead, p.tryWrite
	return p
}

// bulk moves up to limit bytes, as long as they are bulk. The end of the stream is
// [io.EOF].
func (c *copier) bulk(limit int64) (moved int64, readErr, writeErr error) {
	c.giveBack()
	if c.pump == nil {
		c.pump = c.newPump()
	}
	p := c.pump
	defer p.close()
	for p.full > 0 && moved < limit && readErr == nil && writeErr == nil {
		readErr, writeErr = p.turn(limit-moved, p.pull)
		moved += int64(p.moved)
		p.pay(p.moved)
	}
	return moved, readErr, writeErr
}

// turn reads once with pull, up to limit bytes, and writes that.
func (p *pump) turn(limit int64, pull func(fd uintptr) bool) (readErr, writeErr error) {
	if p.meter != nil {
		limit = min(limit, int64(p.maxRead))
	}
	p.most, p.moved, p.err = int(min(limit, math.MaxInt32)), 0, nil
	if err := cmp.Or(p.rawSrc.Read(pull), p.err); err != nil {
		return err, nil
	}
	if p.n == 0 {
		return io.EOF, nil
	}
	if p.piped {
		p.read.Add(uint64(p.n))
	}
	return nil, cmp.Or(p.flush(), p.err)
}

// pay pauses for as long as the bandwidth asks for n bytes.
func (p *pump) pay(n int) {
	if p.meter != nil {
		p.giveBack() // a pause may be long
		p.copier.pay(n)
	}
}

// tryRead reads once. It reports false where there is nothing yet; before that wait it
// gives back what it borrowed.
func (p *pump) tryRead(fd uintptr) bool {
	for {
		var errno syscall.Errno
		if p.full >= bulkReads && p.borrowPipe() {
			errno = p.splice(int32(fd))
		} else {
			errno = p.peek(int32(fd))
		}
		switch errno {
		case 0:
			return true
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			p.giveBack()
			return false
		}
		p.n, p.err = 0, errno
		return true
	}
}

// splice fills the pipe.
func (p *pump) splice(src int32) syscall.Errno {
	n, errno := splice.MoveTold(src, p.pipe.W, min(p.most, p.pipes.Limit(p.room)))
	if errno != 0 {
		return errno
	}
	p.piped, p.n = true, n
	p.pipes.Hold(n)
	if n < splice.SmallSplice {
		p.full = 0
	}
	return 0
}

// room is about how many bytes the destination takes.
func (p *pump) room() (n int) {
	p.rawDst.Control(func(fd uintptr) { n = sock.SendRoom(int(fd)) })
	return n
}

// peek fills the buffer with what stays to be read.
func (p *pump) peek(src int32) syscall.Errno {
	if p.large == nil {
		p.large = largeBuffers.Get().(*[largeSize]byte)
	}
	buf := p.large[:min(p.most, peekSize)]
	n, errno := splice.Peek(src, buf)
	if errno != 0 {
		return errno
	}
	p.piped, p.n, p.end = false, n, n
	switch {
	case n == len(buf):
		p.full = min(p.full+1, bulkReads)
	case n >= smallSize:
		p.full = 1
	default:
		p.full = 0
	}
	return 0
}

// flush writes all of a turn, or as much as the destination takes of what is still in
// the kernel. A pipe that is stuck it gives back.
func (p *pump) flush() error {
	for {
		err := p.rawDst.Write(p.push)
		if p.mark == 0 {
			return err
		}
		// The deadline was for the pipe only. Others set one after they have closed
		// the link's quit.
		late := errors.Is(err, os.ErrDeadlineExceeded)
		slow := late && p.mark-p.n < splice.SlowBytes
		p.mark = 0
		edge.WriteWithin(p.dst, 0)
		switch {
		case p.link.stopping() != nil || !late:
			return err
		case slow:
			return p.takeOut()
		}
	}
}

// takeOut gives the pipe back, and writes what was in it.
func (p *pump) takeOut() error {
	rest, err := p.pipe.TakeOut(p.n)
	if err != nil {
		return err
	}
	p.n, p.full = 0, 0
	p.giveBack()
	err = p.writeAll(rest, len(rest))
	p.moved += len(rest)
	return err
}

// tryWrite writes what was read. It reports false where the destination is full, to be
// called again when it is not.
func (p *pump) tryWrite(fd uintptr) bool {
	for p.n > 0 {
		n, err := p.put(fd)
		switch err {
		case nil:
			p.wrote(n)
		case syscall.EINTR:
		case syscall.EAGAIN:
			p.beforeWait()
			return false
		default:
			p.err = err
			if !p.piped {
				p.read.Add(uint64(p.n)) // in vain
			}
			return true
		}
	}
	return true
}

// put writes once.
func (p *pump) put(fd uintptr) (int, error) {
	if !p.piped {
		return syscall.Write(int(fd), p.large[p.end-p.n:p.end])
	}
	n, errno := splice.MoveTold(p.pipe.R, int32(fd), p.n)
	if errno != 0 {
		return n, errno
	}
	return n, nil
}

// wrote counts bytes that were written.
func (p *pump) wrote(n int) {
	if p.piped {
		p.pipes.Hold(-n)
	} else {
		b := p.large[p.end-p.n : p.end-p.n+n]
		p.rawSrc.Control(func(fd uintptr) { splice.Discard(int32(fd), b) })
		p.read.Add(uint64(n))
	}
	p.n -= n
	p.moved += n
	p.written.Add(uint64(n))
}

// beforeWait is called before a wait for the destination, which may be long: no buffer
// is held meanwhile, and a pipe for a while only.
func (p *pump) beforeWait() {
	switch {
	case !p.piped:
		p.n, p.full = 0, 1
		p.giveBack()
	case p.mark == 0:
		p.mark = p.n
		edge.WriteWithin(p.dst, splice.StuckTime)
	}
}

func (p *pump) borrowPipe() bool {
	if p.pipe == nil {
		p.pipe = p.pipes.Get()
	}
	return p.pipe != nil
}

func (p *pump) giveBack() {
	p.copier.giveBack()
	if p.pipe != nil {
		p.pipes.Put(p.pipe, p.piped && p.n > 0)
		p.pipe = nil
	}
}

// close gives back all that is borrowed, and forgets the bytes in it.
func (p *pump) close() {
	p.giveBack()
	if p.piped {
		p.pipes.Hold(-p.n)
	}
	p.n, p.piped = 0, false
}
