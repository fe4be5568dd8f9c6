package sock

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Connect begins to connect to a server by TCP or a Unix socket, and returns a
// descriptor that does not block and is the caller's. done says that it is
// connected; otherwise poll(2) tells when, and [Target.Failure] whether. After
// [ErrBusy] it is worth trying again. It does not block.
func Connect(t Target) (fd int, done bool, err error) {
	family, to, err := sockaddr(t)
	if err != nil {
		return -1, false, err
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, false, err
	}
	if err = t.prepare(fd); err == nil && t.Path == "" {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if source, sourced := t.local(); err == nil && sourced {
		_, from, _ := sockaddr(Target{Addr: netip.AddrPortFrom(source, 0)})
		err = unix.Bind(fd, from)
	}
	if err == nil {
		err = unix.Connect(fd, to)
	}
	switch {
	case err == nil:
		return fd, true, nil
	case errors.Is(err, unix.EINPROGRESS), errors.Is(err, unix.EINTR):
		return fd, false, nil
	}
	unix.Close(fd)
	if t.Path != "" && errors.Is(err, unix.EAGAIN) {
		err = ErrBusy
	}
	return -1, false, t.explain(err)
}

// Failure returns, and takes away, the error of a connect that was under way, or
// nil.
func (t Target) Failure(fd int) error { return t.explain(Failure(fd)) }

// SendRoom returns about how many bytes a socket takes before it is full, or 0
// where that is not known.
func SendRoom(fd int) int {
	var info [9]uint32 // SK_MEMINFO_* of linux/sock_diag.h
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return 0
	}
	const allocated, most, queued = 2, 3, 5
	return max(int(info[most])-int(max(info[allocated], info[queued])), 0)
}

func sockaddr(t Target) (family int, sa unix.Sockaddr, err error) {
	addr, port := t.Addr.Addr(), int(t.Addr.Port())
	switch {
	case t.Path != "":
		return unix.AF_UNIX, &unix.SockaddrUnix{Name: t.Path}, nil
	case addr.Is4():
		return unix.AF_INET, &unix.SockaddrInet4{Port: port, Addr: addr.As4()}, nil
	}
	sa6 := &unix.SockaddrInet6{Port: port, Addr: addr.As16()}
	if zone := addr.Zone(); zone != "" {
		i, err := net.InterfaceByName(zone)
		if err != nil {
			return 0, nil, fmt.Errorf("interface %s: %w", zone, err)
		}
		sa6.ZoneId = uint32(i.Index)
	}
	return unix.AF_INET6, sa6, nil
}

// TakeOver closes a connection on this side of Go and returns another
// descriptor of it, which is the caller's and does not block.
func TakeOver(c net.Conn) (fd int, err error) {
	s, ok := c.(goSocket)
	if !ok {
		return -1, fmt.Errorf("%T is no socket", c)
	}
	defer c.Close()
	return dup(s)
}
