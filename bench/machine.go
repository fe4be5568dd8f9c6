//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

const congestionFile = "/proc/sys/net/ipv4/tcp_congestion_control"

// useCubic switches TCP to cubic and returns what then is in force and the way
// back. Without root nothing is changed.
func useCubic() (inForce string, restore func() error, err error) {
	text, err := os.ReadFile(congestionFile)
	if err != nil {
		return "", nil, err
	}
	old := strings.TrimSpace(string(text))
	nothing := func() error { return nil }
	if old == "cubic" {
		return old, nothing, nil
	}
	if os.Geteuid() != 0 {
		return old + " (not root: left as it was)", nothing, nil
	}
	if err := os.WriteFile(congestionFile, []byte("cubic"), 0); err != nil {
		return "", nil, fmt.Errorf("set TCP congestion control to cubic: %w", err)
	}
	return "cubic", func() error {
		if err := os.WriteFile(congestionFile, []byte(old), 0); err != nil {
			return fmt.Errorf("set TCP congestion control back to %s: %w", old, err)
		}
		return nil
	}, nil
}

// raiseFiles gives this process, and so every child alike, all the descriptors
// it may have, need at least if the kernel allows it (root can do that, except
// in some containers), and returns their number.
func raiseFiles(need uint64) (uint64, error) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, fmt.Errorf("descriptor limit: %w", err)
	}
	if l.Max < need && syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: need, Max: need}) == nil {
		return need, nil
	}
	l.Cur = l.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, fmt.Errorf("descriptor limit: %w", err)
	}
	return l.Cur, nil
}

// lockMachine makes sure that one benchmark runs at a time: two would spoil
// each other's figures and their way back to the old congestion control. The
// lock is an abstract socket, so that it leaves no file and ends with us.
func lockMachine() (io.Closer, error) {
	l, err := net.Listen("unix", "@pen-bench")
	if err != nil {
		return nil, fmt.Errorf("another benchmark is running: %w", err)
	}
	return l, nil
}

// machine describes the machine for the report.
func machine() (string, error) {
	cpu, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "", err
	}
	model := "unknown"
	for line := range strings.Lines(string(cpu)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
			model = strings.TrimSpace(v)
			break
		}
	}
	k, err := kernel()
	return fmt.Sprintf("%s, %d cores, kernel %s", model, runtime.NumCPU(), k), err
}

// kernel returns the release of the kernel.
func kernel() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(text)), err
}

// costs are two prices of this machine in nanoseconds: a system call that does
// nothing, and a byte to the other core and back through two pipes.
type costs struct{ Getpid, Ping float64 }

// measureCosts runs the "costs" role on the load's core.
func measureCosts(ctx context.Context) (costs, error) {
	var c costs
	args, err := self("costs")
	if err != nil {
		return c, err
	}
	out, err := output(ctx, loadCore, args...)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal([]byte(out), &c); err != nil {
		return c, fmt.Errorf("costs: %w", err)
	}
	return c, nil
}

// roleCosts measures and prints costs.
func roleCosts([]string) error {
	const calls, pings = 500000, 5000
	begin := time.Now()
	for range calls {
		syscall.RawSyscall(syscall.SYS_GETPID, 0, 0, 0)
	}
	c := costs{Getpid: float64(time.Since(begin)) / calls}
	theirIn, ourOut, err := os.Pipe()
	if err != nil {
		return err
	}
	ourIn, theirOut, err := os.Pipe()
	if err != nil {
		return err
	}
	args, err := self("pong")
	if err != nil {
		return err
	}
	cmd := command(context.Background(), proxyCore, args...)
	cmd.Stdin, cmd.Stdout = theirIn, theirOut
	if err := cmd.Start(); err != nil {
		return err
	}
	theirIn.Close()
	theirOut.Close()
	in, out := ourIn.Fd(), ourOut.Fd()
	ok := rawByte(syscall.SYS_WRITE, out) && rawByte(syscall.SYS_READ, in) // it runs now
	begin = time.Now()
	for i := 0; ok && i < pings; i++ {
		ok = rawByte(syscall.SYS_WRITE, out) && rawByte(syscall.SYS_READ, in)
	}
	c.Ping = float64(time.Since(begin)) / pings
	ourOut.Close()
	if err := errors.Join(cmd.Wait(), ourIn.Close()); err != nil {
		return err
	}
	if !ok {
		return errors.New("pipe ping: a byte was lost")
	}
	return json.NewEncoder(os.Stdout).Encode(c)
}

// rolePong sends every byte of its input back.
func rolePong([]string) error {
	for rawByte(syscall.SYS_READ, 0) && rawByte(syscall.SYS_WRITE, 1) {
	}
	return nil
}

// rawByte reads or writes one byte past Go's scheduler, whose hand-over of
// blocked threads would be measured too.
func rawByte(call, fd uintptr) bool {
	var b [1]byte
	n, _, errno := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(&b[0])), 1)
	return n == 1 && errno == 0
}
