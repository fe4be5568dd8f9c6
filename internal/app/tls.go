package app

import (
	"context"

	"pen/internal/build"
	"pen/internal/config"
	"pen/internal/tlsterm"
)

// useTLS runs what terminates TLS from now on and does not run, and ends what is
// gone. Called within change.
func (a *App) useTLS(next build.TLS) {
	stay := map[*tlsterm.Server]bool{}
	for s := range next.Servers() {
		stay[s] = true
		if a.tls[s] == nil {
			ctx, end := context.WithCancel(a.stopping)
			a.tls[s] = end
			a.serving.Go(func() { s.Run(ctx) })
		}
	}
	for s, end := range a.tls {
		if !stay[s] {
			end()
			delete(a.tls, s)
		}
	}
}

// warnObsolete logs once that an old protocol is not spoken. Called within change.
func (a *App) warnObsolete(cfg config.Config) {
	for _, s := range cfg.Services {
		if s.TLS.On() && s.TLS.Obsolete() && !a.obsolete {
			a.obsolete = true
			a.log(s.Name).Warn("TLS 1.2 is the oldest protocol that is spoken", "wanted", s.TLS.Protocol)
		}
	}
}
