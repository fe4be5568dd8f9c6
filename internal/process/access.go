package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// CheckUser reports whether there is a user of this name.
func CheckUser(name string) error {
	_, _, err := lookUp(name)
	return err
}

// CheckFolder reports why no files could be made in a folder: by this process,
// and by the user who runs it later, if name is not "".
func CheckFolder(dir, name string) error {
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no folder %s", dir)
	case err != nil:
		return err
	case !st.IsDir():
		return fmt.Errorf("%s is not a folder", dir)
	}
	return checkWrite(dir, st, name, unix.W_OK|unix.X_OK)
}

// CheckAppend reports why a file could not be written to, or made if there is
// none, as CheckFolder does. Other kinds of files, such as a FIFO, are left to
// the caller that opens them.
func CheckAppend(file, name string) error {
	st, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return CheckFolder(filepath.Dir(file), name)
	case err != nil:
		return err
	case st.IsDir():
		return fmt.Errorf("%s is a folder", file)
	}
	return checkWrite(file, st, name, unix.W_OK)
}

// CheckReplace reports why WriteFileAtomic or WritePid could not write a file.
func CheckReplace(file, name string) error {
	if st, err := os.Stat(file); err == nil && !st.Mode().IsRegular() {
		return fmt.Errorf("%s exists and is not a regular file", file)
	}
	if target, err := filepath.EvalSymlinks(file); err == nil {
		file = target
	}
	return CheckFolder(filepath.Dir(file), name)
}

// checkWrite reports whether this process may use a file in a way, which is a sum
// of W_OK and X_OK, and whether the permissions of the file let a user. That user
// will have the group of his own only (see Confine).
func checkWrite(file string, st fs.FileInfo, name string, way uint32) error {
	if err := unix.Access(file, way); err != nil {
		return fmt.Errorf("%s can't be written: %w", file, err)
	}
	if name == "" {
		return nil
	}
	uid, gid, err := lookUp(name)
	if err != nil || uid == 0 {
		return err
	}
	bits := uint32(st.Mode().Perm())
	if owner, ok := st.Sys().(*syscall.Stat_t); ok && int(owner.Uid) == uid {
		bits >>= 6
	} else if ok && int(owner.Gid) == gid {
		bits >>= 3
	}
	if bits&way != way {
		return fmt.Errorf("%s can't be written by user %s", file, name)
	}
	return nil
}
