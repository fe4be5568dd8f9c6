package app

import (
	"slices"

	"pen/internal/build"
	"pen/internal/config"
	"pen/internal/edge"
	"pen/internal/pool"
)

// endsOf returns what planes do before and behind the relaying of bytes, by service.
func endsOf(cfg config.Config, b *build.Built, services map[string]*service) map[string]*edge.Ends {
	out := map[string]*edge.Ends{}
	for i, s := range cfg.Services {
		e := &edge.Ends{
			Proxies: edge.Proxies{
				Networks: config.Networks(s.AcceptProxy), Unix: hasWord(s.AcceptProxy, config.AcceptUnix), First: hasWord(s.AcceptProxy, config.AcceptFirst),
			},
			TLS: b.TLS.Server(s.Name), Preambles: hasPreamble(b.Policies[i].Pool),
		}
		if s.HTTP {
			e.HTTP = &edge.HTTP{Forwarded: s.HTTPForwarded, Trust: config.Networks(s.HTTPTrust), MaxHead: s.HTTPHead}
		}
		if s.UDP {
			e.Datagrams = &edge.Datagrams{Unproven: s.UDPUnproven, Responses: s.UDPResponses, Requests: s.UDPRequests, PerDatagram: build.PerDatagram(s)}
		}
		out[s.Name] = e
	}
	for _, s := range cfg.Services {
		if len(s.Routes) == 0 {
			continue
		}
		out[s.Name].Routes = &edge.Routes[edge.Service]{}
		for _, r := range s.Routes {
			to := edge.Service{Ends: out[r.Service]}
			if running := services[r.Service]; running != nil {
				to.Dispatcher = running.d
			}
			out[s.Name].Routes.Add(r.By, r.Pattern, to)
		}
	}
	return out
}

// hasPreamble reports whether connections to some server begin with a Preamble.
func hasPreamble(p pool.Settings) bool {
	for _, servers := range [][]pool.Config{p.Servers, p.Emergency, {p.Abuse}} {
		if slices.ContainsFunc(servers, func(c pool.Config) bool { return c.Preamble != nil }) {
			return true
		}
	}
	return false
}

func hasWord(list, word string) bool { return slices.Contains(config.Words(list), word) }
