package splice

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls of the loop plane. They can't wait, and so are made without telling
// Go's scheduler, which would cost as much as a short system call itself. recvfrom(2)
// and sendto(2) cost less than read and write, which look at files first. The stream
// plane tells the scheduler: others need the processor while it moves bulk.
//
// Ignore what is returned beside an error.

// Read reads from a socket.
func Read(fd int32, b []byte) (int, syscall.Errno) { return receive(fd, b, 0) }

// Peek reads bytes from a socket that stay to be read.
func Peek(fd int32, b []byte) (int, syscall.Errno) { return receive(fd, b, unix.MSG_PEEK) }

// Discard takes bytes off a socket that a Peek has put into b. TCP does not copy them
// again (tcp(7), MSG_TRUNC), other sockets do.
func Discard(fd int32, b []byte) { _, _ = receive(fd, b, unix.MSG_TRUNC) }

func receive(fd int32, b []byte, flags uintptr) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_DONTWAIT|flags, 0, 0)
	return int(n), errno
}

// Write writes to a socket.
func Write(fd int32, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	return int(n), errno
}

// ReadPipe reads from a pipe.
func ReadPipe(fd int32, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return int(n), errno
}

// MoveTold is Move for goroutines that share a processor.
func MoveTold(from, to int32, n int) (int, syscall.Errno) {
	m, _, errno := syscall.Syscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n),
		unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
	return int(m), errno
}

// Move splices up to n bytes between a pipe and a socket or a file.
func Move(from, to int32, n int) (int, syscall.Errno) {
	m, _, errno := syscall.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n),
		unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
	return int(m), errno
}

// Unsent returns how many bytes the other side does not have yet of what was written
// to a socket: none is left of a connection that was reset.
func Unsent(fd int32) int {
	n, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
	if err != nil || n > 0 && WasReset(fd) { // which does not empty the queue
		return 0
	}
	return n
}

// WasReset tells a reset from an end of stream in order, on a connection that this
// program has not ended itself: the kernel reports the error of a reset only once,
// perhaps to a write.
func WasReset(fd int32) bool {
	info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	return err == nil && info.State == unix.BPF_TCP_CLOSE
}
