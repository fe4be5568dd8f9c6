// Pen is a load balancer for TCP and UDP: it distributes clients over servers, remembers
// which server each client used, and routes around failed servers.
//
//	pen [OPTION]... [HOST:]PORT SERVER[:PORT[:MAX[:HARD[:WEIGHT[:PRIO]]]]]...
package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"pen/internal/app"
	"pen/internal/config"
	"pen/internal/process"
)

// version is set by the Makefile.
var version = "unknown"

// misuse is the exit code for a wrong command line.
const misuse = 2

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	inv, errs := config.ParseArgs(args, open)
	if !inv.Config.AnyServer() && inv.Config.Listens() && !inv.Usage && !inv.Version {
		inv.Warnings = append(inv.Warnings, "no server is given: clients are closed until there is one, as in: pen 80 www1 www2")
	}
	for _, w := range inv.Warnings {
		if len(errs) == 0 && !process.IsChild() {
			fmt.Fprintln(os.Stderr, "pen:", w)
		}
	}
	for _, err := range errs {
		fmt.Fprintln(os.Stderr, "pen:", err)
	}
	switch {
	case len(errs) > 0 && inv.Misused:
		return misuse
	case len(errs) > 0:
		return 1
	case inv.Usage:
		fmt.Print(config.Usage())
		return 0
	case inv.Version:
		fmt.Printf("pen %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return 0
	case inv.Check:
		warnings, err := app.Check(inv.Config)
		for _, w := range warnings {
			fmt.Fprintln(os.Stderr, "pen: warning:", w)
		}
		if err != nil {
			return fail(err)
		}
		return 0
	case inv.Config.Foreground:
		logger := process.StartLogger(os.Stderr)
		defer logger.Close()
		return serve(inv, logger, func() error { return nil })
	}
	return background(inv)
}

// background starts Pen again, without a terminal, and returns when that process listens or
// has failed.
func background(inv config.Invocation) int {
	launch, isParent, err := process.Background()
	if err != nil {
		return fail(err)
	}
	if isParent {
		return launch.Wait()
	}
	logger := process.StartSyslog("pen")
	defer logger.Close()
	return serve(inv, logger, launch.Ready)
}

// fail prints an error, which may have several lines.
func fail(err error) int {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(os.Stderr, "pen:", strings.TrimSuffix(line, "\n"))
	}
	return 1
}

// open opens a file that the command line names. At the start this may be a pipe, such as
// <(...) in a shell; later see [app.Open].
func open(name string) (io.ReadCloser, error) { return os.Open(name) }
