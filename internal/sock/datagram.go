package sock

import (
	"fmt"
	"net"
	"strings"
	"syscall"
)

// receiveBuffer is how many bytes of datagrams may wait to be read, if the
// kernel allows as many.
const receiveBuffer = 4 << 20

// bindDatagram makes a socket that gets datagrams: a *net.UDPConn, or a *net.UnixConn
// where the address is a path.
func bindDatagram(addr string) (goSocket, net.Addr, error) {
	network, address, err := Split(addr)
	if err != nil {
		return nil, nil, err
	}
	if network == "unix" {
		if err := removeStale("unixgram", address); err != nil {
			return nil, nil, err
		}
		c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
		if err != nil {
			return nil, nil, fmt.Errorf("can't bind local address %s: %w", addr, cause(err))
		}
		return c, c.LocalAddr(), nil
	}
	local, err := net.ResolveUDPAddr(strings.Replace(network, "tcp", "udp", 1), address)
	if err != nil {
		return nil, nil, fmt.Errorf("listen %s: %w", addr, err)
	}
	c, err := net.ListenUDP(strings.Replace(network, "tcp", "udp", 1), local)
	if err != nil {
		return nil, nil, fmt.Errorf("can't bind local address %s: %w", addr, cause(err))
	}
	raw, err := c.SyscallConn()
	if err == nil {
		err = control(raw, func(fd int) error { return prepareDatagram(fd, local.IP) })
	}
	if err != nil {
		c.Close()
		return nil, nil, fmt.Errorf("listen %s: %w", addr, err)
	}
	return c, c.LocalAddr(), nil
}

// Raw returns a socket for system calls of one's own, or fails for what is
// none.
func Raw(c net.Conn) (syscall.RawConn, error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("%T is no socket", c)
	}
	return sc.SyscallConn()
}
