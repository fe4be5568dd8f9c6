package app

import (
	"pen/internal/build"
	"pen/internal/config"
	"pen/internal/dispatch"
)

// budgetOf is what the flows of a service take their descriptors of. The share of
// UDP is one for all of its services.
func (a *App) budgetOf(s config.Service, shared bool) *dispatch.Budget {
	if s.UDP && s.ConnMax == 0 && shared {
		return a.budgetUDP
	}
	return a.budget
}

// sayLimit warns of fewer connections than the user wants or may expect.
func (a *App) sayLimit(cfg config.Config) {
	for _, s := range cfg.Services {
		want := s.ConnMax
		if want == 0 {
			want = build.MinConns
		}
		if n := a.nofile.ConnMax(s, build.IsShared(cfg)); n < want {
			a.opt.Log.Warn("the limit of open files allows fewer connections than wanted; raise it with ulimit -n",
				"files", a.nofile, "wanted", want, "connections", n)
			return
		}
	}
}
