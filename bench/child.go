//go:build linux

package main

import (
	"bufio"
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

// grace is how long a child may take to end after SIGTERM.
const grace = 5 * time.Second

// child is a started process that leads its own process group. The code that starts
// it must stop it.
type child struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed once waited for
}

// command prepares args pinned to core, unless that is anywhere, in a group of
// its own, so that Ctrl-C reaches only us and we end it in order; if we are
// killed the kernel ends it.
func command(ctx context.Context, core int, args ...string) *exec.Cmd {
	if core != anywhere {
		args = append([]string{"taskset", "-c", strconv.Itoa(core)}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
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

// companion is a role of this program that tells when it is ready, goes on
// once its input ends, and may print a result. The code that starts it must call
// finish.
type companion struct {
	cmd  *exec.Cmd
	in   io.Closer
	out  *bufio.Reader
	said strings.Builder // its standard error
}

// accompany starts args pinned to core and waits until it is ready.
func accompany(ctx context.Context, core int, args ...string) (*companion, error) {
	c := &companion{cmd: command(ctx, core, args...)}
	c.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	c.cmd.Stderr = &c.said
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.in, c.out = in, bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	if line, err := c.out.ReadString('\n'); err == nil && line == ready {
		return c, nil
	}
	if _, err = c.finish(); err == nil {
		err = fmt.Errorf("%s ended before it was ready", args[1])
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return nil, err
}

// ready is the line that a companion prints.
const ready = "ready\n"

// awaitStart is a companion's side: it says that it is ready and waits.
func awaitStart() error {
	if _, err := fmt.Print(ready); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// release lets the companion go on.
func (c *companion) release() { c.in.Close() }

// finish releases the companion, and returns what it prints once it has ended.
func (c *companion) finish() (string, error) {
	c.release()
	text, readErr := io.ReadAll(c.out)
	err := c.cmd.Wait()
	if said := strings.TrimSpace(strings.TrimPrefix(c.said.String(), "bench: ")); err != nil && said != "" {
		err = errors.New(said)
	}
	return string(text), errors.Join(err, readErr)
}

// self returns the command line that runs a role of this program.
func self(role string, args ...string) ([]string, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return append([]string{path, role}, args...), nil
}

// loopback is the address of port on 127.0.0.1.
func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
