package main

import (
	"errors"
	"log/slog"
	"os"
	"strings"
	"syscall"

	"pen/internal/app"
)

// wait carries out what signals ask for until one of them, or the exit
// command, asks to end.
func wait(a *app.App, signals <-chan os.Signal, log *slog.Logger) {
	for {
		select {
		case <-a.Done():
			return
		case s := <-signals:
			switch s {
			case syscall.SIGHUP:
				reload(a, log)
			case syscall.SIGUSR1:
				a.WriteStats()
			default:
				return
			}
		}
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
