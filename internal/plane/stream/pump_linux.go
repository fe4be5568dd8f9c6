package stream

import (
	"cmp"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pen/internal/edge"
	"pen/internal/sock"
)

const (
	pipeSize = 1 << 20 // what an unprivileged program may ask for
	// A half that reads less than smallSplice goes back from splicing to copying:
	// two system calls either way, but no pipe to fetch.
	smallSplice = 16 << 10
	// A pipe that is not emptied by so many bytes in stuckTime is wanted back.
	stuckTime = time.Second
	slowBytes = 32 << 10
)

// What of a pump has the bytes that are to be written.
const (
	inBuffer = iota // they were read into the buffer
	inKernel        // they are in the buffer, and still to be read from the source
	inPipe
	inRest // they were in a buffer or a pipe that is given back
)

// A pump moves the bytes of one half. Small messages are copied through a
// buffer. What fills it is perhaps bulk: then only what the destination has taken
// is taken off the source, so that one that takes nothing costs no memory here.
// Bulk that is taken goes through a pipe. Buffers and pipes are borrowed only
// while bytes are in flight. It waits in Go's poller.
type pump struct {
	half     *half
	pipes    *pipes
	src, dst syscall.RawConn
	full     int  // reads in a row that filled the buffer
	copies   bool // always, since somebody looks at the bytes or pieces are small
	piece    int  // how many bytes to read at a go, if that is limited
	buf      *[bufferSize]byte
	pipe     *pipe

	// One turn, and what is left of it to write: the last n bytes of
	// buf[:end], or of rest, or the content of the pipe.
	where  int
	n, end int
	rest   []byte
	moved  int // bytes that were written
	mark   int // inPipe: bytes left when the write deadline was set; 0: there is none
	err    error
}

// newPump returns a pump of a half without TLS.
func (h *half) newPump(pipes *pipes) (p *pump, readErr, writeErr error) {
	p = &pump{half: h, pipes: pipes, copies: h.log != nil, piece: pipeSize}
	if h.spend != nil {
		p.piece = h.piece
		p.copies = p.copies || p.piece < smallSplice
	}
	if p.src, readErr = h.src.SyscallConn(); readErr != nil {
		return nil, readErr, nil
	}
	if p.dst, writeErr = h.dst.SyscallConn(); writeErr != nil {
		return nil, nil, writeErr
	}
	return p, nil, nil
}

// pump moves bytes between two sockets, as move does.
func (h *half) pump(pipes *pipes, limit int64) (moved int64, readErr, writeErr error) {
	p, readErr, writeErr := h.newPump(pipes)
	if readErr != nil || writeErr != nil {
		return 0, readErr, writeErr
	}
	if limit >= smallSplice && limit < unlimited {
		p.full = bulkReads // what is known to be long
	}
	defer p.close()
	fill, flush := p.fill, p.flush // made once: a method value allocates
	for moved < limit {
		p.piece = int(min(int64(p.piece), limit-moved))
		readErr, writeErr = p.turn(fill, flush)
		if readErr != nil || writeErr != nil {
			return moved, ignoreEOF(readErr), writeErr
		}
		moved += int64(p.moved)
		p.pay()
	}
	return moved, nil, nil
}

// turn has fill read once, and flush write that. The end of the stream is
// [io.EOF].
func (p *pump) turn(fill, flush func(fd uintptr) bool) (readErr, writeErr error) {
	p.moved = 0
	h := p.half
	err := p.src.Read(fill)
	if err = cmp.Or(err, p.err); err != nil {
		return err, nil
	}
	if p.n == 0 {
		return io.EOF, nil
	}
	if p.where != inKernel {
		h.read.Add(uint64(p.n))
	}
	if p.where == inBuffer && h.log != nil {
		h.log(p.buf[:p.n])
	}
	err = p.write(flush)
	return nil, cmp.Or(err, p.err)
}

// pay pauses for as long as the bandwidth asks for what was moved.
func (p *pump) pay() {
	if h := p.half; h.spend != nil {
		if pause := h.spend(p.moved); pause > 0 {
			p.giveBack()
			h.link.pause(pause)
		}
	}
}

