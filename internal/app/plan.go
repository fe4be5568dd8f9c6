package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"pen/internal/acl"
	"pen/internal/client"
	"pen/internal/config"
	"pen/internal/geoip"
)

// maxUndo is how many changes can be taken back.
const maxUndo = 20

// Plan tells what reading a file would change, and how many of the remembered
// clients would lose their servers. It changes nothing.
func (a *App) Plan(file string) (string, error) {
	var text string
	err := a.change(func(ctx context.Context) (err error) {
		text, err = a.plan(ctx, file)
		return err
	})
	return text, err
}

func (a *App) plan(ctx context.Context, file string) (string, error) {
	old := a.Config()
	after, _, err := config.ReadFile(a.base, "", file, Open)
	if err != nil {
		return "", err
	}
	next := config.Merge(a.file, after, old)
	late := keepStartOnly(&next, old)
	countries, err := a.openCountries(next, false)
	if err == nil {
		_, err = a.build(ctx, next, countries)
	}
	if err == nil {
		err = mayServe(next)
	}
	if err != nil {
		return "", fmt.Errorf("plan: %s can't be used: %w", file, err)
	}
	var b strings.Builder
	b.WriteString(config.Diff(old, next))
	if b.Len() == 0 {
		b.WriteString("nothing changes\n")
	}
	if late {
		b.WriteString("some of the file takes effect at the next start only\n")
	}
	for _, was := range old.All() {
		clients := a.services[was.Name].d.Clients()
		if n := movedClients(clients, was, a.cfg.Load().acls, next, countries); n > 0 {
			name := was.Name
			if name == "" {
				name = "first service"
			} else {
				name = "service " + name
			}
			fmt.Fprintf(&b, "%s: %d of %d remembered clients lose their server\n", name, n, len(clients))
		}
	}
	return b.String(), nil
}

// movedClients counts the clients whose servers no longer take them.
func movedClients(clients []client.Entry, was config.Service, olds *acl.Lists, next config.Config, countries *geoip.DB) int {
	is, there := next.In(was.Name)
	acls, err := lists(next, countries)
	if err != nil {
		return 0 // build has said so before
	}
	n := 0
	for _, c := range clients {
		if c.Server < 0 || c.Server >= len(was.Servers) {
			continue
		}
		if !there || c.Server >= len(is.Servers) || leaves(was.Servers[c.Server], is.Servers[c.Server]) ||
			!acls.Permits(is.Servers[c.Server].ACL, c.Addr) && olds.Permits(was.Servers[c.Server].ACL, c.Addr) {
			n++
		}
	}
	return n
}

// leaves reports whether a change of a server makes its clients go elsewhere.
func leaves(was, is config.Server) bool {
	return !is.Used() || is.Host != was.Host || is.Port != was.Port || is.Service != was.Service ||
		is.State != config.Enabled && was.State == config.Enabled
}

// remember keeps the configuration that is replaced, for rollback. Called within
// change.
func (a *App) remember(old config.Config) {
	a.undo = append(a.undo, old)
	if len(a.undo) > maxUndo {
		a.undo = a.undo[1:]
	}
}

// rollback takes the last change back, and tells what that has changed.
func (a *App) rollback() (string, error) {
	var text string
	err := a.change(func(ctx context.Context) (err error) {
		text, err = a.takeBack(ctx)
		return err
	})
	return text, err
}

func (a *App) takeBack(ctx context.Context) (string, error) {
	if len(a.undo) == 0 {
		return "", errors.New("rollback: no change to take back")
	}
	old, next := a.Config(), a.undo[len(a.undo)-1].Clone()
	rest := a.undo[:len(a.undo)-1]
	keepStartOnly(&next, old)
	if err := a.apply(ctx, next, false); err != nil {
		return "", fmt.Errorf("rollback: nothing was changed: %w", err)
	}
	a.undo = rest
	return config.Diff(old, next), nil
}
