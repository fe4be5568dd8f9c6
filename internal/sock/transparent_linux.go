package sock

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// CheckTransparent reports why this process may not connect from addresses of
// other machines. It tries on a socket of its own, and does not block.
func CheckTransparent() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("make a socket: %w", err)
	}
	defer unix.Close(fd)
	err = setTransparent(fd, false)
	if errors.Is(err, unix.EPERM) {
		return errors.New("needs root, or the capability CAP_NET_RAW")
	}
	return err
}

// setTransparent lets a socket be bound to an address of another machine
// (ip(7), IP_TRANSPARENT). The kernel asks for CAP_NET_RAW or CAP_NET_ADMIN.
func setTransparent(fd int, ipv6 bool) error {
	if ipv6 {
		return unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_TRANSPARENT, 1)
	}
	return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_TRANSPARENT, 1)
}
