//go:build linux

// Command bench measures Pen beside its peers on one machine and writes the
// figures down: keep-alive requests, new connections, bulk transfer both ways
// and the memory of idle connections, each through a direct connection,
// HAProxy, nginx stream, the C Pen and this Pen, in interleaved rounds.
//
// It is run from the module's root: "go run ./bench" writes bench/results and
// the tables of bench/README.md; "go run ./bench -quick" runs the same path in
// well under a minute, writes nothing and only checks that everybody served
// without an error. README.md says what the rules are and what the figures do
// not say.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// options are the command line, checked.
type options struct {
	pen    string        // path of our binary
	dir    string        // folder of README.md and results/
	quick  bool          // check only: one short round of everything, no figures
	rounds int           // passes over all contenders, even, so that ABBA is balanced
	length time.Duration // of one round, whole seconds (wrk knows no others)
	conns  int           // idle connections of the memory load
}

// limit is the number of simultaneous connections every proxy is allowed.
func (o options) limit() int { return o.conns + 1000 }

func main() {
	if len(os.Args) > 1 {
		if role, ok := roles[os.Args[1]]; ok {
			exit(role(os.Args[2:]))
		}
	}
	opt, err := parseOptions(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		exit(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = run(ctx, opt)
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted: everything is stopped, nothing was written")
	}
	stop()
	exit(err)
}

// exit ends the process: silently with 0, or with one line and 1.
func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", strings.ReplaceAll(err.Error(), "\n", "; "))
		os.Exit(1)
	}
	os.Exit(0)
}

// parseOptions reads and checks the command line.
func parseOptions(args []string) (options, error) {
	var o options
	var seconds int
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(io.Discard) // errors are printed once, by exit
	f.StringVar(&o.pen, "pen", "bin/pen", "our `binary`")
	f.StringVar(&o.dir, "dir", "bench", "`folder` that holds README.md and results/")
	f.BoolVar(&o.quick, "quick", false, "one short round of everything, no figures written")
	f.IntVar(&o.rounds, "rounds", 6, "`passes` over all contenders, an even number")
	f.IntVar(&seconds, "seconds", 3, "length of one round in `seconds`")
	f.IntVar(&o.conns, "conns", 4000, "idle `connections` of the memory load")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			f.SetOutput(os.Stdout)
			f.PrintDefaults()
		}
		return o, err
	}
	o.length = time.Duration(seconds) * time.Second
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("argument %q: only flags are taken", f.Arg(0))
	case o.rounds < 2 || o.rounds > 100 || o.rounds%2 != 0:
		return o, fmt.Errorf("-rounds %d: must be even (ABBA) and 2 to 100", o.rounds)
	case seconds < 1 || seconds > 60:
		return o, fmt.Errorf("-seconds %d: must be 1 to 60", seconds)
	case o.conns < 100 || o.conns > 9000:
		return o, fmt.Errorf("-conns %d: must be 100 to 9000", o.conns)
	}
	if o.quick {
		o.rounds, o.length, o.conns = 1, time.Second, 500
	}
	return o, nil
}

// run does the whole benchmark. It leaves no process and no file behind except
// the results.
func run(ctx context.Context, opt options) (err error) {
	s, err := newSuite(opt)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.startBackends(ctx); err != nil {
		return err
	}
	if err := s.gate(ctx); err != nil {
		return err
	}
	costs, err := measureCosts(ctx)
	if err != nil {
		return err
	}
	var results []result
	for _, l := range loads(opt) {
		r, err := s.runLoad(ctx, l)
		if err != nil {
			return err
		}
		results = append(results, r)
	}
	if !opt.quick {
		tables, err := s.report(costs, results)
		if err != nil {
			return err
		}
		if err := writeReport(opt.dir, tables); err != nil {
			return err
		}
	}
	return s.verdict(results)
}
