//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// Rules for repeating a round: more than these shares of the machine's time
// taken by the hypervisor or by processes of others spoil it.
const (
	maxSteal   = 0.01
	maxForeign = 0.03
	maxTries   = 3
)

// suite is one run: the machine prepared, the backends, what was noted.
type suite struct {
	opt        options
	contenders []contender
	dir        string // temporary
	log        *os.File
	ports      ports
	httpPort   int
	bytePort   int
	undo       []func() error // run backwards by close
	congestion string
	files      uint64   // descriptor limit
	gateLines  []string // outcome of the gate, one line for each contender
	notes      []string // what the reader of the figures must know
}

// newSuite checks and prepares the machine. The caller must close it.
func newSuite(opt options) (s *suite, err error) {
	if n := runtime.NumCPU(); n < 2 {
		return nil, fmt.Errorf("2 cores are needed, this process may use %d", n)
	}
	if err := checkNeeds(opt.pen); err != nil {
		return nil, err
	}
	if err := checkReadme(opt.dir); err != nil {
		return nil, err
	}
	s = &suite{opt: opt, contenders: contenders(opt.pen)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.files, err = raiseFiles(opt.limit()); err != nil {
		return s, err
	}
	lock, err := lockMachine()
	if err != nil {
		return s, err
	}
	s.undo = append(s.undo, lock.Close)
	if s.dir, err = os.MkdirTemp("", "pen-bench-"); err != nil {
		return s, err
	}
	s.undo = append(s.undo, func() error { return os.RemoveAll(s.dir) })
	if s.log, err = os.Create(s.dir + "/log"); err != nil {
		return s, err
	}
	s.undo = append(s.undo, s.log.Close)
	inForce, restore, err := useCubic()
	if err != nil {
		return s, err
	}
	s.undo = append(s.undo, restore)
	s.congestion = inForce
	return s, nil
}

// close undoes what the suite has done to the machine, the last thing first.
func (s *suite) close() error {
	var errs []error
	for len(s.undo) > 0 {
		last := len(s.undo) - 1
		errs = append(errs, s.undo[last]())
		s.undo = s.undo[:last]
	}
	return errors.Join(errs...)
}

// say tells the operator how far it is.
func (s *suite) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

// note says it and keeps it for the report.
func (s *suite) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
	s.say(format, args...)
}

// startBackends starts nginx and the byte peer on the load's core.
func (s *suite) startBackends(ctx context.Context) error {
	if strings.Contains(s.congestion, "root") {
		s.note("TCP congestion control is %s.", s.congestion)
	}
	var err error
	if s.httpPort, err = s.ports.next(); err != nil {
		return err
	}
	args, err := nginxBackend(s.dir, s.opt.limit(), s.httpPort)
	if err != nil {
		return err
	}
	if err := s.startBackend(ctx, s.httpPort, nil, "nginx backend", args); err != nil {
		return err
	}
	if s.bytePort, err = s.ports.next(); err != nil {
		return err
	}
	args, err = self("byte-peer", loopback(s.bytePort))
	if err != nil {
		return err
	}
	return s.startBackend(ctx, s.bytePort, []string{"GOMAXPROCS=1"}, "byte peer", args)
}

// startBackend starts one backend, to be stopped by close.
func (s *suite) startBackend(ctx context.Context, port int, env []string, name string, args []string) error {
	c, err := start(loadCore, env, s.log, name, args...)
	if err != nil {
		return err
	}
	s.undo = append(s.undo, func() error { c.stop(); return nil })
	if err := c.ready(ctx, loopback(port)); err != nil {
		return s.withLog(err)
	}
	return nil
}

// launch starts contender c towards backend. The caller stops the target's
// process, which is nil for the direct way.
func (s *suite) launch(ctx context.Context, c contender, backend int) (*target, error) {
	if c.command == nil {
		return &target{addr: loopback(backend)}, nil
	}
	port, err := s.ports.next()
	if err != nil {
		return nil, err
	}
	args, err := c.command(s.dir, s.opt.limit(), port, backend)
	if err != nil {
		return nil, err
	}
	proc, err := start(proxyCore, c.env, s.log, c.name, args...)
	if err != nil {
		return nil, err
	}
	if err := proc.ready(ctx, loopback(port)); err != nil {
		proc.stop()
		return nil, s.withLog(err)
	}
	return &target{addr: loopback(port), proc: proc}, nil
}

// withLog adds the last line that any child printed.
func (s *suite) withLog(err error) error {
	text, readErr := os.ReadFile(s.log.Name())
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if last := lines[len(lines)-1]; readErr == nil && last != "" {
		return fmt.Errorf("%w (last output of a child: %s)", err, last)
	}
	return err
}

// gate lets every contender prove that it carries bytes unchanged. Failures of
// one that may fail are noted, others end the run.
func (s *suite) gate(ctx context.Context) error {
	s.say("gate: byte-exact transfers and half-close")
	for _, c := range s.contenders {
		t, err := s.launch(ctx, c, s.bytePort)
		if err != nil {
			return err
		}
		failed := passGate(ctx, t.addr)
		t.proc.stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		outcome := "passed"
		if len(failed) > 0 {
			outcome = "FAILED " + strings.Join(failed, "; ")
		}
		s.gateLines = append(s.gateLines, c.name+": "+outcome)
		s.say("gate: %s: %s", c.name, outcome)
		if len(failed) > 0 && !c.mayFail {
			return fmt.Errorf("gate: %s: %s", c.name, strings.Join(failed, "; "))
		}
	}
	return nil
}
