//go:build linux

// Command bench measures Pen beside its peers on one machine and writes the
// figures down: keep-alive requests, new connections, bulk transfer both ways,
// latencies at fixed rates and the memory of idle and of busy connections, each
// through a direct connection, HAProxy, nginx stream, the C Pen and this Pen, in
// interleaved rounds.
//
// "make bench" builds it and runs it in the repository's root, where it writes
// bench/results and the tables of bench/README.md; ARGS has flags. With -quick it
// runs the same path in well under a minute, writes nothing and only checks that
// every contender served without an error. README.md says what the rules are and
// what the figures do not say.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

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

// run does the whole benchmark. It leaves no process and no file behind except
// the results.
func run(ctx context.Context, opt options) (err error) {
	s, err := newSuite(opt)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	f, err := s.measureAll(ctx)
	if err != nil {
		return err
	}
	if !opt.quick {
		name, err := resultName(opt.loads)
		if err != nil {
			return err
		}
		charts := drawn(f.results)
		tables, err := s.report(f, name, charts)
		if err != nil {
			return err
		}
		if err := writeReport(opt.dir, name, tables, charts, len(opt.loads) == 0); err != nil {
			return err
		}
	}
	return s.verdict(f.results)
}
