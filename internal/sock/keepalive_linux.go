package sock

import (
	"time"

	"golang.org/x/sys/unix"
)

// setKeepAlive sets what keepAlive says.
func setKeepAlive(fd int) error {
	for _, o := range []struct{ level, opt, value int }{
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(keepAlive.Idle / time.Second)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, int(keepAlive.Interval / time.Second)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAlive.Count},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.opt, o.value); err != nil {
			return err
		}
	}
	return nil
}

// setBindLate has the kernel choose the port when it knows the other side:
// one port then serves for connections to many servers (ip(7),
// IP_BIND_ADDRESS_NO_PORT).
func setBindLate(fd int) error {
	return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
}
