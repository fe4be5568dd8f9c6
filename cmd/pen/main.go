// Pen is a load balancer for TCP: it spreads clients over servers, remembers
// which server each client used, and goes around servers that are dead.
//
//	pen [OPTION]... [HOST:]PORT SERVER[:PORT[:MAX[:HARD[:WEIGHT[:PRIO]]]]]...
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"pen/internal/app"
	"pen/internal/config"
	"pen/internal/process"
)

// version is set by the Makefile.
var version = "unknown"

// endTime leaves room in the 100 ms in which TERM ends Pen.
const endTime = 60 * time.Millisecond

// misuse is the exit code for a command line that is wrong.
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

// background starts Pen a second time, without a terminal, and ends here when
// that one listens or has failed.
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

// fail prints an error, which may be several lines.
func fail(err error) int {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(os.Stderr, "pen:", strings.TrimSuffix(line, "\n"))
	}
	return 1
}

// fatal is fail, or the end by SIGABRT that abort_on_error asks for: with a
// core, where the system writes them.
func fatal(err error, cfg config.Config) int {
	code := fail(err)
	if cfg.AbortOnErr {
		debug.SetTraceback("crash")
		syscall.Kill(os.Getpid(), syscall.SIGABRT)
		select {} // until it is delivered
	}
	return code
}

// open opens a file that the command line names. At the start it may also be a
// pipe, such as the <(...) of a shell; see [app.Open] for later.
func open(name string) (io.ReadCloser, error) { return os.Open(name) }

// serve runs Pen until a signal or the exit command ends it.
func serve(inv config.Invocation, logger *process.Logger, ready func() error) int {
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1)

	loops := runtime.GOMAXPROCS(0)
	memory := process.OwnMemory()
	defer memory.Close()
	if memory != nil && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memory.Limit / 4 * 3) // the rest is the kernel's, for sockets
	}
	a, err := app.New(inv, app.Options{
		Memory: memory, Context: ctx, Log: logger.Logger, Report: logger.Report, SetDebug: setDebug(logger.Level), Output: os.Stdout, EndTime: endTime,
		Loops: loops, OnLoops: func() { runtime.GOMAXPROCS(loops + 1) }, // see loop.New
	})
	if ctx.Err() != nil && err != nil {
		return 0 // a signal has ended the wait for something
	}
	if err != nil {
		return fatal(err, inv.Config)
	}
	if err = process.Confine(inv.Config.Chroot, inv.Config.User, inv.Config.AnyTransparent()); err == nil {
		err = a.Start()
	}
	if err == nil {
		err = ready()
	}
	if err != nil {
		a.Stop(0)
		if ctx.Err() != nil {
			return 0
		}
		return fatal(err, inv.Config)
	}
	wait(ctx, a, signals, logger.Logger)
	if err := a.Stop(0); err != nil {
		logger.Error("stopping", "error", err)
		return 1
	}
	return 0
}

// setDebug returns how the -d option and the debug command change the log.
func setDebug(level *slog.LevelVar) func(int) {
	return func(n int) {
		if n > 0 {
			level.Set(slog.LevelDebug)
		} else {
			level.Set(slog.LevelInfo)
		}
	}
}
