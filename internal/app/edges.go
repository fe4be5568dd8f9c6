package app

import (
	"slices"

	"pen/internal/build"
	"pen/internal/config"
	"pen/internal/edge"
	"pen/internal/plane"
	"pen/internal/plane/datagram"
	"pen/internal/plane/stream"
)

// tlsBacklog is how many connections may wait to be accepted where there is a
// handshake to be done for each, unless the configuration says otherwise: what can
// be done within a second. In a longer queue clients would give up, and be served
// when they have.
const tlsBacklog = 128

// edgesOf is what planes do at the begin of connections, by service.
func edgesOf(cfg config.Config, tls build.TLS, services map[string]*service) map[string]*stream.Edge {
	out := map[string]*stream.Edge{}
	for _, s := range cfg.Services {
		e := &stream.Edge{TLS: tls.Server(s.Name)}
		e.Accept, e.AcceptUnix = config.Networks(s.AcceptProxy), hasWord(s.AcceptProxy, config.AcceptUnix)
		if s.HTTP {
			e.HTTP = &stream.HTTP{Forwarded: s.HTTPForwarded, Trust: config.Networks(s.HTTPTrust), MaxHead: s.HTTPHead}
		}
		out[s.Name] = e
	}
	for _, s := range cfg.Services {
		if len(s.Routes) == 0 {
			continue
		}
		routes := &edge.Routes[stream.Service]{}
		for _, r := range s.Routes {
			routes.Add(r.By, r.Pattern, stream.Service{Dispatcher: services[r.Service].d, Edge: out[r.Service]})
		}
		out[s.Name].Routes = routes
	}
	return out
}

// setEdges tells a plane what to do at the begin of connections.
func setEdges(p plane.Plane, s config.Service, e *stream.Edge) {
	switch p := p.(type) {
	case *stream.Plane:
		p.SetEdge(e)
	case *datagram.Plane:
		p.SetAccept(&datagram.Accept{Networks: e.Accept, Unix: e.AcceptUnix, First: hasWord(s.AcceptProxy, config.AcceptFirst)})
		p.SetRules(&datagram.Rules{Unproven: s.UDPUnproven, Responses: s.UDPResponses, Requests: s.UDPRequests, PerDatagram: build.PerDatagram(s)})
	}
}

func hasWord(list, word string) bool { return slices.Contains(config.Words(list), word) }
