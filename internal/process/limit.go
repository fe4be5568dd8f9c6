package process

import "syscall"

// RaiseNoFile raises the number of descriptors that this process may have open
// to what the system allows it, and returns that number. If it cannot be
// raised the number is what it was; 0 means that it is not known.
func RaiseNoFile() (limit uint64) {
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		return 0
	}
	raised := was
	raised.Cur = raised.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err != nil {
		return uint64(was.Cur)
	}
	return uint64(raised.Cur)
}
