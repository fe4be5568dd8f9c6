package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inChild runs f in the background process; the other one waits for it.
func inChild(f func(*Launch) int) int {
	l, isParent, err := Background()
	switch {
	case err != nil:
		return fail("%v", err)
	case isParent:
		return l.Wait()
	}
	return f(l)
}

func roleReady() int {
	return inChild(func(l *Launch) int {
		fmt.Fprintln(os.Stderr, "said before")
		fmt.Println(os.Getpid())
		if err := l.Ready(); err != nil {
			return fail("%v", err)
		}
		fmt.Fprintln(os.Stderr, "said after")
		if _, found := os.LookupEnv(readyEnv); found {
			return fail("the variable is still set")
		}
		time.Sleep(time.Minute) // the test ends it
		return 0
	})
}

func roleFail() int {
	return inChild(func(*Launch) int {
		fmt.Fprintln(os.Stderr, "cannot bind")
		return 3
	})
}

func roleUsage() int { return inChild(func(*Launch) int { return 0 }) }

func roleKilled() int {
	return inChild(func(*Launch) int {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	})
}

func roleOrphan() int {
	return inChild(func(l *Launch) int {
		syscall.Kill(os.Getppid(), syscall.SIGKILL)
		readerGone := []unix.PollFd{{Fd: int32(l.pipe.Fd())}}
		if n, err := unix.Poll(readerGone, 30_000); n != 1 {
			return fail("the parent lives: %v", err)
		}
		result := "no error"
		if err := l.Ready(); err != nil {
			result = err.Error()
		}
		if err := os.WriteFile(os.Getenv("RESULT"), []byte(result+"\n"), 0o600); err != nil {
			return 1
		}
		return 0
	})
}

func TestBackgroundReady(t *testing.T) {
	dir := t.TempDir()
	cmd := inRole(t, "ready")
	cmd.Dir = dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	// Run returns only when nobody has our end of its pipes open: this shows
	// that the child let them go.
	if err := cmd.Run(); err != nil {
		t.Fatalf("the parent: %v; stderr: %s", err, stderr.String())
	}
	pid, err := strconv.Atoi(strings.TrimSpace(stdout.String()))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(pid, syscall.SIGKILL)
	if got := stderr.String(); got != "said before\n" {
		t.Errorf("stderr: %q", got)
	}
	if sid, err := unix.Getsid(pid); err != nil || sid != pid {
		t.Errorf("session %d, %v: want %d", sid, err, pid)
	}
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	for _, fd := range []string{"0", "1", "2"} {
		if to, err := os.Readlink(filepath.Join(proc, "fd", fd)); err != nil || to != os.DevNull {
			t.Errorf("descriptor %s is %q, %v", fd, to, err)
		}
	}
	if got, err := os.Readlink(filepath.Join(proc, "cwd")); err != nil || got != dir {
		t.Errorf("folder %q, %v: want %q", got, err, dir)
	}
	eventually(t, "the child closes its end of the pipe", func() bool {
		to, _ := os.Readlink(filepath.Join(proc, "fd", "3"))
		return !strings.HasPrefix(to, "pipe:")
	})
}

func TestBackgroundEndsBeforeReady(t *testing.T) {
	for _, c := range []struct {
		role   string
		code   int
		stderr string
	}{
		{"fail", 3, "cannot bind\n"},
		{"usage", 0, ""},
		{"killed", 1, ""},
	} {
		t.Run(c.role, func(t *testing.T) {
			cmd := inRole(t, c.role)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			err := cmd.Run()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if code := cmd.ProcessState.ExitCode(); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if stderr.String() != c.stderr {
				t.Errorf("stderr %q, want %q", stderr.String(), c.stderr)
			}
		})
	}
}

func TestBackgroundWithoutParent(t *testing.T) {
	result := filepath.Join(t.TempDir(), "result")
	if err := inRole(t, "orphan", "RESULT="+result).Run(); err == nil {
		t.Fatal("the parent was to be killed")
	}
	var got string
	eventually(t, "the child writes its result", func() bool {
		b, _ := os.ReadFile(result)
		got = string(b)
		return strings.HasSuffix(got, "\n")
	})
	if !strings.Contains(got, syscall.EPIPE.Error()) {
		t.Errorf("Ready without a parent: %q", got)
	}
}

func TestBackgroundRefusesForeignVariable(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, value := range []string{"", "x", "-1", "65536", "60000", fmt.Sprint(file.Fd())} {
		t.Setenv(readyEnv, value)
		l, isParent, err := Background()
		if l != nil || isParent || err == nil || !strings.Contains(err.Error(), readyEnv) {
			t.Errorf("%q: got %v, %v, %v", value, l, isParent, err)
		}
	}
	if _, err := file.WriteString("still open"); err != nil {
		t.Error(err)
	}
}
