package health

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"pen/internal/check"
)

const (
	maxOutput = 4 << 10 // bytes of a program's output that are kept
	// outputDelay bounds the wait for the output of a program that has ended while
	// programs that it started still have it open.
	outputDelay = 100 * time.Millisecond
)

// runProgram runs the operator's program with the server's address and port. The program
// has no input, and a minimal environment. The programs that it starts are killed with it,
// except those that leave its process group.
func runProgram(ctx context.Context, t Target) (string, error) {
	address, port := t.Path, "0"
	if t.Path == "" {
		address, port = t.Addr.Addr().String(), strconv.Itoa(int(t.at().Port()))
	}
	cmd := exec.CommandContext(ctx, t.Spec.Arg, address, port)
	cmd.Dir = "/"
	cmd.Env = []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"PEN_SERVICE=" + t.services(),
		"PEN_SERVER_NAME=" + t.servers(),
	}
	var out head
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return killGroup(cmd) }
	cmd.WaitDelay = outputDelay
	if err := cmd.Start(); err != nil {
		return "", err
	}
	err := cmd.Wait()
	killGroup(cmd)
	var status *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.As(err, &status) && out.line() != "":
		return "", fmt.Errorf("%v: %s", status, out.line())
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return "", err
	}
	return out.line(), nil
}

// killGroup kills a program and all programs of its group.
func killGroup(cmd *exec.Cmd) error {
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
		return os.ErrProcessDone
	}
	return nil
}

// head keeps the first maxOutput bytes written to it.
type head struct{ kept []byte }

func (h *head) Write(b []byte) (int, error) {
	h.kept = append(h.kept, b[:min(len(b), maxOutput-len(h.kept))]...)
	return len(b), nil
}

// line is the first line.
func (h *head) line() string {
	line, _, _ := strings.Cut(string(h.kept), "\n")
	return check.Reason(line)
}
