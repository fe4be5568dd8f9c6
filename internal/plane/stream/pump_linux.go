package stream

import (
	"cmp"
	"errors"
	"io"
	"os"
	"syscall"

	"pen/internal/edge"
	"pen/internal/plane/splice"
	"pen/internal/sock"
)

// What of a pump has the bytes that are to be written.
const (
	inKernel = iota // they are in the buffer, and still to be read from the source
	inPipe
	inRest // they were in a pipe that is given back
)

// A pump moves the bulk of one half: what filled the buffer of a copier. Only what the
// destination has taken is taken off the source, so that a destination that takes
// nothing costs no memory here. What is taken at once goes through a pipe from then
// on. Buffer and pipe are borrowed only while bytes are in flight.
type pump struct {
	half     *half
	pipes    *splice.Pipes
	src, dst syscall.RawConn
	full     int // reads in a row that filled the buffer; 0: it is bulk no more
	most     int // bytes to read at a go
	buf      *[largeSize]byte
	pipe     *splice.Pipe

	// One turn, and what is left of it to write: the last n bytes of buf[:end], or
	// of rest, or the content of the pipe.
	where  int
	n, end int
	rest   []byte
	moved  int // bytes that were written
	mark   int // inPipe: bytes left when the write deadline was set; 0: there is none
	err    error

	fill, flush func(fd uintptr) bool // made once: a method value allocates
}

// splices reports whether a half's bytes may be spliced: nobody looks at them, and
// they do not come in small pieces.
func (h *half) splices() bool {
	return h.src.tls == nil && h.dst.tls == nil && h.log == nil && (h.spend == nil || h.piece >= splice.SmallSplice)
}

// newPump returns what moves the bulk of a copier that splices.
func (c *copier) newPump() *pump {
	p := &pump{half: c.half, pipes: c.half.link.plane.pipes, src: c.src, dst: c.dst}
	p.fill, p.flush = p.tryRead, p.tryWrite
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
	p.full = c.full
	for p.full > 0 && moved < limit && readErr == nil && writeErr == nil {
		p.most = int(min(limit-moved, p.piece()))
		readErr, writeErr = p.turn(p.fill)
		moved += int64(p.moved)
		p.pay()
	}
	c.full = p.full
	return moved, readErr, writeErr
}

// piece is how many bytes to read at a go.
func (p *pump) piece() int64 {
	if p.half.spend != nil {
		return int64(p.half.piece)
	}
	return unlimited
}

// turn reads once with fill, and writes that.
func (p *pump) turn(fill func(fd uintptr) bool) (readErr, writeErr error) {
	p.moved, p.err = 0, nil
	if err := cmp.Or(p.src.Read(fill), p.err); err != nil {
		return err, nil
	}
	if p.n == 0 {
		return io.EOF, nil
	}
	if p.where == inPipe {
		p.half.read.Add(uint64(p.n))
	}
	return nil, cmp.Or(p.write(), p.err)
}

// pay pauses for as long as the bandwidth asks for what was moved.
func (p *pump) pay() {
	if pause := p.half.cost(p.moved); pause > 0 {
		p.giveBack()
		p.half.link.pause(pause)
	}
}

// tryRead reads once. It reports false where there is nothing yet, to be called again
// when there is; before that wait it gives back what it borrowed.
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
	n, errno := splice.Move(src, p.pipe.W, min(p.most, p.pipes.Limit(p.room)))
	if errno != 0 {
		return errno
	}
	p.where, p.n = inPipe, n
	p.pipes.Hold(n)
	if n < splice.SmallSplice {
		p.full = 0
	}
	return 0
}

// room is about how many bytes the destination takes.
func (p *pump) room() (n int) {
	p.dst.Control(func(fd uintptr) { n = sock.SendRoom(int(fd)) })
	return n
}

// peek fills the buffer with what stays to be read.
func (p *pump) peek(src int32) syscall.Errno {
	if p.buf == nil {
		p.buf = largeBuffers.Get().(*[largeSize]byte)
	}
	buf := p.buf[:min(p.most, largeSize)]
	n, errno := splice.Peek(src, buf)
	if errno != 0 {
		return errno
	}
	p.where, p.n, p.end = inKernel, n, n
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

// write writes all of a turn, or as much as the destination takes of what is still in
// the kernel.
func (p *pump) write() error {
	for {
		err := p.dst.Write(p.flush)
		if p.mark == 0 {
			return err
		}
		// The deadline was for the pipe only. Others set one after they have closed
		// the link's quit.
		late := errors.Is(err, os.ErrDeadlineExceeded)
		slow := late && p.mark-p.n < splice.SlowBytes
		p.mark = 0
		edge.WriteWithin(p.half.dst, 0)
		if p.half.link.stopping() != nil || !late {
			return err
		}
		if slow {
			p.takeOut()
		}
	}
}

// tryWrite writes what was read. It reports false where the destination is full, to be
// called again when it is not.
func (p *pump) tryWrite(fd uintptr) bool {
	for p.n > 0 {
		var n int
		var errno syscall.Errno
		switch p.where {
		case inPipe:
			n, errno = splice.Move(p.pipe.R, int32(fd), p.n)
		case inRest:
			n, errno = splice.Write(int32(fd), p.rest[len(p.rest)-p.n:])
		case inKernel:
			n, errno = splice.Write(int32(fd), p.buf[p.end-p.n:p.end])
		}
		switch errno {
		case 0:
			p.wrote(n)
		case syscall.EINTR:
		case syscall.EAGAIN:
			p.beforeWait()
			return false
		default:
			p.err = errno
			if p.where == inKernel {
				p.half.read.Add(uint64(p.n)) // in vain
			}
			return true
		}
	}
	p.rest = nil
	return true
}

// wrote counts bytes that were written.
func (p *pump) wrote(n int) {
	if p.where == inKernel {
		b := p.buf[p.end-p.n : p.end-p.n+n]
		p.src.Control(func(fd uintptr) { splice.Discard(int32(fd), b) })
		p.half.read.Add(uint64(n))
	} else {
		p.pipes.Hold(-n)
	}
	p.n -= n
	p.moved += n
	p.half.written.Add(uint64(n))
}

// beforeWait is called before a wait for the destination, which may be long: no
// buffer is held meanwhile, and a pipe for a while only.
func (p *pump) beforeWait() {
	switch {
	case p.where == inKernel:
		p.n, p.full = 0, 1
		p.giveBack()
	case p.where == inPipe && p.mark == 0:
		p.mark = p.n
		edge.WriteWithin(p.half.dst, splice.StuckTime)
	}
}

// takeOut gives the pipe back: what is in it is kept as bytes.
func (p *pump) takeOut() {
	rest, err := p.pipe.TakeOut(p.n)
	if err != nil {
		p.err = err
		return
	}
	p.rest, p.where, p.full = rest, inRest, 0
	p.giveBack()
}

func (p *pump) borrowPipe() bool {
	if p.pipe == nil {
		p.pipe = p.pipes.Get()
	}
	return p.pipe != nil
}

func (p *pump) giveBack() {
	if p.buf != nil {
		largeBuffers.Put(p.buf)
		p.buf = nil
	}
	if p.pipe != nil {
		p.pipes.Put(p.pipe, p.where == inPipe && p.n > 0)
		p.pipe = nil
	}
}

// close gives back all that is borrowed, and forgets the bytes in it.
func (p *pump) close() {
	p.giveBack()
	if p.where != inKernel {
		p.pipes.Hold(-p.n)
	}
	p.n, p.rest, p.where = 0, nil, inKernel
}
