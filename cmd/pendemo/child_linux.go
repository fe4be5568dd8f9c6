package main

import "syscall"

// childAttr keeps Ctrl-C from the children, which pendemo stops in order, and has them killed
// when pendemo is.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
