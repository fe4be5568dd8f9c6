package tlsterm

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// maxFile bounds a file, in bytes: a bundle of all public authorities has some
// 200 KiB.
const maxFile = 4 << 20

// A reading is a number of files that were read together, and what each was
// like just before it was: if one is written meanwhile, it has changed. Links
// are followed, as those are that certbot makes.
type reading map[string]fs.FileInfo // nil: it was not there

// read returns what is in a file.
func (r reading) read(name string) ([]byte, error) {
	r[name] = nil
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO must not make us wait
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	r[name] = st
	if st.IsDir() {
		return nil, fmt.Errorf("%s is a folder, want a regular file", name)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
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

// readIfThere returns nil for a file that is not there.
func (r reading) readIfThere(name string) ([]byte, error) {
	data, err := r.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// note remembers what a file or a folder is like.
func (r reading) note(name string) error {
	st, err := os.Stat(name)
	r[name] = nil
	if err == nil {
		r[name] = st
	}
	return err
}

// changed reports whether any of the files is another one now, or has been
// written since, or has come or gone.
func (r reading) changed() bool {
	for name, was := range r {
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

// open reports whether others than the owner may read a file that was read.
func (r reading) open(name string) bool {
	st := r[name]
	return st != nil && st.Mode().Perm()&0o077 != 0
}
