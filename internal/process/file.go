package process

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// WriteFileAtomic replaces the file by what `write` writes, all of it or, on
// any error, nothing: the old file stays. A reader never sees half of one. A
// new file gets the permissions perm, an old one keeps its own; a symbolic
// link is followed; what is neither (a device, a folder) is refused. It blocks
// until the content is on the disk.
func WriteFileAtomic(name string, perm fs.FileMode, write func(io.Writer) error) error {
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
	}
	switch st, err := os.Lstat(name); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("write file: %w", err)
	case !st.Mode().IsRegular():
		return fmt.Errorf("write file %s: it exists and is not a regular file", name)
	default:
		perm = st.Mode().Perm()
	}
	if err := replaceFile(name, perm, write); err != nil {
		return fmt.Errorf("write file %s: %w", name, err)
	}
	return nil
}

// OpenRegular opens a regular file to read from it. A FIFO, a socket or a device
// is refused: they must not make us wait.
func OpenRegular(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("open %s: not a regular file", name)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// replaceFile writes a new file in the same folder, which nobody else can have
// made, and renames it to name.
func replaceFile(name string, perm fs.FileMode, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Chmod(perm); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// WritePid writes the process id into the file (option -p), in decimal without
// a newline, and returns how to remove it. An older pid file is replaced; a
// symbolic link, a device or a folder is refused. To remove does nothing if
// the file is no longer ours: gone, or written since by another process.
func WritePid(name string) (remove func() error, err error) {
	st, err := os.Lstat(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("pid file: %w", err)
	}
	if err == nil && !st.Mode().IsRegular() {
		return nil, fmt.Errorf("pid file %s: it exists and is not a regular file", name)
	}
	pid := strconv.Itoa(os.Getpid())
	err = replaceFile(name, 0o644, func(w io.Writer) error {
		_, err := io.WriteString(w, pid)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("pid file %s: %w", name, err)
	}
	return func() error { return removePid(name, pid) }, nil
}

func removePid(name, pid string) error {
	// No link is followed, and a FIFO in its place must not make us wait.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove pid file: %w", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, 64))
	if err != nil {
		return fmt.Errorf("remove pid file: %w", err)
	}
	if strings.TrimSpace(string(content)) != pid {
		return nil
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove pid file: %w", err)
	}
	return nil
}
