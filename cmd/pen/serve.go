package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"pen/internal/app"
	"pen/internal/config"
	"pen/internal/process"
)

// endTime bounds the end of Pen: TERM must end it within 100 ms.
const endTime = 60 * time.Millisecond

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
		return 0 // a signal ended the wait for something
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

// setDebug returns the function by which -d and the debug command set the level of the log.
func setDebug(level *slog.LevelVar) func(int) {
	return func(n int) {
		if n > 0 {
			level.Set(slog.LevelDebug)
		} else {
			level.Set(slog.LevelInfo)
		}
	}
}

// fatal prints an error like fail, and ends the process with SIGABRT if abort_on_error is
// set, which leaves a core dump where the system writes them.
func fatal(err error, cfg config.Config) int {
	code := fail(err)
	if cfg.AbortOnErr {
		debug.SetTraceback("crash")
		syscall.Kill(os.Getpid(), syscall.SIGABRT)
		select {} // until it is delivered
	}
	return code
}
