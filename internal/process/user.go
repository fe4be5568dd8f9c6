package process

import (
	"fmt"
	"os/user"
	"strconv"
	"syscall"
)

// Confine makes dir the root folder of this process (option -j) and then makes
// it, with all of its threads, run as the named user (option -u): the user's id
// and group, and no supplementary groups. It needs root, and there is no way
// back. An empty string leaves out that step. The user is looked up first,
// since the new root may hold no user table.
//
// keepNetRaw has all threads keep one thing that root may do and the user may
// not: what the capability CAP_NET_RAW allows, for transparent mode
// (capabilities(7)). It is for Linux, and for a program without cgo.
func Confine(dir, name string, keepNetRaw bool) error {
	var uid, gid int
	if name != "" {
		var err error
		if uid, gid, err = lookUp(name); err != nil {
			return err
		}
	}
	if dir != "" {
		if err := syscall.Chroot(dir); err != nil {
			return fmt.Errorf("change root to %s: %w", dir, err)
		}
		if err := syscall.Chdir("/"); err != nil { // else the old root is still in reach
			return fmt.Errorf("change root to %s: enter it: %w", dir, err)
		}
	}
	if name == "" {
		return nil
	}
	if keepNetRaw && uid != 0 {
		return netRawKept(name, func() error { return become(name, uid, gid) })
	}
	return become(name, uid, gid)
}

// become changes the user of all threads.
func become(name string, uid, gid int) error {
	// Groups first: without root they can no longer be changed.
	if err := syscall.Setgroups([]int{}); err != nil {
		return fmt.Errorf("run as user %s: give up groups: %w", name, err)
	}
	if err := syscall.Setgid(gid); err != nil {
		return fmt.Errorf("run as user %s: set group %d: %w", name, gid, err)
	}
	if err := syscall.Setuid(uid); err != nil {
		return fmt.Errorf("run as user %s: set user %d: %w", name, uid, err)
	}
	return nil
}

func lookUp(name string) (uid, gid int, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, fmt.Errorf("run as user %s: %w", name, err)
	}
	uid, err = strconv.Atoi(u.Uid)
	if err != nil {
		return 0, 0, fmt.Errorf("run as user %s: user id %q is not a number", name, u.Uid)
	}
	gid, err = strconv.Atoi(u.Gid)
	if err != nil {
		return 0, 0, fmt.Errorf("run as user %s: group id %q is not a number", name, u.Gid)
	}
	return uid, gid, nil
}
