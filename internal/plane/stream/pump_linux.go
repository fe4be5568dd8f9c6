package stream

import (
	"cmp"
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	pipeSize = 1 << 20 // what an unprivileged program may ask for
	// A half that reads less than this goes back from splicing to copying:
	// two system calls either way, but no pipe to fetch.
	smallSplice = 16 << 10
)

// A pump moves the bytes of one half. Small messages are copied through a
// buffer; a read that fills it begins bulk, which goes through a pipe. Both
// are borrowed only while bytes are in flight. It waits in Go's poller.
type pump struct {
	pipes    *pipes
	src, dst syscall.RawConn
	bulk     bool
	copies   bool // always, since somebody looks at the bytes or pieces are small
	piece    int  // how many bytes to read at a go, if that is limited
	buf      *[bufferSize]byte
	pipe     *pipe

	// One read and what is left of it to write: the last n bytes of
	// buf[:end], or the content of the pipe where piped is set.
	n, end int
	piped  bool
	err    error
}

// pump moves bytes between two sockets, as move does.
func (h *half) pump(pipes *pipes, limit int64) (moved int64, readErr, writeErr error) {
	p := &pump{pipes: pipes, copies: h.log != nil, piece: pipeSize}
	if h.spend != nil {
		p.piece = h.piece
		p.copies = p.copies || p.piece < smallSplice
	}
	if p.src, readErr = h.src.SyscallConn(); readErr != nil {
		return 0, readErr, nil
	}
	if p.dst, writeErr = h.dst.SyscallConn(); writeErr != nil {
		return 0, nil, writeErr
	}
	defer p.giveBack()
	fill, flush := p.fill, p.flush // made once: a method value allocates
	for moved < limit {
		p.piece = int(min(int64(p.piece), limit-moved))
		err := p.src.Read(fill)
		if err = cmp.Or(err, p.err); err != nil {
			return moved, err, nil
		}
		if p.n == 0 {
			return moved, nil, nil
		}
		n := uint64(p.n)
		h.read.Add(n)
		if h.log != nil {
			h.log(p.buf[:p.n])
		}
		err = p.dst.Write(flush)
		if err = cmp.Or(err, p.err); err != nil {
			h.written.Add(n - uint64(p.n))
			return moved, nil, err
		}
		h.written.Add(n)
		moved += int64(n)
		if h.spend != nil {
			if pause := h.spend(int(n)); pause > 0 {
				p.giveBack()
				h.link.pause(pause)
			}
		}
	}
	return moved, nil, nil
}

// fill reads once. It reports false where there is nothing yet, to be called
// again when there is; before that wait it gives back what it borrowed.
func (p *pump) fill(fd uintptr) bool {
	for {
		p.piped = p.bulk && p.borrowPipe()
		if p.piped {
			p.n, p.err = splice(int(fd), p.pipe.w, min(p.piece, pipeSize))
			p.bulk = p.n >= smallSplice
		} else {
			buf := p.borrowBuffer()
			buf = buf[:min(p.piece, len(buf))]
			p.n, p.err = unix.Read(int(fd), buf)
			p.end = p.n
			p.bulk = p.n == len(buf) && !p.copies
		}
		switch p.err {
		case nil:
			return true
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			p.n, p.err = 0, nil
			p.giveBack()
			return false
		}
		p.n = 0
		return true
	}
}

// flush writes what fill has read. It reports false where the destination is
// full, to be called again when it is not.
func (p *pump) flush(fd uintptr) bool {
	for p.n > 0 {
		var n int
		if p.piped {
			n, p.err = splice(p.pipe.r, int(fd), p.n)
		} else {
			n, p.err = unix.Write(int(fd), p.buf[p.end-p.n:p.end])
		}
		switch p.err {
		case nil:
			p.n -= n
		case unix.EINTR:
		case unix.EAGAIN:
			p.err = nil
			return false
		default:
			return true
		}
	}
	return true
}

func (p *pump) borrowBuffer() []byte {
	if p.buf == nil {
		p.buf = buffers.Get().(*[bufferSize]byte)
	}
	return p.buf[:]
}

func (p *pump) borrowPipe() bool {
	if p.pipe == nil {
		p.pipe = p.pipes.get()
	}
	return p.pipe != nil
}

func (p *pump) giveBack() {
	if p.buf != nil {
		buffers.Put(p.buf)
		p.buf = nil
	}
	if p.pipe != nil {
		p.pipes.put(p.pipe, p.piped && p.n > 0)
		p.pipe = nil
	}
}

// splice moves up to n bytes between a socket and a pipe without waiting.
func splice(from, to, n int) (int, error) {
	m, err := unix.Splice(from, nil, to, nil, n, unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
	return int(m), err
}

// watch waits, after the end of what c sends, until c fails; that is the error.
// It returns nil when a read deadline ends it. Reading would not do: it reports
// the end of the stream also after a reset.
func watch(c conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	werr := raw.Read(func(fd uintptr) bool {
		var errno int
		errno, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && errno != 0 {
			err = unix.Errno(errno)
		}
		return err != nil
	})
	if errors.Is(werr, os.ErrDeadlineExceeded) {
		return nil
	}
	return cmp.Or(err, werr)
}

// await waits until c fails, or a read deadline ends it; then it returns nil.
func await(c conn) error { return watch(c) }

// wasReset tells a reset from an orderly end of stream on a connection that
// the program has not ended itself: the error of a reset is reported only once,
// and may have gone to a write of the other half.
func wasReset(c conn) bool {
	reset := false
	onDescriptor(c, func(fd int) {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		reset = err == nil && info.State == unix.BPF_TCP_CLOSE
	})
	return reset
}

// sendsNoMore reports whether the other side of a connection has ended what it
// sends, or is gone. Looking at bytes without reading them does not tell.
func sendsNoMore(fd int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}, 0)
	return n > 0 && err == nil
}

// drain waits until the other side has everything that was written to c. It
// gives up where there is no progress or it takes too long, and when c is closed
// or reset: what was on its way then still counts as such.
func (l *link) drain(c conn) {
	const most = 50 * time.Millisecond
	begin, patience := time.Now(), l.plane.drain
	pause, last, since := time.Millisecond, -1, begin
	for {
		left := 0
		onDescriptor(c, func(fd int) { left, _ = unix.IoctlGetInt(fd, unix.SIOCOUTQ) })
		now := time.Now()
		if left == 0 || wasReset(c) || left == last && now.Sub(since) > patience.Still || now.Sub(begin) > patience.InAll {
			return
		}
		if left != last {
			last, since = left, now
		}
		time.Sleep(pause)
		pause = min(2*pause, most)
	}
}
