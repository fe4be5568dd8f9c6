package stream

import (
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// maxPipes bounds the pipes of a plane, and with them the bytes in flight;
	// when all are taken, bulk is copied through buffers.
	maxPipes = 256
	// keptPipes are kept open for the next bulk.
	keptPipes = 32
)

type pipe struct{ r, w int }

// pipes lends pipes. The zero value is ready.
type pipes struct {
	mu    sync.Mutex // guards all below
	spare []*pipe
	open  int
}

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
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC) != nil {
		return nil
	}
	// Without it a pipe holds 64 KiB and bulk costs more system calls; the
	// kernel may refuse to an unprivileged user who has many.
	_, _ = unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize)
	ps.open++
	return &pipe{r: fds[0], w: fds[1]}
}

// put takes a pipe back. A dirty one still has bytes in it and is closed.
func (ps *pipes) put(p *pipe, dirty bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if !dirty && len(ps.spare) < keptPipes {
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
}