// fill reads once. It reports false where there is nothing yet, to be called
// again when there is; before that wait it gives back what it borrowed.
func (p *pump) fill(fd uintptr) bool {
	for {
		switch {
		case p.full >= bulkReads && !p.copies && p.borrowPipe():
			p.where = inPipe
			p.n, p.err = splice(int(fd), p.pipe.w, min(p.piece, p.most()))
			if p.n < smallSplice {
				p.full = 0
			}
			p.pipes.hold(max(p.n, 0))
		case p.full > 0 && !p.copies:
			p.where = inKernel
			buf := p.borrowBuffer()
			buf = buf[:min(p.piece, len(buf))]
			p.n, _, p.err = unix.Recvfrom(int(fd), buf, unix.MSG_PEEK|unix.MSG_DONTWAIT)
			switch {
			case p.n == len(buf):
				p.full = min(p.full+1, bulkReads)
			case p.n >= firstRead:
				p.full = 1
			default:
				p.full = 0
			}
			p.end = p.n
		default:
			p.where = inBuffer
			buf := p.borrowBuffer()
			buf = buf[:min(p.piece, firstRead)]
			p.n, p.err = unix.Read(int(fd), buf)
			if p.n == len(buf) {
				p.full = 1
			}
			p.end = p.n
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

// most is how many bytes are spliced at a go: no more than the destination is
// likely to take where much is held up already.
func (p *pump) most() int {
	if p.pipes.held() <= heldMost {
		return pipeSize
	}
	n := 0
	p.dst.Control(func(fd uintptr) { n = sock.SendRoom(int(fd)) })
	return min(pipeSize, max(n, smallSplice))
}

// write has flush write all of a turn, or as much as the destination takes of what
// is still in the kernel.
func (p *pump) write(flush func(uintptr) bool) error {
	for {
		err := p.dst.Write(flush)
		if p.mark == 0 {
			return err
		}
		// The deadline was for the pipe only; those of others are set after they
		// have said that all is over.
		late := errors.Is(err, os.ErrDeadlineExceeded)
		slow := late && p.mark-p.n < slowBytes
		p.mark = 0
		edge.WriteWithin(p.half.dst, 0)
		if p.half.link.ended.Load() || !late {
			return err
		}
		if slow {
			p.empty()
		}
	}
}

// flush writes what fill has read. It reports false where the destination is
// full, to be called again when it is not.
func (p *pump) flush(fd uintptr) bool {
	for p.n > 0 {
		var n int
		switch p.where {
		case inPipe:
			n, p.err = splice(p.pipe.r, int(fd), p.n)
		case inRest:
			n, p.err = unix.Write(int(fd), p.rest[len(p.rest)-p.n:])
		default:
			n, p.err = unix.Write(int(fd), p.buf[p.end-p.n:p.end])
		}
		switch p.err {
		case nil:
			p.wrote(n)
		case unix.EINTR:
		case unix.EAGAIN:
			p.err = nil
			p.wait()
			return false
		default:
			return true
		}
	}
	p.rest = nil
	return true
}

// wrote notes that so many bytes were written.
func (p *pump) wrote(n int) {
	switch p.where {
	case inPipe, inRest:
		p.pipes.hold(-n)
	case inKernel:
		// TCP does not copy them again (tcp(7), MSG_TRUNC), other sockets do.
		b := p.buf[p.end-p.n : p.end-p.n+n]
		p.src.Control(func(fd uintptr) { unix.Recvfrom(int(fd), b, unix.MSG_TRUNC|unix.MSG_DONTWAIT) })
		p.half.read.Add(uint64(n))
	}
	p.n -= n
	p.moved += n
	p.half.written.Add(uint64(n))
}

// wait is called before a wait for the destination, which may be long: no buffer
// is held for it, but for what is no longer in the kernel. A pipe is held for a
// while.
func (p *pump) wait() {
	switch p.where {
	case inPipe:
		if p.mark == 0 {
			p.mark = p.n
			edge.WriteWithin(p.half.dst, stuckTime)
		}
	case inKernel:
		p.n, p.full = 0, 1
		p.giveBack()
	case inBuffer:
		p.rest, p.where, p.full = slices.Clone(p.buf[p.end-p.n:p.end]), inRest, 0
		p.pipes.hold(p.n)
		p.giveBack()
	}
}

// empty gives a pipe back: what is in it is kept as bytes.
func (p *pump) empty() {
	rest := make([]byte, p.n)
	for got := 0; got < len(rest); {
		n, err := unix.Read(p.pipe.r, rest[got:])
		if n <= 0 && err != unix.EINTR {
			p.err = cmp.Or(err, error(unix.EIO))
			return
		}
		got += max(n, 0)
	}
	p.rest, p.where, p.full = rest, inRest, 0
	p.giveBack()
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
		p.pipes.put(p.pipe, p.where == inPipe && p.n > 0)
		p.pipe = nil
	}
}

// close gives back all that is borrowed, with the bytes in it.
func (p *pump) close() {
	p.giveBack()
	if p.where == inPipe || p.where == inRest {
		p.pipes.hold(-p.n)
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

// silence returns how long ago the other side of a connection has last sent
// something, as far as is known, and whether it has closed it.
func silence(c conn) (silent time.Duration, gone bool) {
	if _, ok := c.(*net.TCPConn); !ok {
		return 0, false
	}
	onDescriptor(c, func(fd int) {
		if info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			silent, gone = time.Duration(info.Last_data_recv)*time.Millisecond, info.State != unix.BPF_TCP_ESTABLISHED
		}
	})
	return silent, gone
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
