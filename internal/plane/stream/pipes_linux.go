package stream

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	// maxPipes bounds the pipes of a plane, and with them the bytes in flight;
	// when all are taken, bulk is copied through buffers.
	maxPipes = 256
	// keptPipes are kept open for the next bulk.
	keptPipes = 32
	// pipeCost is how many descriptors a pipe has.
	pipeCost = 2
	// heldMost is from how many bytes on that are held up no more is spliced than
	// the destination is likely to take.
	heldMost = 2 << 20
)

type pipe struct {
	r, w int
	size int // what fits into it, or less
}

// A lender has the descriptors of the process, of which connections come first.
// *dispatch.Dispatcher is one.
type lender interface {
	// BorrowSpare takes n descriptors unless few are left. ample says that there
	// are so many that some may be kept for later.
	BorrowSpare(n int) (ok, ample bool)
	// GiveBack returns n descriptors.
	GiveBack(n int)
}

// pipes lends pipes, whose descriptors are the lender's. It is ready where that is
// set.
type pipes struct {
	lender lender
	bytes  atomic.Int64 // in pipes, and in what was taken out of them

	mu    sync.Mutex // guards all below
	spare []*pipe
	open  int
	ample bool // spare ones may be kept
}

// lendFrom sets the lender.
func (ps *pipes) lendFrom(l lender) { ps.lender = l }

// hold notes that n more bytes are held up, or fewer.
func (ps *pipes) hold(n int) { ps.bytes.Add(int64(n)) }

func (ps *pipes) held() int64 { return ps.bytes.Load() }

// get returns an empty pipe, or nil where there is none to be had.
func (ps *pipes) get() *pipe {
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
	var ok bool
	if ok, ps.ample = ps.lender.BorrowSpare(pipeCost); !ok {
		return nil
	}
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC) != nil {
		ps.lender.GiveBack(pipeCost)
		return nil
	}
	// Without it a pipe holds 64 KiB and bulk costs more system calls; the
	// kernel may refuse to an unprivileged user who has many.
	_, _ = unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize)
	size, _ := unix.FcntlInt(uintptr(fds[0]), unix.F_GETPIPE_SZ, 0)
	ps.open++
	return &pipe{r: fds[0], w: fds[1], size: size}
}

// put takes a pipe back. A dirty one still has bytes in it and is closed.
func (ps *pipes) put(p *pipe, dirty bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if !dirty && ps.ample && len(ps.spare) < keptPipes {
		ps.spare = append(ps.spare, p)
		return
	}
	ps.closeLocked(p)
}

// close closes the spare pipes; none may be lent.
func (ps *pipes) close() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.spare {
		ps.closeLocked(p)
	}
	ps.spare = nil
}

func (ps *pipes) closeLocked(p *pipe) {
	unix.Close(p.r)
	unix.Close(p.w)
	ps.open--
	ps.lender.GiveBack(pipeCost)
}
