package stream

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

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
