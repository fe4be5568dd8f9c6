package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"pen/internal/acl"
	"pen/internal/client"
	"pen/internal/config"
	"pen/internal/geoip"
)

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
	after, _, err := config.ReadUnquoted(a.base, config.DefaultService, file, Open)
	if err != nil {
		return "", err
	}
	next := config.Merge(a.file, after, old)
	late := keepStartOnly(&next, old)
	heirs := a.heirs(next)
	err = keepsServing(old, next)
	var countries *geoip.DB
	if err == nil {
		countries, err = a.openCountries(next, false)
	}
	if err == nil {
		var b built
		if b, err = a.build(ctx, next, countries); err == nil {
			err = b.itself
		}
	}
	if err == nil {
		err = mayServe(next)
	}
	if err == nil {
		err = a.wantsNoOthers(next, heirs)
	}
	if err != nil {
		return "", fmt.Errorf("plan: %s can't be used: %w", file, err)
	}
	var b strings.Builder
	renamed := renames(heirs)
	b.WriteString(config.Diff(old, next, renamed))
	switch {
	case b.Len() == 0:
		b.WriteString("nothing changes\n")
	case a.rolledBack(after):
		return "nothing changes: this was rolled back, and applies once the file is changed:\n" + b.String(), nil
	}
	if late {
		b.WriteString("some of the file takes effect at the next start only\n")
	}
	acls, err := lists(next, countries)
	if err != nil {
		return "", err
	}
	became := map[string]string{}
	for now, was := range renamed {
		became[was] = now
	}
	for _, was := range old.Services {
		is := next.Service(cmp.Or(became[was.Name], was.Name))
		clients := a.services[was.Name].d.Clients()
		n := len(assigned(clients, was))
		if is != nil {
			n = movedClients(clients, was, a.cfg.Load().acls, *is, acls)
		}
		if n > 0 {
			name := "first service"
			if was.Name != config.DefaultService {
				name = "service " + was.Name
			}
			fmt.Fprintf(&b, "%s: %d of %d remembered clients lose their server\n", name, n, len(clients))
		}
	}
	return b.String(), nil
}

// renames are the new names of services that go on by another one, with the old
// ones.
func renames(heirs map[string]*service) map[string]string {
	out := map[string]string{}
	for name, s := range heirs {
		if s.name != name {
			out[name] = s.name
		}
	}
	return out
}

// keepsServing reports that a file takes all listeners away, or all servers of a
// service that listens: then it is most likely empty, or not all of it is there.
func keepsServing(old, next config.Config) error {
	const hint = "is it the whole file?"
	if old.Listens() && !next.Listens() {
		return fmt.Errorf("the file leaves nothing listening: %s", hint)
	}
	for _, s := range next.Services {
		if was := old.Service(s.Name); was != nil && was.Listen != "" && was.HasServer() && s.Listen != "" && !s.HasServer() {
			return inService(s.Name, fmt.Errorf("the file leaves no server behind %s: %s", s.Listen, hint))
		}
	}
	return nil
}

// assigned are the clients that have a server.
func assigned(clients []client.Entry, was config.Service) []client.Entry {
	return slices.DeleteFunc(slices.Clone(clients), func(c client.Entry) bool { return c.Server < 0 || c.Server >= len(was.Servers) })
}

// movedClients counts the clients whose servers no longer take them.
func movedClients(clients []client.Entry, was config.Service, olds *acl.Lists, is config.Service, news *acl.Lists) int {
	n := 0
	for _, c := range assigned(clients, was) {
		if c.Server >= len(is.Servers) || leaves(was.Servers[c.Server], is.Servers[c.Server]) ||
			!news.Permits(is.Servers[c.Server].ACL, c.Addr) && olds.Permits(was.Servers[c.Server].ACL, c.Addr) {
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
