// Webresolve replaces the addresses at the beginning of log lines, of web servers or of Pen,
// by host names.
//
//	webresolve [OPTION]... [FILE]...
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/spf13/pflag"

	"pen/internal/config"
	"pen/internal/hostnames"
)

// version is set by the Makefile.
var version = "unknown"

const (
	maxParallel = 1000
	maxNames    = 1 << 18 // remembered
)

type options struct {
	cache             string
	lifetime, timeout time.Duration
	parallel          int
	server            string
	usage, version    bool
	files             []string
	flags             *pflag.FlagSet
}

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args)
	switch {
	case err != nil:
	case o.version:
		fmt.Fprintf(stdout, "webresolve %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return 0
	case o.usage:
		fmt.Fprintf(stdout, "usage: webresolve [OPTION]... [FILE]...\n\nReads standard input if there is no FILE, or for -.\n\n%s", o.flags.FlagUsages())
		return 0
	default:
		err = resolve(o, stdin, stdout, stderr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "webresolve:", err)
		return 1
	}
	return 0
}

func parse(args []string) (options, error) {
	var o options
	fs := pflag.NewFlagSet("webresolve", pflag.ContinueOnError)
	fs.SortFlags = false
	fs.Usage = func() {}
	fs.StringVarP(&o.cache, "cache", "c", "", "`FILE` that keeps names for the next time")
	lifetime := fs.StringP("lifetime", "l", "720h", "how long a name is kept, in `SECONDS` or as in 12h")
	fs.IntVarP(&o.parallel, "jobs", "j", 20, "how many names are looked for at once")
	fs.StringVarP(&o.server, "server", "n", "", "`ADDRESS` of the DNS server to ask, with or without a port")
	timeout := fs.StringP("timeout", "t", "5", "how long an answer may take, in `SECONDS` or as in 500ms")
	fs.BoolVarP(&o.usage, "help", "h", false, "this text")
	fs.BoolVarP(&o.version, "version", "V", false, "the version")
	o.flags = fs
	err := fs.Parse(args)
	if err != nil {
		return o, err
	}
	o.files = fs.Args()
	if o.lifetime, err = config.ParseDuration(*lifetime); err != nil {
		return o, fmt.Errorf("-l: %w", err)
	}
	if o.timeout, err = config.ParseDuration(*timeout); err != nil || o.timeout == 0 {
		return o, fmt.Errorf("-t: %q is not a time to wait, want seconds such as 5, or 500ms", *timeout)
	}
	if o.parallel < 1 || o.parallel > maxParallel {
		return o, fmt.Errorf("-j %d is out of range, want 1 to %d", o.parallel, maxParallel)
	}
	return o, nil
}

// resolve opens all files before it writes anything. It saves the cache even if the output
// fails.
func resolve(o options, stdin io.Reader, stdout, stderr io.Writer) error {
	lookup, err := hostnames.DNS(o.server)
	if err != nil {
		return fmt.Errorf("-n: %w", err)
	}
	inputs := []io.Reader{}
	for _, name := range o.files {
		if name == "-" {
			inputs = append(inputs, stdin)
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		inputs = append(inputs, f)
	}
	if len(o.files) == 0 {
		inputs = append(inputs, stdin)
	}
	cache := hostnames.NewCache(maxNames, o.lifetime)
	if err := load(cache, o.cache, stderr); err != nil {
		return err
	}
	names := hostnames.New(hostnames.Options{
		Lookup: lookup, Parallel: o.parallel, Timeout: o.timeout, Cache: cache, Now: time.Now,
	})
	for _, in := range inputs {
		if err = names.Convert(context.Background(), in, stdout); err != nil {
			break
		}
	}
	if n := names.Skipped(); n > 0 {
		fmt.Fprintf(stderr, "webresolve: DNS did not answer; questions that were not asked: %d\n", n)
	}
	if saveErr := save(cache, o.cache); err == nil {
		err = saveErr
	}
	return err
}
