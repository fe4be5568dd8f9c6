package lab

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"pen/internal/testenv"
)

// keepBuilds is how long the programs of a version are kept after their last use.
const keepBuilds = 24 * time.Hour

// Program returns the path of one of Pen's programs, built with the race detector.
func Program(t testenv.Failer, name string) string {
	return filepath.Join(build(t, "race", name), name)
}

// Plain returns the path of a program as users have it: without cgo, and without the
// race detector, which is too slow for some loads.
func Plain(t testenv.Failer, name string) string { return filepath.Join(build(t, "plain", name), name) }

// Programs returns the folder with all programs, built with the race detector.
func Programs(t testenv.Failer) string {
	dirs, err := os.ReadDir(filepath.Join(Root(), "cmd"))
	if err != nil {
		t.Fatalf("%v", err)
	}
	var names []string
	for _, d := range dirs {
		names = append(names, d.Name())
	}
	return build(t, "race", names...)
}

// build builds those of the programs that are not there yet and returns their folder.
// All test packages, and all runs, share it; its name says which version it is of.
func build(t testenv.Failer, how string, names ...string) string {
	version, err := sourceVersion()
	if err != nil {
		t.Fatalf("find the version of the programs: %v", err)
	}
	dir := filepath.Join(buildCache(), version+"-"+how)
	if err := buildInto(dir, how, names); err != nil {
		t.Fatalf("build the programs: %v", err)
	}
	return dir
}

// buildInto builds the programs that a folder lacks. One process does it at a time.
func buildInto(dir, how string, names []string) error {
	os.Setenv("GORACE", "atexit_sleep_ms=0") // or each program takes a second to end
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	now := time.Now()
	os.Chtimes(dir, now, now) // it is in use
	var lacking []string
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			lacking = append(lacking, name)
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	removeOldBuilds(filepath.Dir(dir))
	unfinished, err := os.MkdirTemp(dir, ".unfinished-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(unfinished)
	args := []string{"build", "-o", unfinished}
	if how == "race" {
		args = append(args, "-race")
	}
	for _, name := range lacking {
		args = append(args, "./cmd/"+name)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = Root(), os.Environ()
	if how != "race" {
		cmd.Env = append(cmd.Env, "CGO_ENABLED=0")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	for _, name := range lacking {
		if err := os.Rename(filepath.Join(unfinished, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// buildCache returns the folder that has a folder for each version.
func buildCache() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	return filepath.Join(cache, "pen-test")
}

// removeOldBuilds removes versions that no test has used for a while. A version that
// can't be removed costs only space.
func removeOldBuilds(cache string) {
	entries, _ := os.ReadDir(cache)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && e.IsDir() && time.Since(info.ModTime()) > keepBuilds {
			os.RemoveAll(filepath.Join(cache, e.Name()))
			os.Remove(filepath.Join(cache, e.Name()+".lock"))
		}
	}
}

// sourceVersion hashes all that the programs are built from: the compiler's version,
// go.mod and go.sum, and the files of cmd and internal, tests left out.
var sourceVersion = sync.OnceValues(func() (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), runtime.GOARCH)
	add := func(path string) error {
		text, err := os.ReadFile(path)
		fmt.Fprintf(h, "%s %d\n%s", path, len(text), text)
		return err
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		if err := add(filepath.Join(Root(), name)); err != nil {
			return "", err
		}
	}
	for _, dir := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(Root(), dir), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && d.Name() == "testdata":
				return filepath.SkipDir
			case d.IsDir() || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			return add(path)
		})
		if err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil))[:16], nil
})
