package stream

import (
	"cmp"
	"io"
	"sync"
	"syscall"
)

const (
	bufferSize = 32 << 10
	inputSize  = 64 << 10 // some records of TLS
)

var (
	buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}
	inputs  = sync.Pool{New: func() any { return new([inputSize]byte) }}
)

// An input reads one side of a link into a buffer that is borrowed only while
// there is something in it.
type input struct {
	from side
	raw  syscall.RawConn // nil where there is TLS
	buf  *[inputSize]byte
	most int // how many bytes to read at a go
	n    int
	err  error
	fill func(fd uintptr) bool // made once: a method value allocates
}

// input returns the input of a half. Its owner gives back what it has borrowed.
func (h *half) input() (*input, error) {
	in := &input{from: h.src, most: inputSize}
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
	if in.raw == nil {
		in.giveBack()
		in.from.tls.Wait()
		in.borrow()
		n, err := in.from.Read(in.buf[:in.most])
		return in.buf[:n], err
	}
	if err := cmp.Or(in.raw.Read(in.fill), in.err); err != nil {
		return nil, err
	}
	if in.n == 0 {
		return nil, io.EOF
	}
	return in.buf[:in.n], nil
}

// tryRead reads once. It reports false where there is nothing yet.
func (in *input) tryRead(fd uintptr) bool {
	for {
		in.borrow()
		in.n, in.err = syscall.Read(int(fd), in.buf[:in.most])
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

func (in *input) borrow() {
	if in.buf == nil {
		in.buf = inputs.Get().(*[inputSize]byte)
	}
}

func (in *input) giveBack() {
	if in.buf != nil {
		inputs.Put(in.buf)
		in.buf = nil
	}
}
