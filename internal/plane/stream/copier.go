package stream

import (
	"cmp"
	"io"
	"math"
	"slices"
	"sync"
	"syscall"
	"time"

	"pen/internal/edge"
	"pen/internal/plane/splice"
)

const (
	// unlimited is a limit of moves that is none.
	unlimited = math.MaxInt64

	smallSize = 16 << 10 // one record of TLS
	largeSize = 64 << 10 // several
	// halfRecord is what is read at a go for a destination with TLS, which makes a
	// copy of it, until it is bulk.
	halfRecord = 8 << 10
	// bulkBytes is after how many bytes, none of which had to wait, more than
	// smallSize is read at a go: a side that takes nothing costs no more memory
	// than that.
	bulkBytes = 256 << 10
	// slowWrite is the duration from which a write is known to have waited.
	slowWrite = 20 * time.Millisecond
	// bulkReads is after how many reads in a row that filled the buffer, and were
	// taken whole, bulk is spliced.
	bulkReads = 7
)

var (
	smallBuffers = sync.Pool{New: func() any { return new([smallSize]byte) }}
	largeBuffers = sync.Pool{New: func() any { return new([largeSize]byte) }}
)

// A copier moves the bytes of one half through a buffer that is borrowed only while
// there is something in it. Bulk it leaves to a pump. It waits in Go's poller.
type copier struct {
	half     *half
	src, dst syscall.RawConn // nil where there is TLS
	large    *[largeSize]byte
	small    *[smallSize]byte
	most     int // bytes to read at a go
	first    int // likewise, before it is bulk
	passed   int // bytes that were read since one had to wait
	full     int // reads in a row that filled the buffer
	splices  bool
	pump     *pump // once there was bulk

	n    int // bytes that the last read gave
	err  error
	out  []byte // what is left to be written
	kept int    // bytes that were copied out of the buffer, which others use meanwhile
	werr error

	fill, flush func(fd uintptr) bool // made once: a method value allocates
}

// copier returns what moves a half's bytes.
func (h *half) copier() (c *copier, readErr, writeErr error) {
	c = &copier{half: h, most: largeSize, first: smallSize, splices: h.splices()}
	if h.dst.tls != nil {
		c.first = halfRecord
	} else if c.dst, writeErr = h.dst.SyscallConn(); writeErr != nil {
		return nil, nil, writeErr
	}
	if h.spend != nil {
		c.most = min(c.most, h.piece)
	}
	c.fill, c.flush = c.tryRead, c.tryWrite
	if h.src.tls == nil {
		c.src, readErr = h.src.SyscallConn()
	}
	return c, readErr, nil
}

// move moves bytes until limit bytes are moved, the source ends or one of the sides
// fails. It returns how many are moved.
func (c *copier) move(limit int64) (moved int64, readErr, writeErr error) {
	if limit >= splice.SmallSplice && limit < unlimited {
		c.full = bulkReads // what is known to be long
	}
	for moved < limit {
		if c.full > 0 && c.splices {
			n, readErr, writeErr := c.bulk(limit - moved)
			moved += n
			if readErr != nil || writeErr != nil {
				return moved, ignoreEOF(readErr), writeErr
			}
			continue
		}
		b, err := c.next(limit - moved)
		if err != nil {
			return moved, ignoreEOF(err), nil
		}
		n := len(b)
		c.half.took(b)
		if c.full = 0; n >= smallSize {
			c.full = 1
		}
		if err := c.write(b); err != nil {
			return moved, nil, err
		}
		moved += int64(n)
		c.pay(n)
	}
	return moved, nil, nil
}

