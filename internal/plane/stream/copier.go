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
	*half
	pipes          *splice.Pipes
	rawSrc, rawDst syscall.RawConn // nil where there is TLS
	large          *[largeSize]byte
	small          *[smallSize]byte
	first          int    // bytes to read at a go, before it is bulk
	passed         int    // bytes that were read since one had to wait
	full           int    // reads in a row that filled the buffer; 0: it is not bulk
	pumps          bool   // bulk may be left to a pump
	pump           *pump  // once there was bulk
	limit          int    // of the read under way
	n              int    // bytes that it gave
	err            error  // of the read or write under way
	out            []byte // what the write has left
	kept           int    // bytes of the write that were copied out of the buffer

	pull, push func(fd uintptr) bool // made once: a method value allocates
}

// newCopier returns what moves a half's bytes.
func (h *half) newCopier() (c *copier, readErr, writeErr error) {
	c = &copier{half: h, pipes: h.link.plane.pipes, first: smallSize, pumps: h.pumps()}
	c.pull, c.push = c.tryRead, c.tryWrite
	if h.dst.tls != nil {
		c.first = halfRecord
	} else if c.rawDst, writeErr = h.dst.SyscallConn(); writeErr != nil {
		return nil, nil, writeErr
	}
	if h.src.tls == nil {
		c.rawSrc, readErr = h.src.SyscallConn()
	}
	return c, readErr, nil
}

// move moves bytes until limit bytes are moved, the source ends or one of the sides
// fails. It returns how many are moved.
func (c *copier) move(limit int64) (moved int64, readErr, writeErr error) {
	if limit >= splice.SmallSplice && limit < unlimited {
		c.full = bulkReads // what is known to be long
	}
	for moved < limit && readErr == nil && writeErr == nil {
		var n int64
		if c.full > 0 && c.pumps {
			n, readErr, writeErr = c.bulk(limit - moved)
		} else {
			n, readErr, writeErr = c.turn(limit - moved)
		}
		moved += n
	}
	return moved, ignoreEOF(readErr), writeErr
}

// turn reads once, and writes that.
func (c *copier) turn(limit int64) (moved int64, readErr, writeErr error) {
	b, err := c.next(limit)
	if err != nil {
		return 0, err, nil
	}
	n := len(b)
	c.took(b)
	if c.full = 0; n >= smallSize {
		c.full = 1
	}
	if err := c.write(b); err != nil {
		return 0, nil, err
	}
	c.pay(n)
	return int64(n), nil, nil
}

// next returns what is there, at least a byte of it and limit bytes at most, or an
// error. The bytes are valid until next, write or giveBack is called.
func (c *copier) next(limit int64) ([]byte, error) {
	c.limit = int(min(limit, largeSize))
	for c.rawSrc == nil {
		c.giveBack()
		if err := c.src.tls.Wait(); err != nil {
			return nil, err
		}
		buf := c.borrow()
		n, err := c.src.tls.TryRead(buf)
		if err == edge.ErrNothing {
			continue // what came was for TLS itself
		}
		c.passed += n
		return buf[:n], err
	}
	c.err = nil
	if err := cmp.Or(c.rawSrc.Read(c.pull), c.err); err != nil {
		return nil, err
	}
	if c.n == 0 {
		return nil, io.EOF
	}
	c.passed += c.n
	return c.borrow()[:c.n], nil
}

// tryRead reads once. It reports false where there is nothing yet.
func (c *copier) tryRead(fd uintptr) bool {
	for {
		n, err := syscall.Read(int(fd), c.borrow())
		switch err {
		case nil:
			c.n = n
			return true
		case syscall.EINTR:
		case syscall.EAGAIN:
			c.giveBack()
			return false
		default:
			c.err = err
			return true
		}
	}
}

// write writes what next has returned. If it has to wait, it gives back the buffer
// before.
func (c *copier) write(b []byte) (err error) {
	var begin time.Time
	bulk := c.passed >= bulkBytes
	if bulk {
		begin = time.Now()
	}
	if c.dst.tls != nil {
		var n int
		n, err = c.dst.tls.WriteReleasing(b, c.giveBack)
		c.written.Add(uint64(n))
	} else {
		err = c.writeAll(b, 0)
	}
	if bulk && time.Since(begin) > slowWrite {
		c.giveBack()
		c.passed = 0
	}
	return err
}

// writeAll writes b to a destination without TLS. kept bytes of it are held already.
func (c *copier) writeAll(b []byte, kept int) error {
	c.out, c.kept, c.err = b, kept, nil
	err := cmp.Or(c.rawDst.Write(c.push), c.err)
	c.pipes.Hold(-c.kept)
	c.out, c.kept = nil, 0
	return err
}

// tryWrite writes what is left. It reports false where the destination is full.
func (c *copier) tryWrite(fd uintptr) bool {
	for len(c.out) > 0 {
		n, err := syscall.Write(int(fd), c.out)
		switch err {
		case nil:
			c.written.Add(uint64(n))
			c.out = c.out[n:]
		case syscall.EINTR:
		case syscall.EAGAIN:
			if c.kept == 0 {
				c.out, c.kept = slices.Clone(c.out), len(c.out)
				c.pipes.Hold(c.kept)
				c.giveBack()
			}
			return false
		default:
			c.err = err
			return true
		}
	}
	return true
}

// pay pauses for as long as the bandwidth asks for n bytes.
func (c *copier) pay(n int) {
	if c.meter == nil {
		return
	}
	if pause := c.meter.Charge(n); pause > 0 {
		c.giveBack()
		c.link.pause(pause)
	}
}

// borrow returns the part of the buffer to fill.
func (c *copier) borrow() []byte {
	limit := c.limit
	if c.meter != nil {
		limit = min(limit, c.maxRead)
	}
	if c.large == nil && c.small == nil {
		if c.passed >= bulkBytes {
			c.large = largeBuffers.Get().(*[largeSize]byte)
		} else {
			c.small = smallBuffers.Get().(*[smallSize]byte)
		}
	}
	if c.large != nil {
		return c.large[:limit]
	}
	return c.small[:min(limit, c.first)]
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
	h.tap.Show(h == &h.link.up, b)
}
