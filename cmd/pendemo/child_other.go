//go:build !linux

package main

import "syscall"

// childAttr keeps Ctrl-C from the children, which pendemo stops in order.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
