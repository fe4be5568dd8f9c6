package app

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"pen/internal/config"
	"pen/internal/names"
)

// resolveTime bounds the look-up of one name.
const resolveTime = 10 * time.Second

// An answerer finds the addresses of a configuration's servers.
type answerer struct {
	ctx     context.Context
	watcher *names.Watcher
	queries []names.Query         // all that are wanted
	known   map[string]netip.Addr // hosts that were found for this configuration
}

// host looks up a name. It may block.
func (r *answerer) host(name string) (netip.Addr, error) {
	if addr, ok := r.known[name]; ok {
		return addr, nil
	}
	answers, err := r.lookup(names.Query{Name: name})
	if err != nil {
		return netip.Addr{}, fmt.Errorf("unknown or invalid address [%s]: %w", name, err)
	}
	r.known[name] = answers[0].Addr
	return answers[0].Addr, nil
}

func (r *answerer) lookup(q names.Query) ([]names.Answer, error) {
	ctx, cancel := context.WithTimeout(r.ctx, resolveTime)
	defer cancel()
	r.queries = append(r.queries, q)
	return r.watcher.Lookup(ctx, q)
}

// spread puts the servers that DNS lists under the name of a service into the
// slots that name it, one into each; the slots that are left stay empty. Where
// the operator gives no port, weight or prio, those of DNS count. It may block.
func (r *answerer) spread(servers []config.Server) ([]config.Server, error) {
	var slots map[string][]int
	for slot, s := range servers {
		if isListed(s.Host) {
			if slots == nil {
				slots = map[string][]int{}
			}
			slots[s.Host] = append(slots[s.Host], slot)
		}
	}
	if slots == nil {
		return servers, nil
	}
	out := append([]config.Server(nil), servers...)
	for name, at := range slots {
		answers, err := r.lookup(names.Query{Name: name, Places: len(at)})
		if err != nil {
			return nil, fmt.Errorf("server %d: %w", at[0], err)
		}
		for i, slot := range at {
			out[slot] = listed(out[slot], answers[i])
		}
	}
	return out, nil
}

// isListed reports whether a host is the name of a service in DNS.
func isListed(host string) bool {
	return strings.HasPrefix(host, "_") && names.Query{Name: host, Places: 1}.IsService()
}

// listed is a server with what DNS says of it.
func listed(s config.Server, a names.Answer) config.Server {
	if !a.Addr.IsValid() {
		s.Host = ""
		return s
	}
	s.Host = a.Addr.String()
	if s.Port == 0 && s.Service == "" {
		s.Port = int(a.Port)
	}
	if !s.WeightSet && a.Weight > 0 {
		s.Weight, s.WeightSet = int(a.Weight), true
	}
	if s.Prio == 0 {
		s.Prio = int(a.Priority)
	}
	return s
}

// follow applies the configuration in force again when names have got other
// addresses, until the App is stopped.
func (a *App) follow() {
	for {
		select {
		case <-a.stopping.Done():
			return
		case <-a.renamed:
		}
		err := a.change(func(ctx context.Context) error { return a.apply(ctx, a.Config(), false) })
		if err != nil && a.stopping.Err() == nil {
			a.opt.Log.Error("new addresses of servers can't be used", "error", err)
		}
	}
}

// moved says that a name has got another address.
func (a *App) moved(q names.Query, answers []names.Answer) {
	a.opt.Log.Info("addresses have changed", "name", q.Name, "servers", len(answers), "first", answers[0].Addr)
	select {
	case a.renamed <- struct{}{}:
	default: // it will be looked at together with the last change
	}
}