// next returns what is there, at least a byte of it and limit bytes at most, or an
// error. The bytes are valid until next, write or giveBack is called.
func (c *copier) next(limit int64) ([]byte, error) {
	for c.src == nil {
		c.giveBack()
		tls := c.half.src.tls
		if err := tls.Wait(); err != nil {
			return nil, err
		}
		buf := c.borrow()
		n, err := tls.TryRead(buf[:min(int64(len(buf)), limit)])
		if err == edge.ErrNothing {
			continue // what came was for TLS itself
		}
		c.passed += n
		return buf[:n], err
	}
	c.n = int(min(limit, largeSize))
	if err := cmp.Or(c.src.Read(c.fill), c.err); err != nil {
		return nil, err
	}
	if c.n == 0 {
		return nil, io.EOF
	}
	c.passed += c.n
	return c.borrow()[:c.n], nil
}

// tryRead reads up to n bytes. It reports false where there is nothing yet.
func (c *copier) tryRead(fd uintptr) bool {
	for limit := c.n; ; {
		buf := c.borrow()
		n, errno := splice.Read(int32(fd), buf[:min(limit, len(buf))])
		switch errno {
		case 0:
			c.n, c.err = n, nil
			return true
		case syscall.EINTR:
		case syscall.EAGAIN:
			c.giveBack()
			return false
		default:
			c.n, c.err = 0, errno
			return true
		}
	}
}

// write writes what next has returned. If it has to wait, it gives back the buffer
// before.
func (c *copier) write(b []byte) error {
	var begin time.Time
	bulk := c.passed >= bulkBytes
	if bulk {
		begin = time.Now()
	}
	var err error
	if tls := c.half.dst.tls; tls != nil {
		var n int
		n, err = tls.WriteReleasing(b, c.giveBack)
		c.half.written.Add(uint64(n))
	} else {
		c.out, c.werr = b, nil
		err = cmp.Or(c.dst.Write(c.flush), c.werr)
		c.half.link.plane.pipes.Hold(-c.kept)
		c.out, c.kept = nil, 0
	}
	if bulk && time.Since(begin) > slowWrite {
		c.giveBack()
		c.passed = 0
	}
	return err
}

// tryWrite writes what is left. It reports false where the destination is full.
func (c *copier) tryWrite(fd uintptr) bool {
	for len(c.out) > 0 {
		n, errno := splice.Write(int32(fd), c.out)
		switch errno {
		case 0:
			c.half.written.Add(uint64(n))
			c.out = c.out[n:]
		case syscall.EINTR:
		case syscall.EAGAIN:
			if c.kept == 0 {
				c.out, c.kept = slices.Clone(c.out), len(c.out)
				c.half.link.plane.pipes.Hold(c.kept)
				c.giveBack()
			}
			return false
		default:
			c.werr = errno
			return true
		}
	}
	return true
}

// pay pauses for as long as the bandwidth asks for n bytes.
func (c *copier) pay(n int) {
	if pause := c.half.cost(n); pause > 0 {
		c.giveBack()
		c.half.link.pause(pause)
	}
}

// borrow returns the buffer.
func (c *copier) borrow() []byte {
	if c.large == nil && c.small == nil {
		if c.passed >= bulkBytes {
			c.large = largeBuffers.Get().(*[largeSize]byte)
		} else {
			c.small = smallBuffers.Get().(*[smallSize]byte)
		}
	}
	if c.large != nil {
		return c.large[:c.most]
	}
	return c.small[:min(c.most, c.first)]
}

func (c *copier) giveBack() {
	if c.large != nil {
		largeBuffers.Put(c.large)
		c.large = nil
	}
	if c.small != nil {
		smallBuffers.Put(c.small)
		c.small = nil
	}
}

// took counts what was read, and shows it.
func (h *half) took(b []byte) {
	h.read.Add(uint64(len(b)))
	if h.log != nil {
		h.log(b)
	}
}

// put writes bytes to the destination.
func (h *half) put(b []byte) error {
	n, err := h.dst.Write(b)
	h.written.Add(uint64(n))
	return err
}

// cost returns how long to pause after n bytes, where bandwidth is limited.
func (h *half) cost(n int) time.Duration {
	if h.spend == nil {
		return 0
	}
	return h.spend(n)
}
