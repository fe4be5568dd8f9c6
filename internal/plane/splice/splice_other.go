//go:build !linux

package splice

import "syscall"

// Pipes are not used here: all bytes are copied.
type Pipes struct{}

// Join returns the pipes for a plane that starts: none.
func Join(Lender) *Pipes { return nil }

// Leave does nothing.
func (*Pipes) Leave() {}

// Hold does nothing.
func (*Pipes) Hold(int) {}

// Read reads from a socket that does not block.
func Read(fd int32, b []byte) (int, syscall.Errno) { return result(syscall.Read(int(fd), b)) }

// Write writes to a socket that does not block.
func Write(fd int32, b []byte) (int, syscall.Errno) { return result(syscall.Write(int(fd), b)) }

func result(n int, err error) (int, syscall.Errno) {
	errno, _ := err.(syscall.Errno)
	return n, errno
}

// WasReset can't tell, here, a reset whose error is gone.
func WasReset(int32) bool { return false }

// Unsent does not know, here, how many bytes are on their way.
func Unsent(int32) int { return 0 }
