//go:build !linux

package sock

import "syscall"

func setKeepAlive(fd int) error {
	return syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1)
}

func setBindLate(int) error { return nil }
