package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// readyEnv names the descriptor of the pipe by which a background process
// tells the one that started it that everything listens.
const readyEnv = "PEN_READY_FD"

// A Launch is the start of a background process, seen from one of its ends:
// the parent Waits, the child says Ready.
type Launch struct {
	pipe *os.File  // the parent reads, the child writes
	cmd  *exec.Cmd // parent: the child
	null *os.File  // child: opened early, there may be none after a chroot
}

// Background starts this program again, with the same arguments and folder, in
// a session of its own without a terminal. It returns twice: here with
// isParent set, to Wait; and in the new process without, to do what the
// program is for and to say Ready. The child shares standard input, output and
// error with its parent until then, so its complaints are seen. On an error,
// which only the parent prints, the Launch is nil.
func Background() (l *Launch, isParent bool, err error) {
	if IsChild() {
		l, err = childEnd(os.Getenv(readyEnv))
		return l, false, err
	}
	l, err = startChild()
	return l, true, err
}

// IsChild reports whether this process is the one that Background started. The
// parent has said then what there was to say of the command line.
func IsChild() bool {
	_, ok := os.LookupEnv(readyEnv)
	return ok
}

func startChild() (*Launch, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("go to the background: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("go to the background: %w", err)
	}
	defer w.Close() // with the child's end only, the pipe ends when the child does
	cmd := exec.Command(exe)
	cmd.Args = os.Args
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{w}
	cmd.Env = append(os.Environ(), readyEnv+"=3") // the first after the standard three
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		r.Close()
		return nil, fmt.Errorf("go to the background: %w", err)
	}
	return &Launch{pipe: r, cmd: cmd}, nil
}

func childEnd(number string) (*Launch, error) {
	os.Unsetenv(readyEnv) // not for those whom we may start
	fd, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("%s=%q in the environment: it is for Pen's own use, leave it unset", readyEnv, number)
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(int(fd), &st); err != nil || st.Mode&syscall.S_IFMT != syscall.S_IFIFO {
		return nil, fmt.Errorf("%s=%d in the environment is not a pipe: it is for Pen's own use, leave it unset", readyEnv, fd)
	}
	syscall.CloseOnExec(int(fd))
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("go to the background: %w", err)
	}
	return &Launch{pipe: os.NewFile(uintptr(fd), "ready"), null: null}, nil
}

// Wait returns, in the parent, when the child is Ready or has ended; the
// result is the exit code for the parent: 0 if the child is ready, else that
// of the child, or 1 if a signal ended it.
func (l *Launch) Wait() int {
	defer l.pipe.Close()
	var b [1]byte
	if _, err := io.ReadFull(l.pipe, b[:]); err == nil {
		l.cmd.Process.Release()
		return 0
	}
	err := l.cmd.Wait()
	var exit *exec.ExitError
	if err == nil {
		return 0 // for example, it was asked for the usage only
	}
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return exit.ExitCode()
	}
	return 1
}

// Ready lets the child go, once: standard input, output and error become
// /dev/null, and the parent returns with exit code 0. It fails if the parent
// has gone, because the user or program that started Pen has given up.
func (l *Launch) Ready() error {
	defer l.pipe.Close()
	defer l.null.Close()
	for fd := range 3 {
		if err := replaceFD(int(l.null.Fd()), fd); err != nil {
			return fmt.Errorf("let go of the terminal: %w", err)
		}
	}
	if _, err := l.pipe.Write([]byte{1}); err != nil {
		return fmt.Errorf("tell the starting process that all is ready: %w", err)
	}
	return nil
}
