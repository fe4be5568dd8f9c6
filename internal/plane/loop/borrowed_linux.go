package loop

import "golang.org/x/sys/unix"

const (
	pipeSize = 1 << 20 // what an unprivileged program may ask for
	// maxPipes bounds a loop's pipes, and with them the bytes in flight; when
	// all are taken, bulk is copied. keptPipes are kept open for the next bulk.
	maxPipes  = 128
	keptPipes = 16
)

type pipe struct{ r, w int32 }

// pipes are a loop's pipes, lent by number.
type pipes struct {
	all    []pipe  // r is -1 where a number is not in use
	spare  []int32 // open and empty
	unused []int32 // numbers
	open   int
}

func (ps *pipes) at(n int32) pipe { return ps.all[n] }

// get returns the number of an empty pipe, or -1.
func (ps *pipes) get() int32 {
	if n := len(ps.spare); n > 0 {
		p := ps.spare[n-1]
		ps.spare = ps.spare[:n-1]
		return p
	}
	if ps.open == maxPipes {
		return -1
	}
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC) != nil {
		return -1
	}
	// Without it a pipe holds 64 KiB and bulk costs more system calls; the
	// kernel may refuse to an unprivileged user who has many.
	_, _ = unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize)
	ps.open++
	p := pipe{r: int32(fds[0]), w: int32(fds[1])}
	if n := len(ps.unused); n > 0 {
		i := ps.unused[n-1]
		ps.unused = ps.unused[:n-1]
		ps.all[i] = p
		return i
	}
	ps.all = append(ps.all, p)
	return int32(len(ps.all) - 1)
}

// put takes a pipe back. A dirty one still has bytes in it and is closed.
func (ps *pipes) put(n int32, dirty bool) {
	if !dirty && len(ps.spare) < keptPipes {
		ps.spare = append(ps.spare, n)
		return
	}
	ps.closeOne(n)
	ps.unused = append(ps.unused, n)
}

func (ps *pipes) closeOne(n int32) {
	closeFD(ps.all[n].r)
	closeFD(ps.all[n].w)
	ps.all[n] = pipe{-1, -1}
	ps.open--
}

// close closes the spare pipes; none may be lent.
func (ps *pipes) close() {
	for _, n := range ps.spare {
		ps.closeOne(n)
	}
	ps.spare = nil
}

// Tails come in these sizes. Of each, keptTails are kept for the next one.
var tailSizes = [...]int{4 << 10, 16 << 10, bufferSize}

const keptTails = 64

// tails are bytes that a side did not take, lent by number.
type tails struct {
	all    []tail
	unused []int32
	spare  [len(tailSizes)][][]byte
}

type tail struct {
	buf       []byte
	size      int // index of its size
	from, end int // what is left
}

// keep copies bytes and returns the number of their tail.
func (ts *tails) keep(b []byte) int32 {
	size := 0
	for tailSizes[size] < len(b) {
		size++
	}
	var buf []byte
	if n := len(ts.spare[size]); n > 0 {
		buf = ts.spare[size][n-1]
		ts.spare[size] = ts.spare[size][:n-1]
	} else {
		buf = make([]byte, tailSizes[size])
	}
	t := tail{buf: buf, size: size, end: copy(buf, b)}
	if n := len(ts.unused); n > 0 {
		i := ts.unused[n-1]
		ts.unused = ts.unused[:n-1]
		ts.all[i] = t
		return i
	}
	ts.all = append(ts.all, t)
	return int32(len(ts.all) - 1)
}

// bytes is what is left.
func (ts *tails) bytes(n int32) []byte {
	t := &ts.all[n]
	return t.buf[t.from:t.end]
}

// written takes bytes off; it reports true when nothing is left, and the tail
// is gone.
func (ts *tails) written(n int32, bytes int) bool {
	t := &ts.all[n]
	t.from += bytes
	if t.from < t.end {
		return false
	}
	ts.drop(n)
	return true
}

// drop forgets a tail.
func (ts *tails) drop(n int32) {
	t := &ts.all[n]
	if s := t.size; len(ts.spare[s]) < keptTails {
		ts.spare[s] = append(ts.spare[s], t.buf)
	}
	*t = tail{}
	ts.unused = append(ts.unused, n)
}
