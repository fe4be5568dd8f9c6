package stream

import (
	"cmp"
	"errors"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"pen/internal/sock"
)

// watch waits, after the end of what c sends, until c fails; that is the error.
// It returns nil when a read deadline ends it. Reading would not do: it reports
// the end of the stream also after a reset.
func watch(c conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	werr := raw.Read(func(fd uintptr) bool {
		err = sock.Failure(int(fd))
		return err != nil
	})
	if errors.Is(werr, os.ErrDeadlineExceeded) {
		return nil
	}
	return cmp.Or(err, werr)
}

// await waits until c fails, or a read deadline ends it; then it returns nil.
func await(c conn) error { return watch(c) }

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
