package splice

import (
	"cmp"
	"io"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	pipeSize = 1 << 20 // the largest that an unprivileged program may ask for
	pipeCost = 2       // descriptors
	// maxPipes bounds the pipes of the process, and with them the bytes in flight.
	// When all are lent, bulk is copied.
	maxPipes = 512
	// keptPipes stay open for the next bulk, where descriptors are ample.
	keptPipes = 32
	// manyHeld is from how many held bytes on no more is spliced than the
	// destination is likely to take.
	manyHeld = 2 << 20
)

// Pipes lends the pipes of the process to one plane. It is safe for concurrent use and
// does not block.
type Pipes struct {
	*store
	lender Lender // of their descriptors
}

// A store has the pipes of several planes.
type store struct {
	held atomic.Int64

	mu     sync.Mutex // guards all below
	planes int
	spare  []*Pipe
	open   int
}

var process store

// A Pipe is lent to one direction of a connection at a time.
type Pipe struct {
	R, W int32
	Size int // bytes that fit into it, at least

	lender Lender
	ample  bool // it may be kept for later
}

// Join returns the pipes for a plane that starts, whose descriptors are borrowed
// from l. The plane calls Leave when it stops.
func Join(l Lender) *Pipes {
	process.mu.Lock()
	defer process.mu.Unlock()
	process.planes++
	return &Pipes{&process, l}
}

// Leave says that a plane has stopped, and has returned all pipes. With the last plane
// the spare pipes go.
func (ps *Pipes) Leave() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.planes--
	if ps.planes > 0 {
		return
	}
	for _, p := range ps.spare {
		ps.closeLocked(p)
	}
	ps.spare = nil
}

// Get returns an empty pipe, or nil if none is available.
func (ps *Pipes) Get() *Pipe {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if n := len(ps.spare); n > 0 {
		p := ps.spare[n-1]
		ps.spare = ps.spare[:n-1]
		return p
	}
	if ps.open == maxPipes {
		return nil
	}
	ok, ample := ps.lender.BorrowSpare(pipeCost)
	if !ok {
		return nil
	}
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC) != nil {
		ps.lender.GiveBack(pipeCost)
		return nil
	}
	// A default pipe takes 64 KiB, and bulk costs more system calls. The kernel may
	// refuse more to an unprivileged user who has many pipes.
	_, _ = unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize)
	size, _ := unix.FcntlInt(uintptr(fds[0]), unix.F_GETPIPE_SZ, 0)
	ps.open++
	return &Pipe{R: int32(fds[0]), W: int32(fds[1]), Size: size, lender: ps.lender, ample: ample}
}

// Put takes a pipe back. A dirty one still has bytes in it and is closed.
func (ps *Pipes) Put(p *Pipe, dirty bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if !dirty && p.ample && len(ps.spare) < keptPipes {
		ps.spare = append(ps.spare, p)
		return
	}
	ps.closeLocked(p)
}

func (ps *store) closeLocked(p *Pipe) {
	unix.Close(int(p.R))
	unix.Close(int(p.W))
	ps.open--
	p.lender.GiveBack(pipeCost)
}

// Count returns how many pipes are open in the process, and how many of them are lent.
func Count() (open, lent int) {
	process.mu.Lock()
	defer process.mu.Unlock()
	return process.open, process.open - len(process.spare)
}

// Hold counts n more bytes that were taken from one side and not yet by the other one,
// or fewer.
func (ps *store) Hold(n int) { ps.held.Add(int64(n)) }

// Held is how many bytes are held for sides that have yet to take them.
func Held() int64 { return process.held.Load() }

// Limit returns how many bytes of bulk to splice at a go. Where much is held already,
// that is no more than the destination is likely to take, which room tells.
func (ps *store) Limit(room func() int) int {
	if ps.held.Load() > manyHeld {
		return min(pipeSize, max(room(), SmallSplice))
	}
	return pipeSize
}

// TakeOut reads the n bytes that are in the pipe.
func (p *Pipe) TakeOut(n int) ([]byte, error) {
	b := make([]byte, n)
	for got := 0; got < n; {
		m, errno := ReadPipe(p.R, b[got:])
		switch {
		case errno == syscall.EINTR:
		case errno != 0:
			return nil, errno
		case m == 0:
			return nil, io.ErrUnexpectedEOF
		default:
			got += m
		}
	}
	return b, nil
}

// Tee copies the n bytes in p, without taking them out, to another pipe with room for
// them.
func (p *Pipe) Tee(to *Pipe, n int) error {
	m, err := unix.Tee(int(p.R), int(to.W), n, unix.SPLICE_F_NONBLOCK)
	if err == nil && int(m) == n {
		return nil
	}
	return cmp.Or(err, io.ErrShortWrite)
}
