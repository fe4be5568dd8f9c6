package loop

import "golang.org/x/sys/unix"

const (
	pipeSize = 1 << 20 // what an unprivileged program may ask for
	// maxPipes bounds a loop's pipes, and with them the bytes in flight; when
	// all are taken, bulk is copied. keptPipes are kept open for the next bulk.
	maxPipes  = 128
	keptPipes = 16
	// pipeCost is how many descriptors a pipe has.
	pipeCost = 2
)

// A lender has the descriptors of the process, of which connections come first.
// *dispatch.Dispatcher is one.
type lender interface {
	// BorrowSpare takes n descriptors unless few are left. ample says that there
	// are so many that some may be kept for later.
	BorrowSpare(n int) (ok, ample bool)
	// GiveBack returns n descriptors.
	GiveBack(n int)
}

type pipe struct{ r, w int32 }

// pipes are a loop's pipes, lent by number. Their descriptors are the lender's.
type pipes struct {
	lender lender
	all    []pipe  // r is -1 where a number is not in use
	spare  []int32 // open and empty
	unused []int32 // numbers
	owners []owner // of those that are lent
	open   int
	ample  bool // spare ones may be kept for long
	used   bool // since they were looked at last
}

// An owner is the half that has a pipe.
type owner struct {
	pipe    int32
	token   int32
	written uint64 // bytes, when it was looked at last
	looks   uint8  // since then without much of them
}

func (ps *pipes) at(n int32) pipe { return ps.all[n] }

// lend notes which half has a pipe.
func (ps *pipes) lend(n, token int32) { ps.owners = append(ps.owners, owner{pipe: n, token: token}) }

// get returns the number of an empty pipe, or -1.
func (ps *pipes) get() int32 {
	ps.used = true
	if n := len(ps.spare); n > 0 {
		p := ps.spare[n-1]
		ps.spare = ps.spare[:n-1]
		return p
	}
	if ps.open == maxPipes {
		return -1
	}
	var ok bool
	if ok, ps.ample = ps.lender.BorrowSpare(pipeCost); !ok {
		return -1
	}
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC) != nil {
		ps.lender.GiveBack(pipeCost)
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
	for i := range ps.owners {
		if last := len(ps.owners) - 1; ps.owners[i].pipe == n {
			ps.owners[i] = ps.owners[last]
			ps.owners = ps.owners[:last]
			break
		}
	}
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
	ps.lender.GiveBack(pipeCost)
}

// trim closes the spare pipes, whose descriptors connections need.
func (ps *pipes) trim() {
	for _, n := range ps.spare {
		ps.closeOne(n)
		ps.unused = append(ps.unused, n)
	}
	ps.spare = ps.spare[:0]
}

// Tails come in these sizes, of which some are kept for the next one; longer ones
// are made as they are needed.
var tailSizes = [...]int{1 << 10, 2 << 10, 4 << 10, 8 << 10, 16 << 10}

const keptTails = 32

// tails are bytes that a side did not take, lent by number.
type tails struct {
	places
	chunks [][]tail
	spare  [len(tailSizes)][][]byte
	bytes  int // in all of them
}

type tail struct {
	buf  []byte
	size int // index of its size; len(tailSizes) for one that was made as needed
	from int // what is left begins here
	end  int
}

func (ts *tails) at(n int32) *tail { return &ts.chunks[n/chunkSize][n%chunkSize] }

// room returns the number of a new tail, and its buffer, for so many bytes.
func (ts *tails) room(n int) (int32, []byte) {
	size := 0
	for size < len(tailSizes) && tailSizes[size] < n {
		size++
	}
	var buf []byte
	switch {
	case size == len(tailSizes):
		buf = make([]byte, n)
	case len(ts.spare[size]) > 0:
		last := len(ts.spare[size]) - 1
		buf = ts.spare[size][last]
		ts.spare[size] = ts.spare[size][:last]
	default:
		buf = make([]byte, tailSizes[size])
	}
	id, grown := ts.take()
	if c := int(id / chunkSize); grown {
		if c == len(ts.chunks) {
			ts.chunks = append(ts.chunks, nil)
		}
		ts.chunks[c] = make([]tail, chunkSize)
	}
	*ts.at(id) = tail{buf: buf, size: size, end: n}
	ts.bytes += len(buf)
	return id, buf[:n]
}

// keep copies bytes and returns the number of their tail.
func (ts *tails) keep(b []byte) int32 {
	id, buf := ts.room(len(b))
	copy(buf, b)
	return id
}

// left is what is left of a tail.
func (ts *tails) left(n int32) []byte {
	t := ts.at(n)
	return t.buf[t.from:t.end]
}

// written takes bytes off; it reports true when nothing is left, and the tail
// is gone.
func (ts *tails) written(n int32, bytes int) bool {
	t := ts.at(n)
	t.from += bytes
	if t.from < t.end {
		return false
	}
	ts.drop(n)
	return true
}

// drop forgets a tail.
func (ts *tails) drop(n int32) {
	t := ts.at(n)
	ts.bytes -= len(t.buf)
	if s := t.size; s < len(tailSizes) && len(ts.spare[s]) < keptTails {
		ts.spare[s] = append(ts.spare[s], t.buf)
	}
	*t = tail{}
	if ts.put(n) {
		ts.chunks[n/chunkSize] = nil
	}
}
