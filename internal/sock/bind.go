package sock

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// OnLoopback gives an address that is a port alone to this machine: for what
// others have to be let in to on purpose.
func OnLoopback(addr string) string {
	if strings.ContainsAny(addr, "/:") {
		return addr
	}
	return "127.0.0.1:" + addr
}

// bind makes a socket that listens for connections. prepare is called with a Unix
// socket before it has a name.
func bind(addr string, prepare func(fd int) error) (goSocket, net.Addr, error) {
	network, address, err := Split(addr)
	if err != nil {
		return nil, nil, err
	}
	if network == "unix" {
		if err := removeStale(network, address); err != nil {
			return nil, nil, err
		}
	}
	// Accepted connections inherit the options, and need no system calls of their own.
	lc := net.ListenConfig{KeepAlive: -1, Control: func(network, _ string, c syscall.RawConn) error {
		if strings.HasPrefix(network, "unix") {
			return control(c, prepare)
		}
		return control(c, func(fd int) error {
			return cmp.Or(setKeepAlive(fd), unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
		})
	}}
	ln, err := lc.Listen(context.Background(), network, address)
	if err != nil {
		return nil, nil, fmt.Errorf("can't bind local address %s: %w", addr, cause(err))
	}
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	return ln.(goSocket), ln.Addr(), nil
}

// An inUseError says that somebody listens on a Unix socket. It is EADDRINUSE.
type inUseError struct{ path string }

func (e *inUseError) Error() string {
	return fmt.Sprintf("can't bind local address %s: another program listens there", e.path)
}
func (e *inUseError) Unwrap() error { return syscall.EADDRINUSE }

// removeStale removes the file of a Unix socket that nobody listens on any more.
func removeStale(network, path string) error {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listen %s: %w", path, err)
	}
	if st.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("listen %s: the file exists and is not a socket", path)
	}
	c, err := net.DialTimeout(network, path, time.Second)
	switch {
	case err == nil:
		c.Close()
	case errors.Is(err, fs.ErrNotExist): // it was closed since
		return nil
	case errors.Is(err, syscall.ECONNREFUSED):
		if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	case !errors.Is(err, syscall.EAGAIN): // its queue is full
		return fmt.Errorf("can't bind local address %s: %w", path, cause(err))
	}
	return &inUseError{path}
}
