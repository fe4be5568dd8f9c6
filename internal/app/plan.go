package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"pen/internal/acl"
	"pen/internal/build"
	"pen/internal/client"
	"pen/internal/config"
	"pen/internal/dispatch"
	"pen/internal/engine"
	"pen/internal/pool"
)

// Plan implements [engine.Engine].
func (a *App) Plan(file string) (p engine.Plan, err error) {
	err = a.change(func(ctx context.Context) (err error) {
		p, err = a.plan(ctx, file)
		return err
	})
	return p, err
}

func (a *App) plan(ctx context.Context, file string) (p engine.Plan, err error) {
	d, err := a.store.Plan(file, Open)
	if err != nil {
		return p, err
	}
	p.StartOnly, p.RolledBack = d.StartOnly, d.RolledBack
	acls, err := a.wouldRun(ctx, d.Config)
	if err != nil {
		return p, fmt.Errorf("plan: %s can't be used: %w", file, err)
	}
	old, renamed := a.Config(), renames(a.kept(d.Config))
	p.Changes, p.Moved = config.Diff(old, d.Config, renamed), a.moved(old, d.Config, renamed, acls)
	return p, nil
}

// wouldRun reports why a configuration could not be used, as far as that can be
// known without binding its addresses, and returns its access lists.
func (a *App) wouldRun(ctx context.Context, next config.Config) (*acl.Lists, error) {
	countries, err := a.openCountries(next, false)
	if err != nil {
		return nil, err
	}
	b, err := a.build(ctx, next, countries)
	if err == nil {
		err = b.Itself
	}
	if err == nil {
		err = build.Permitted(next)
	}
	if err == nil {
		err = a.wantsNoOthers(next, a.kept(next))
	}
	if err != nil {
		return nil, err
	}
	return b.Lists, nil
}

// moved returns how many remembered clients would lose their servers, by service.
func (a *App) moved(old, next config.Config, renamed map[string]string, acls *acl.Lists) (out []engine.Moved) {
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
			out = append(out, engine.Moved{Service: was.Name, Clients: n, All: len(clients)})
		}
	}
	return out
}

// renames are the new names of services that go on by another one, with the old
// ones.
func renames(kept map[string]*service) map[string]string {
	out := map[string]string{}
	for name, s := range kept {
		if s.name != name {
			out[name] = s.name
		}
	}
	return out
}

// assigned are the clients that have a server.
func assigned(clients []dispatch.Client, was config.Service) []dispatch.Client {
	return slices.DeleteFunc(slices.Clone(clients), func(c dispatch.Client) bool { return c.Server < 0 || c.Server >= len(was.Servers) })
}

// movedClients counts the clients whose servers no longer take them.
func movedClients(clients []dispatch.Client, was config.Service, olds *acl.Lists, is config.Service, news *acl.Lists) int {
	n, slots := 0, client.Directory(identities(was)).Slots(identities(is))
	for _, c := range assigned(clients, was) {
		slot, old := slots[c.Server], was.Servers[c.Server]
		if slot < 0 || leaves(old, is.Servers[slot]) || !news.Permits(is.Servers[slot].ACL, c.Addr) && olds.Permits(old.ACL, c.Addr) {
			n++
		}
	}
	return n
}

// identities are what the client table knows a service's servers by, by slot.
func identities(s config.Service) []client.Identity {
	list := make([]pool.Config, len(s.Servers))
	for slot, server := range s.Servers {
		list[slot] = pool.Config{Name: server.Name, Identity: server.Identity()}
	}
	return dispatch.Identities(list)
}

// leaves reports whether a change of a server makes its clients go elsewhere.
func leaves(was, is config.Server) bool {
	return !is.Used() || is.Host != was.Host || is.Port != was.Port || is.Service != was.Service ||
		is.State != config.Enabled && was.State == config.Enabled
}
