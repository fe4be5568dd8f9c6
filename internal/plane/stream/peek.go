package stream

import (
	"cmp"
	"errors"
	"io"
	"syscall"

	"pen/internal/wire"
)

var errTooLong = errors.New("too long")

// peek calls parse with all that the client has sent, each time when there is more, until
// it returns something other than [wire.ErrShort]. The bytes stay in the kernel, so that
// they may be spliced. The caller has set a deadline.
func (l *link) peek(most int, parse func([]byte) error) error {
	raw, err := l.client.SyscallConn()
	if err != nil {
		return err
	}
	outcome := wire.ErrShort
	err = raw.Read(func(fd uintptr) bool {
		buf := smallBuffers.Get().(*[smallSize]byte) // not while there is nothing new
		defer smallBuffers.Put(buf)
		over := sendsNoMore(int(fd)) // asked before: what it sends meanwhile counts
		n, _, err := syscall.Recvfrom(int(fd), buf[:most], syscall.MSG_PEEK)
		switch {
		case err == syscall.EAGAIN || err == syscall.EINTR:
			return false
		case err != nil:
			outcome = err
		case n == 0:
			outcome = io.ErrUnexpectedEOF
		default:
			if outcome = parse(buf[:n]); outcome == wire.ErrShort && n == most {
				outcome = errTooLong
			}
			if outcome == wire.ErrShort && over {
				outcome = io.ErrUnexpectedEOF
			}
		}
		return outcome != wire.ErrShort
	})
	return cmp.Or(err, outcome)
}
