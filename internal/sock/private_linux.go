package sock

import (
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// bindPrivate sets the mode before the socket has a name: bind takes it over, so that
// there is no moment at which others can connect.
func bindPrivate(addr string) (goSocket, net.Addr, error) {
	return bind(addr, func(fd int) error { return unix.Fchmod(fd, 0o600) })
}

// Peer returns who is on the other side of a connection: the user and the process
// where it is one of a Unix socket, the address otherwise.
func Peer(c net.Conn) string {
	sc, ok := c.(syscall.Conn)
	if _, unixSocket := c.(*net.UnixConn); !ok || !unixSocket {
		return c.RemoteAddr().String()
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return "unix"
	}
	var cred *unix.Ucred
	if err := control(raw, func(fd int) (err error) {
		cred, err = unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		return err
	}); err != nil {
		return "unix"
	}
	return fmt.Sprintf("unix uid=%d pid=%d", cred.Uid, cred.Pid)
}
