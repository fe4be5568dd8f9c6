package process

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// netRawKept calls become, which makes all threads those of a user other than
// root, and leaves them the capability CAP_NET_RAW. By itself the change of
// user takes all capabilities away.
func netRawKept(name string, become func() error) error {
	if err := keepCaps(1); err != nil {
		if errors.Is(err, syscall.ENOTSUP) { // syscall.AllThreadsSyscall
			err = errors.New("not possible in a program with cgo; build Pen with CGO_ENABLED=0")
		}
		return fmt.Errorf("run as user %s: keep CAP_NET_RAW: %w", name, err)
	}
	if err := become(); err != nil {
		return err
	}
	// What was permitted is kept, but not in effect.
	if err := setCaps(1 << unix.CAP_NET_RAW); err != nil {
		return fmt.Errorf("run as user %s: keep CAP_NET_RAW: %w", name, err)
	}
	if err := keepCaps(0); err != nil {
		return fmt.Errorf("run as user %s: no longer keep capabilities: %w", name, err)
	}
	return nil
}

// keepCaps sets, for all threads, whether a change of user leaves what is
// permitted (PR_SET_KEEPCAPS(2const)).
func keepCaps(on uintptr) error {
	return allThreads(syscall.SYS_PRCTL, unix.PR_SET_KEEPCAPS, on)
}

// setCaps makes these capabilities, of the first 32, the only ones of all
// threads (capset(2)).
func setCaps(caps uint32) error {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{{Effective: caps, Permitted: caps}} // 64 bits
	_, _, errno := syscall.AllThreadsSyscall(syscall.SYS_CAPSET,
		uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&data)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func allThreads(trap, a1, a2 uintptr) error {
	if _, _, errno := syscall.AllThreadsSyscall(trap, a1, a2, 0); errno != 0 {
		return errno
	}
	return nil
}
