package app

import (
	"context"
	"net/netip"

	"pen/internal/accesslog"
	"pen/internal/config"
)

// logRequest writes to whatever log there is now.
func (a *App) logRequest(client netip.Addr, server string, chunk []byte) {
	if l := a.requests.Load(); l != nil {
		l.Request(client, server, chunk)
	}
}

// startLog opens the log of requests, as the user that Pen runs as.
func (a *App) startLog(cfg config.Config) error {
	l, err := a.openLog(a.stopping, cfg.Log)
	if err != nil {
		return err
	}
	a.requests.Store(l)
	a.cleanup.add("log of requests", func() error { return closeLog(a.requests.Swap(nil)) })
	return nil
}

func (a *App) openLog(ctx context.Context, dest string) (*accesslog.Log, error) {
	if dest == "" {
		return nil, nil
	}
	return accesslog.Open(ctx, dest, a.opt.Log)
}

func closeLog(l *accesslog.Log) error {
	if l == nil {
		return nil
	}
	return l.Close()
}
