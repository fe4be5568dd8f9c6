package stream

import (
	"cmp"
	"io"

	"golang.org/x/sys/unix"
)

const (
	// Of chunks that are at least so long only the lines between them are read,
	// with lookLittle bytes; of shorter ones everything is. The system calls that
	// each chunk costs otherwise are worth the copy of as many bytes.
	longChunk  = 4 << 10
	lookLittle = 64
	// After so many turns in a row that move little it is bulk no more.
	smallTurns = 4
)

// null takes what is not looked at. It is opened before the program may change
// its root folder.
var null, errNull = unix.Open("/dev/null", unix.O_WRONLY|unix.O_CLOEXEC, 0)

// A followed moves the bulk of an HTTP server's answers through a pipe, many
// chunks at a time, and follows it: it looks at what it has to in a second pipe
// with the same pages.
type followed struct {
	*pump
	x       *exchange
	through int64 // bytes that need not be looked at; -1: all
	over    bool  // the client has all that it gets

	reads, writes func(fd uintptr) bool // made once: a method value allocates
}

// splices reports whether the half's answers can be spliced.
func (h *half) splices() bool {
	return h.src.tls == nil && h.dst.tls == nil && h.log == nil && (h.spend == nil || h.piece >= smallSplice) && errNull == nil
}

// followed returns what moves the half's answers if it splices.
func (h *half) followed(pipes *pipes) (*followed, error) {
	p, readErr, writeErr := h.newPump(pipes)
	if err := cmp.Or(readErr, writeErr); err != nil {
		return nil, err
	}
	f := &followed{pump: p, x: h.link.http}
	f.reads, f.writes = f.fillFollowed, p.flush
	return f, nil
}

// move moves answers while they are bulk. The first through bytes need not be
// looked at. It returns how many of the next ones need not be, -1 for all.
func (f *followed) move(through int64) (left int64, readErr, writeErr error) {
	defer f.close()
	f.through = through
	small := 0
	for {
		readErr, writeErr = f.turn(f.reads, f.writes)
		if f.over {
			return 0, nil, nil
		}
		if readErr != nil || writeErr != nil {
			return 0, readErr, writeErr
		}
		if small++; f.moved >= smallSplice {
			small = 0
		}
		f.x.delivered()
		f.pay()
		if f.through < 0 || small >= smallTurns && f.through < longBody {
			return f.through, nil, nil
		}
	}
}

// fillFollowed reads once and follows that, as fill does. Where no pipes are to be
// had it reads into the buffer.
func (f *followed) fillFollowed(fd uintptr) bool {
	second := f.borrowPipes()
	dirty := false
	defer func() {
		if second != nil {
			f.pipes.put(second, dirty)
		}
	}()
	for {
		if second != nil {
			f.where = inPipe
			f.n, f.err = splice(int(fd), f.pipe.w, min(f.piece, f.most()))
		} else {
			f.where = inBuffer
			f.n, f.err = unix.Read(int(fd), f.borrowBuffer()[:min(f.piece, firstRead)])
		}
		if f.err != unix.EINTR {
			break
		}
	}
	if f.err == unix.EAGAIN {
		f.n, f.err = 0, nil
		f.giveBack()
		return false
	}
	f.n = max(f.n, 0)
	f.end = f.n
	if f.where == inPipe {
		f.pipes.hold(f.n)
	}
	switch {
	case f.n == 0:
	case f.where == inBuffer:
		f.through, f.over = f.x.follow(f.buf[:f.n])
	case int64(f.n) <= f.through:
		f.through = f.x.skip(int64(f.n))
	default:
		dirty = true
		f.err = f.look(second)
		dirty = f.err != nil || f.through < 0 || f.over
	}
	if f.over || f.err != nil {
		f.close()
		f.n = 0
	}
	return true
}

// borrowPipes borrows the pipe, and a second one that has room for all that fits
// into it. It returns nil where there are none.
func (f *followed) borrowPipes() (second *pipe) {
	if !f.borrowPipe() {
		return nil
	}
	second = f.pipes.get()
	if second != nil && second.size < f.pipe.size {
		second, f.pipe = f.pipe, second
	}
	return second
}

// look follows the n bytes in the pipe.
func (f *followed) look(second *pipe) error {
	n := f.n
	m, err := unix.Tee(f.pipe.r, second.w, n, unix.SPLICE_F_NONBLOCK)
	if err != nil || int(m) != n {
		return cmp.Or(err, io.ErrShortWrite)
	}
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	few := lookLittle
	for n > 0 && f.through >= 0 && !f.over {
		var m int
		if f.through > 0 {
			m, err = splice(second.r, null, int(min(f.through, int64(n))))
		} else {
			m, err = unix.Read(second.r, buf[:min(few, n)])
		}
		switch {
		case err == unix.EINTR:
			continue
		case err != nil || m == 0:
			return cmp.Or(err, io.ErrUnexpectedEOF)
		case f.through > 0:
			f.through = f.x.skip(int64(m))
		default:
			f.through, f.over = f.x.follow(buf[:m])
			if few == lookLittle && f.through < longChunk-lookLittle {
				few = bufferSize // once: then the next line is a new sample
			} else {
				few = lookLittle
			}
		}
		n -= m
	}
	return nil
}
