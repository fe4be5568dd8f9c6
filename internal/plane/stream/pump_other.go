//go:build !linux

package stream

import (
	"errors"
	"io"
	"os"
	"sync"
)

var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// pipes are not used here: all bytes are copied.
type pipes struct{}

func (*pipes) close() {}

// pump copies bytes until the source ends or one of the sides fails.
func (h *half) pump(*pipes) (readErr, writeErr error) {
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	piece := buf[:]
	if h.spend != nil {
		piece = buf[:min(len(buf), h.piece)]
	}
	for {
		n, err := h.src.Read(piece)
		h.read.Add(uint64(n))
		if n > 0 && h.log != nil {
			h.log(buf[:n])
		}
		if n > 0 {
			m, werr := h.dst.Write(buf[:n])
			h.written.Add(uint64(m))
			if werr != nil {
				return nil, werr
			}
			if h.spend != nil {
				if pause := h.spend(n); pause > 0 {
					h.link.pause(pause)
				}
			}
		}
		if err == io.EOF {
			return nil, nil
		}
		if err != nil {
			return err, nil
		}
	}
}

// watch, wasReset and drain need system calls that are Linux's here; without
// them a reset after the end of a stream is noticed by keep-alive probes.
func watch(conn) error { return nil }

// await waits until c is closed, or a read deadline ends it; then it returns
// nil.
func await(c conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	err = raw.Read(func(uintptr) bool { return false })
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

func wasReset(conn) bool { return false }

func drain(conn) {}
