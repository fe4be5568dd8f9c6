package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"syscall"

	"pen/internal/app"
)

// wait handles signals until ctx is done or the exit command is given. A reload may take
// long, on a disk or in DNS; it runs in a goroutine of its own and does not delay the end.
func wait(ctx context.Context, a *app.App, signals <-chan os.Signal, log *slog.Logger) {
	go func() { // ends with the process
		for s := range signals {
			if s == syscall.SIGHUP {
				reload(a, log)
			} else {
				a.WriteStats()
			}
		}
	}()
	select {
	case <-a.Done():
	case <-ctx.Done():
	}
}

func reload(a *app.App, log *slog.Logger) {
	err := errors.Join(a.Reopen(), a.Reload())
	if err == nil {
		log.Info("reloaded")
		return
	}
	for line := range strings.Lines(err.Error()) {
		log.Error("reload: " + strings.TrimSpace(line))
	}
}
