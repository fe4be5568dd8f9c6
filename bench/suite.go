//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"pen/internal/freeport"
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
	ports      *freeport.Range
	backends   map[string]backends // by the name of their placement
	undo       []func() error      // run backwards by close
	congestion string
	files      uint64   // descriptor limit
	gateLines  []string // outcome of the gate, one line for each contender
	mu         sync.Mutex
	notes      []string // what the reader of the figures must know; under mu
}

// backends are the ports where the backends of a placement listen.
type backends struct{ http, bytes int }

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
	s = &suite{opt: opt, contenders: contenders(opt), ports: freeport.New(7100, 9900), backends: map[string]backends{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.files, err = raiseFiles(opt.files()); err != nil {
		return s, err
	}
	if !s.opt.fit(s.files) {
		return s, fmt.Errorf("%d descriptors are needed, the limit is %d: lower -conns or raise the limit", s.opt.files(), s.files)
	}
	if s.opt.moving < opt.moving && opt.wants("L9") {
		s.note("L9: %d connections instead of %d: the limit of %d descriptors could not be raised.", s.opt.moving, opt.moving, s.files)
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
	s.mu.Lock()
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
	s.mu.Unlock()
	s.say(format, args...)
}

// startBackends starts nginx and the byte peer of a placement, on the load's
// core if it has one.
func (s *suite) startBackends(ctx context.Context, p placement) error {
	var b backends
	var err error
	if b.http, err = s.ports.Next(); err != nil {
		return err
	}
	limit := s.opt.limit()
	if s.opt.quick {
		limit *= len(s.contenders) // all at the same time
	}
	args, err := nginxBackend(spot{dir: s.dir, limit: limit, workers: p.workers, listen: b.http})
	if err != nil {
		return err
	}
	if err := s.startBackend(ctx, p, b.http, "nginx backend", args); err != nil {
		return err
	}
	if b.bytes, err = s.ports.Next(); err != nil {
		return err
	}
	args, err = self("byte-peer", loopback(b.bytes))
	if err != nil {
		return err
	}
	s.backends[p.name] = b
	return s.startBackend(ctx, p, b.bytes, "byte peer", args)
}

// startBackend starts one backend, to be stopped by close.
func (s *suite) startBackend(ctx context.Context, p placement, port int, name string, args []string) error {
	c, err := start(p.loadCore(), p.env(), s.log, name, args...)
	if err != nil {
		return err
	}
	s.undo = append(s.undo, func() error { c.stop(); return nil })
	if err := c.ready(ctx, loopback(port)); err != nil {
		return s.withLog(err)
	}
	return nil
}

// launch starts contender c towards backend with some more environment; its
// output goes to log. The caller stops the target's process, which is nil for
// the direct way.
func (s *suite) launch(ctx context.Context, p placement, c contender, backend int, log *os.File, env ...string) (*target, error) {
	if c.command == nil {
		return &target{addr: loopback(backend)}, nil
	}
	port, err := s.ports.Next()
	if err != nil {
		return nil, err
	}
	args, err := c.command(spot{s.dir, s.opt.limit(), p.workers, port, backend})
	if err != nil {
		return nil, err
	}
	proc, err := start(p.proxyCore(), append(p.env(), env...), log, c.name, args...)
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

// gate lets every contender prove in a placement that it carries bytes
// unchanged. Failures of one that may fail are noted, others end the run.
func (s *suite) gate(ctx context.Context, p placement) error {
	s.say("%s", p.title("gate: byte-exact transfers and half-close"))
	tries := 5
	if s.opt.quick {
		tries = 1
	}
	for _, c := range s.contenders {
		t, err := s.launch(ctx, p, c, s.backends[p.name].bytes, s.log)
		if err != nil {
			return err
		}
		failed := passGate(ctx, t.addr, tries)
		t.proc.stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		outcome := "passed"
		if len(failed) > 0 {
			outcome = "FAILED " + strings.Join(failed, "; ")
		}
		s.gateLines = append(s.gateLines, p.title(c.name+": "+outcome))
		s.say("gate: %s: %s", c.name, outcome)
		if len(failed) > 0 && !c.mayFail {
			return fmt.Errorf("gate: %s: %s", c.name, strings.Join(failed, "; "))
		}
	}
	return nil
}
