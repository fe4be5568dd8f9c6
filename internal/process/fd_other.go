//go:build !linux

package process

import "golang.org/x/sys/unix"

// replaceFD makes `to` another name of the open descriptor `from`.
func replaceFD(from, to int) error { return unix.Dup2(from, to) }
