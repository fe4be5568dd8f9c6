//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Where everything runs: the proxies alone on one core, load and backend on
// the other.
const (
	loadCore  = 0
	proxyCore = 1
)

// grace is how long a child may take to end after SIGTERM.
const grace = 5 * time.Second

// child is a started process that leads its own process group. Whoever starts
// it must stop it.
type child struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed once waited for
}

// command prepares args pinned to core in a group of its own, so that Ctrl-C
// reaches only us and we end it in order; if we are killed the kernel ends it.
func command(ctx context.Context, core int, args ...string) *exec.Cmd {
	pinned := append([]string{"-c", strconv.Itoa(core)}, args...)
	cmd := exec.CommandContext(ctx, "taskset", pinned...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = grace
	return cmd
}

// start runs a long-lived child whose output goes to log. It does not use a
// context: the child lives until stop.
func start(core int, env []string, log io.Writer, name string, args ...string) (*child, error) {
	cmd := command(context.Background(), core, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	c := &child{name: name, cmd: cmd, done: make(chan struct{})}
	go func() {
		cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// stop ends the child and waits: SIGTERM to it, after the grace SIGKILL to its
// group. Stopping nil or twice is allowed.
func (c *child) stop() {
	if c == nil {
		return
	}
	c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(grace):
		syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
		<-c.done
	}
}

// ready waits until addr accepts, the child ends, or ctx is done.
func (c *child) ready(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	var d net.Dialer
	for {
		conn, err := d.DialContext(ctx, "tcp", addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-c.done:
			return fmt.Errorf("%s ended before it listened on %s: %v", c.name, addr, c.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen on %s: %w", c.name, addr, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// output runs args pinned to core to their end and returns what they print.
func output(ctx context.Context, core int, args ...string) (string, error) {
	cmd := command(ctx, core, args...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		switch {
		case ctx.Err() != nil:
			err = ctx.Err()
		case errors.As(err, &exit):
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
		}
		return "", fmt.Errorf("%s: %w", args[0], err)
	}
	return string(out), nil
}

// self returns the command line that runs a role of this program.
func self(role string, args ...string) ([]string, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return append([]string{path, role}, args...), nil
}

// ports hands out free TCP ports below every usual range of ephemeral ports,
// so that no outgoing connection can take one before its listener does.
type ports struct{ last int }

func (p *ports) next() (int, error) {
	const first, end = 7100, 9900
	for p.last = max(p.last+1, first); p.last < end; p.last++ {
		l, err := net.Listen("tcp", loopback(p.last))
		if err == nil {
			return p.last, l.Close()
		}
	}
	return 0, fmt.Errorf("no free port from %d to %d on 127.0.0.1", first, end)
}

// loopback is the address of port on 127.0.0.1.
func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
