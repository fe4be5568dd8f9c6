// Mergelogs merges the logs of web servers behind Pen into one, with the real clients from
// Pen's request log (pen -l FILE; specification, section 22).
//
//	mergelogs -p PENLOG [OPTION]... SERVER:LOGFILE...
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/spf13/pflag"

	"pen/internal/weblog"
)

// version is set by the Makefile.
var version = "unknown"

// most bounds -j and -t, in seconds: 30 years.
const most = 1_000_000_000

type options struct {
	penlog, reject string
	jitter, zone   int64
	shift          int64 // of Pen's times, in seconds
	all            bool
	usage, version bool
	debug          int
	sources        []string
	flags          *pflag.FlagSet
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args)
	switch {
	case err != nil:
	case o.version:
		fmt.Fprintf(stdout, "mergelogs %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return 0
	case o.usage || len(o.sources) == 0:
		fmt.Fprintf(stdout, "usage: mergelogs -p PENLOG [OPTION]... SERVER:LOGFILE...\n\n%s", o.flags.FlagUsages())
		return 0
	default:
		err = merge(o, stdout, stderr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "mergelogs:", err)
		return 1
	}
	return 0
}

func parse(args []string) (options, error) {
	var o options
	fs := pflag.NewFlagSet("mergelogs", pflag.ContinueOnError)
	fs.SortFlags = false
	fs.Usage = func() {}
	fs.StringVarP(&o.penlog, "penlog", "p", "", "Pen's log of requests (pen -l `FILE`)")
	fs.Int64VarP(&o.jitter, "jitter", "j", 600, "how far times in the two logs may be apart, in `SECONDS`")
	fs.Int64VarP(&o.zone, "timezone", "t", 0, "`SECONDS` by which the logs' standard time is east of UTC; this machine's if none are given")
	fs.BoolVarP(&o.all, "no-cache", "c", false, "compare all of Pen's log with each line, without regard to -j; slow")
	fs.CountVarP(&o.debug, "debug", "d", "say on standard error what is dropped, and how much was found")
	fs.BoolVarP(&o.usage, "help", "h", false, "this text")
	fs.BoolVarP(&o.version, "version", "V", false, "the version")
	// C Pen knows -a, and prints its usage for it.
	fs.StringVarP(&o.reject, "a", "a", "", "")
	fs.MarkHidden("a")
	o.flags = fs
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	o.usage, o.sources = o.usage || fs.Changed("a"), fs.Args()
	if o.jitter < 0 || o.jitter > most {
		return o, fmt.Errorf("-j %d is out of range, want 0 to %d seconds", o.jitter, most)
	}
	if o.zone < -most || o.zone > most {
		return o, fmt.Errorf("-t %d is out of range, want %d to %d seconds", o.zone, -most, most)
	}
	if fs.Changed("timezone") {
		o.shift = o.zone - standardOffset()
	}
	return o, nil
}

// merge opens all logs before it writes anything.
func merge(o options, stdout, stderr io.Writer) error {
	if o.penlog == "" {
		return errors.New("no log of Pen is given, want -p PENLOG")
	}
	pen, err := os.Open(o.penlog)
	if err != nil {
		return fmt.Errorf("Can't open Pen's log '%s': %w", o.penlog, errors.Unwrap(err))
	}
	defer pen.Close()
	var sources []weblog.Source
	for _, arg := range o.sources {
		server, name, ok := weblog.SplitSource(arg)
		if !ok || server == "" {
			return fmt.Errorf("Bogus server '%s', want SERVER:LOGFILE", arg)
		}
		f, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("Can't open logfile '%s': %w", name, errors.Unwrap(err))
		}
		defer f.Close()
		sources = append(sources, weblog.Source{Server: server, Name: name, Log: f})
	}
	join := weblog.Options{Jitter: o.jitter, Shift: o.shift, All: o.all}
	if o.debug > 0 {
		join.Debug = func(name string, n int, line []byte) {
			fmt.Fprintf(stderr, "mergelogs: %s:%d: dropped %.200q\n", name, n, line)
		}
	}
	report, err := weblog.Merge(stdout, pen, o.penlog, sources, join)
	complain(stderr, report, o.debug > 0)
	return err
}

// complain prints what did not go as expected.
func complain(stderr io.Writer, r weblog.Report, all bool) {
	for _, d := range r.Dropped {
		fmt.Fprintf(stderr, "mergelogs: %s: lines dropped since they are no log lines: %d, the first is line %d\n", d.Name, d.Lines, d.First)
	}
	if r.Late > 0 {
		fmt.Fprintf(stderr, "mergelogs: lines that follow others later by more than the jitter, and may lack their client: %d; -c finds it\n", r.Late)
	}
	if r.Narrowed {
		fmt.Fprintln(stderr, "mergelogs: Pen's log has more lines within the jitter than can be held: those nearest in time were compared")
	}
	if all {
		fmt.Fprintf(stderr, "mergelogs: lines: %d, of them without a client in Pen's log: %d\n", r.Lines, r.Unknown)
	}
}
