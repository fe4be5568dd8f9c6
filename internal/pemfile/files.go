// Package pemfile reads certificates and private keys from files, as people and
// programs leave them, and notices when the files change. What cannot be used
// is an error of one line that names the file, the problem and the remedy, and
// quotes nothing of what may be a key.
package pemfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"
)

// maxFile is the largest file accepted, in bytes: a bundle of all public
// authorities has some 200 KiB.
const maxFile = 4 << 20

// Files are files that were read together, by name, with the state that each had
// just before it was read: a file written meanwhile counts as changed. A nil
// entry is a file that was missing. Symbolic links are followed, as certbot
// makes them. The methods read the disk and may block for it.
type Files map[string]fs.FileInfo

// Read returns the content of a regular file.
func (f Files) Read(name string) ([]byte, error) {
	f[name] = nil
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // opening a FIFO must not block
	if err != nil {
		return nil, err
	}
	defer file.Close()
	st, err := file.Stat()
	if err != nil {
		return nil, err
	}
	f[name] = st
	if st.IsDir() {
		return nil, fmt.Errorf("%s is a folder, want a regular file", name)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", name, err)
	case len(data) > maxFile:
		return nil, fmt.Errorf("%s has more than %d bytes", name, maxFile)
	case len(data) == 0:
		return nil, fmt.Errorf("%s is empty", name)
	}
	return data, nil
}

// ReadOptional is Read, but returns nil without an error for a missing file.
func (f Files) ReadOptional(name string) ([]byte, error) {
	data, err := f.Read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// Stat records the state of a file or folder without reading it.
func (f Files) Stat(name string) error {
	st, err := os.Stat(name)
	f[name] = nil
	if err == nil {
		f[name] = st
	}
	return err
}

// Changed reports whether any of the files was replaced, written, created or
// removed since.
func (f Files) Changed() bool {
	for name, was := range f {
		is, err := os.Stat(name)
		if (err != nil) != (was == nil) {
			return true
		}
		if err == nil && (!os.SameFile(is, was) || is.Size() != was.Size() || !is.ModTime().Equal(was.ModTime())) {
			return true
		}
	}
	return false
}

// Exposed reports whether users other than the owner may read a file.
func (f Files) Exposed(name string) bool {
	st := f[name]
	return st != nil && st.Mode().Perm()&0o077 != 0
}

// Missing reports whether none of the named files existed.
func (f Files) Missing(names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return f[name] != nil })
}
