package process

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func wantFile(t *testing.T, name, content string, perm fs.FileMode) {
	t.Helper()
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != content {
		t.Errorf("%s contains %q, want %q", name, got, content)
	}
	st, err := os.Lstat(name)
	if err != nil {
		t.Fatal(err)
	}
	if st.Mode() != perm {
		t.Errorf("%s has mode %v, want %v", name, st.Mode(), perm)
	}
}

func wantNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the folder holds %v, want %v", got, want)
	}
}

func TestWriteFileAtomic(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	if err := WriteFileAtomic(name, 0o666, text("one")); err != nil {
		t.Fatal(err)
	}
	wantFile(t, name, "one", 0o666) // whatever the umask
	if err := os.Chmod(name, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := WriteFileAtomic(name, 0o600, text("two")); err != nil {
		t.Fatal(err)
	}
	wantFile(t, name, "two", 0o640)

	link := filepath.Join(dir, "link")
	if err := os.Symlink("file", link); err != nil {
		t.Fatal(err)
	}
	if err := WriteFileAtomic(link, 0o600, text("three")); err != nil {
		t.Fatal(err)
	}
	wantFile(t, name, "three", 0o640)
	wantNames(t, dir, "file", "link")
}

func TestWriteFileAtomicKeepsTheOldOnError(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	if err := os.WriteFile(name, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("half way")
	err := WriteFileAtomic(name, 0o600, func(w io.Writer) error {
		io.WriteString(w, "new, but only")
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	wantFile(t, name, "old", 0o600)
	wantNames(t, dir, "file")
}

func TestWriteFileAtomicRefuses(t *testing.T) {
	dir := t.TempDir()
	dangling := filepath.Join(dir, "dangling")
	if err := os.Symlink("nowhere", dangling); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{dir, os.DevNull, dangling, filepath.Join(dir, "no", "file")} {
		err := WriteFileAtomic(name, 0o600, text("x"))
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if st, err := os.Lstat(os.DevNull); err != nil || st.Mode()&fs.ModeCharDevice == 0 {
		t.Fatalf("%s is now %v, %v", os.DevNull, st, err)
	}
	wantNames(t, dir, "dangling")
}

func TestWritePid(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "pen.pid")
	if err := os.WriteFile(name, []byte("99999999 left over"), 0o600); err != nil {
		t.Fatal(err)
	}
	remove, err := WritePid(name)
	if err != nil {
		t.Fatal(err)
	}
	wantFile(t, name, strconv.Itoa(os.Getpid()), 0o644)
	for range 2 { // again is no error
		if err := remove(); err != nil {
			t.Fatal(err)
		}
		wantNames(t, dir)
	}
}

func TestRemovePidLeavesOthers(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pen.pid")
	remove, err := WritePid(name)
	if err != nil {
		t.Fatal(err)
	}
	other := strconv.Itoa(os.Getpid()) + "1"
	if err := os.WriteFile(name, []byte(other), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := remove(); err != nil {
		t.Fatal(err)
	}
	wantFile(t, name, other, 0o644)

	os.Remove(name)
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(name); err != nil {
		t.Error(err)
	}
}

func TestWritePidRefuses(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "precious")
	if err := os.WriteFile(precious, []byte("keep"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(precious, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{link, dir, os.DevNull, filepath.Join(dir, "no", "pid")} {
		if remove, err := WritePid(name); err == nil || remove != nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	wantFile(t, precious, "keep", 0o600)
	wantNames(t, dir, "link", "precious")
}
