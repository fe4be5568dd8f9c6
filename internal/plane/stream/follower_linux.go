package stream

import (
	"io"
	"syscall"

	"golang.org/x/sys/unix"

	"pen/internal/plane/splice"
)

const (
	// Where chunks are at least longChunk bytes long, only the lines between them
	// are read, lookLittle bytes at a go. Shorter ones are read whole: the system
	// calls for each chunk would cost more than the copy.
	longChunk  = 4 << 10
	lookLittle = 64
	// After smallTurns turns in a row that move little it is not bulk any more.
	smallTurns = 4
)

// null takes the bytes that are not looked at. It is opened before the program may change
// its root folder.
var null, errNull = unix.Open("/dev/null", unix.O_WRONLY|unix.O_CLOEXEC, 0)

// canFollow is whether answers can be followed while they are spliced.
var canFollow = errNull == nil

// A follower moves the bulk of an HTTP server's answers through a pipe, many chunks at
// a time, and follows it: it looks at what it has to in a second pipe with the same
// pages.
type follower struct {
	*pump
	x       *exchange
	through int64 // bytes that need not be looked at; -1: all
	over    bool  // the client has all that it gets
	noPipes bool  // none are to be had

	follow func(fd uintptr) bool // made once: a method value allocates
}

// newFollower returns what moves the bulk of answers.
func (c *copier) newFollower() *follower {
	f := &follower{pump: c.newPump(), x: c.link.http}
	f.follow = f.tryRead
	return f
}

// move moves answers while they are bulk and there are pipes. The first through bytes
// need not be looked at. It returns how many of the next ones need not be, -1 for all.
func (f *follower) move(through int64) (left int64, readErr, writeErr error) {
	defer f.close()
	f.through, f.noPipes = through, false
	small := 0
	for {
		readErr, writeErr = f.turn(unlimited, f.follow)
		switch {
		case f.noPipes:
			return f.through, nil, nil
		case f.over:
			return 0, nil, nil
		case readErr != nil || writeErr != nil:
			return 0, readErr, writeErr
		}
		if small++; f.moved >= splice.SmallSplice {
			small = 0
		}
		f.x.delivered()
		f.pay(f.moved)
		if f.through < 0 || small >= smallTurns && f.through < longBody {
			return f.through, nil, nil
		}
	}
}

// tryRead reads once and follows that, as the pump's tryRead does.
func (f *follower) tryRead(fd uintptr) bool {
	second := f.borrowPipes()
	if f.noPipes = second == nil; f.noPipes {
		f.giveBack()
		return true
	}
	dirty := false
	defer func() { f.pipes.Put(second, dirty) }()
	errno := syscall.EINTR
	for errno == syscall.EINTR {
		errno = f.splice(int32(fd))
	}
	if errno == syscall.EAGAIN {
		f.giveBack()
		return false
	}
	switch {
	case errno != 0:
		f.err = errno
	case f.n == 0:
	case int64(f.n) <= f.through:
		f.through = f.x.skip(int64(f.n))
	default:
		f.err = f.look(second)
		dirty = f.err != nil || f.through < 0 || f.over
	}
	if f.over || f.err != nil {
		f.close()
	}
	return true
}

// borrowPipes borrows the pipe, and a second one that has room for all that fits
// into it. It returns nil where there are none.
func (f *follower) borrowPipes() (second *splice.Pipe) {
	if !f.borrowPipe() {
		return nil
	}
	second = f.pipes.Get()
	if second != nil && second.Size < f.pipe.Size {
		second, f.pipe = f.pipe, second
	}
	return second
}

// look follows the n bytes in the pipe.
func (f *follower) look(second *splice.Pipe) error {
	if err := f.pipe.Tee(second, f.n); err != nil {
		return err
	}
	buf := smallBuffers.Get().(*[smallSize]byte)
	defer smallBuffers.Put(buf)
	few := lookLittle
	for n := f.n; n > 0 && f.through >= 0 && !f.over; {
		var m int
		var errno syscall.Errno
		if f.through > 0 {
			m, errno = splice.Move(second.R, int32(null), int(min(f.through, int64(n))))
		} else {
			m, errno = splice.ReadPipe(second.R, buf[:min(few, n)])
		}
		switch {
		case errno == syscall.EINTR:
			continue
		case errno != 0:
			return errno
		case m == 0:
			return io.ErrUnexpectedEOF
		case f.through > 0:
			f.through = f.x.skip(int64(m))
		default:
			f.through, f.over = f.x.follow(buf[:m])
			if few == lookLittle && f.through < longChunk-lookLittle {
				few = smallSize // once: then the next line is a new sample
			} else {
				few = lookLittle
			}
		}
		n -= m
	}
	return nil
}
