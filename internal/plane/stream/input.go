package stream

import (
	"cmp"
	"io"
	"slices"
	"sync"
	"syscall"
	"time"

	"pen/internal/edge"
)

const (
	bufferSize = 32 << 10
	inputSize  = 64 << 10 // some records of TLS
	smallInput = 16 << 10 // one
	halfInput  = 8 << 10  // half of one
	// bulkInput is after how many bytes, none of which had to wait, more than
	// smallInput is read at a go: a side that takes nothing costs no more memory
	// than that.
	bulkInput = 256 << 10
	// slowWrite is what time a write takes that had to wait.
	slowWrite = 20 * time.Millisecond
)

var (
	buffers     = sync.Pool{New: func() any { return new([bufferSize]byte) }}
	inputs      = sync.Pool{New: func() any { return new([inputSize]byte) }}
	smallInputs = sync.Pool{New: func() any { return new([smallInput]byte) }}
)

// An input reads one side of a link into a buffer that is borrowed only while
// there is something in it.
type input struct {
	from   side
	raw    syscall.RawConn // nil where there is TLS
	large  *[inputSize]byte
	small  *[smallInput]byte
	most   int // how many bytes to read at a go
	first  int // and before it is bulk
	passed int // bytes that were read since one had to wait
	n      int
	err    error
	fill   func(fd uintptr) bool // made once: a method value allocates
}

// input returns the input of a half. Its owner gives back what it has borrowed.
func (h *half) input() (*input, error) {
	in := &input{from: h.src, most: inputSize, first: smallInput}
	if h.dst.tls != nil {
		in.first = halfInput // TLS keeps them once more
	}
	if h.spend != nil {
		in.most = min(in.most, h.piece)
	}
	in.fill = in.tryRead
	if h.src.tls != nil {
		return in, nil
	}
	var err error
	in.raw, err = h.src.SyscallConn()
	return in, err
}

// next returns what is there, at least a byte of it, or an error. The bytes are
// good until next or giveBack is called.
func (in *input) next() ([]byte, error) {
	for in.raw == nil {
		in.giveBack()
		if err := in.from.tls.Wait(); err != nil {
			return nil, err
		}
		buf := in.borrow()
		n, err := in.from.tls.TryRead(buf)
		if err == edge.ErrNothing {
			continue // what came was for TLS itself
		}
		in.passed += n
		return buf[:n], err
	}
	if err := cmp.Or(in.raw.Read(in.fill), in.err); err != nil {
		return nil, err
	}
	if in.n == 0 {
		return nil, io.EOF
	}
	in.passed += in.n
	return in.borrow()[:in.n], nil
}

// tryRead reads once. It reports false where there is nothing yet.
func (in *input) tryRead(fd uintptr) bool {
	for {
		in.n, in.err = syscall.Read(int(fd), in.borrow())
		switch in.err {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			in.n, in.err = 0, nil
			in.giveBack()
			return false
		}
		return true
	}
}

// borrow returns the buffer.
func (in *input) borrow() []byte {
	if in.large == nil && in.small == nil {
		if in.passed >= bulkInput {
			in.large = inputs.Get().(*[inputSize]byte)
		} else {
			in.small = smallInputs.Get().(*[smallInput]byte)
		}
	}
	if in.large != nil {
		return in.large[:in.most]
	}
	return in.small[:min(in.most, in.first)]
}

func (in *input) giveBack() {
	if in.large != nil {
		inputs.Put(in.large)
		in.large = nil
	}
	if in.small != nil {
		smallInputs.Put(in.small)
		in.small = nil
	}
}

// writeReleasing writes b to a destination without TLS. If it has to wait it keeps
// what is left in a buffer of that size, and gives back the one of the input.
func (h *half) writeReleasing(in *input, b []byte) (n int, err error) {
	raw, err := h.dst.SyscallConn()
	if err != nil {
		return 0, err
	}
	rerr := raw.Write(func(fd uintptr) bool {
		for n < len(b) {
			m, werr := syscall.Write(int(fd), b[n:])
			switch {
			case werr == syscall.EAGAIN:
				return true
			case werr == syscall.EINTR:
			case werr != nil:
				err = werr
				return true
			default:
				n += m
			}
		}
		return true
	})
	if err = cmp.Or(rerr, err); err != nil || n == len(b) {
		return n, err
	}
	rest := slices.Clone(b[n:])
	in.giveBack()
	m, err := h.dst.conn.Write(rest)
	return n + m, err
}

// putInput writes what next has returned. TLS has copied it before it may have to wait:
// then the buffer is given back already.
func (h *half) putInput(in *input, b []byte) error {
	var begin time.Time
	bulk := in.passed >= bulkInput
	if bulk {
		begin = time.Now()
	}
	var n int
	var err error
	if h.dst.tls != nil {
		n, err = h.dst.tls.WriteReleasing(b, in.giveBack)
	} else {
		n, err = h.writeReleasing(in, b)
	}
	h.written.Add(uint64(n))
	if bulk && time.Since(begin) > slowWrite {
		in.giveBack()
		in.passed = 0
	}
	return err
}
