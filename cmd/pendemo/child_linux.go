package main

import "syscall"

// childAttr keeps Ctrl-C from the children, which we end in order, and the
// children from living on when we are killed.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
