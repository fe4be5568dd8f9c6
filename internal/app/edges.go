package app

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"pen/internal/acme"
	"pen/internal/config"
	"pen/internal/edge"
	"pen/internal/plane"
	"pen/internal/plane/datagram"
	"pen/internal/plane/stream"
	"pen/internal/pool"
	"pen/internal/tlsterm"
)

// edges are what ends and begins TLS, made from files. What is asked for again
// is kept: with it go sessions, tickets and certificates under way.
type edges struct {
	servers map[string]tlsServer // by service
	clients map[tlsClient]*tlsterm.Client
}

type tlsServer struct {
	asked config.TLS
	*tlsterm.Server
	end context.CancelFunc // nil before it runs
}

// A tlsClient is what TLS towards some servers is made from.
type tlsClient struct {
	config.ServerTLS
	name string
}

// prepare makes what a configuration asks for and was does not have. It reads
// files, and changes nothing.
func (was edges) prepare(a *App, cfg config.Config) (edges, error) {
	next := edges{map[string]tlsServer{}, map[tlsClient]*tlsterm.Client{}}
	for _, s := range cfg.Services {
		if err := next.prepareServer(a, was, s); err != nil {
			return next, config.InService(s.Name, err)
		}
		var err error
		eachSlot(s, func(slot int, server config.Server) {
			if cerr := next.prepareClient(was, s, server); cerr != nil && err == nil {
				err = config.InService(s.Name, fmt.Errorf("%s: %w", whichServer(slot), cerr))
			}
		})
		if err != nil {
			return next, err
		}
	}
	return next, nil
}

func (e edges) prepareServer(a *App, was edges, s config.Service) error {
	if !s.TLS.On() {
		return nil
	}
	if running, ok := was.servers[s.Name]; ok && sameTLS(running.asked, s.TLS) {
		e.servers[s.Name] = running
		return nil
	}
	t, err := tlsterm.NewServer(serverConfig(s.TLS), a.log(s.Name))
	if err != nil {
		return err
	}
	e.servers[s.Name] = tlsServer{asked: s.TLS, Server: t}
	return nil
}

func sameTLS(a, b config.TLS) bool {
	same := slices.Equal(a.More, b.More)
	a.More, b.More = nil, nil
	return same && a.ACME == b.ACME && fmt.Sprint(a) == fmt.Sprint(b)
}

// serverConfig is a service's TLS in the words of tlsterm.
func serverConfig(t config.TLS) tlsterm.ServerConfig {
	out := tlsterm.ServerConfig{
		SNIDir: t.SNIDir, OCSP: t.OCSP, CAFile: t.CAFile, CADir: t.CADir, RequireClient: t.RequireClient,
		Ciphers: t.Ciphers, ALPN: config.Words(t.ALPN), Only13: t.Protocol == "tls1.3",
	}
	for _, p := range t.Pairs() {
		out.Certificates = append(out.Certificates, tlsterm.Pair(p))
	}
	if names := config.Words(t.ACME.Names); len(names) > 0 {
		out.ACME = &acme.Config{Names: names, Storage: t.ACME.Storage, Email: t.ACME.Email, CA: t.ACME.CA, CARoots: t.ACME.Roots}
	}
	return out
}

// prepareClient makes the client for one server's TLS.
func (e edges) prepareClient(was edges, s config.Service, server config.Server) error {
	key, ok := clientOf(s, server)
	if !ok || e.clients[key] != nil {
		return nil
	}
	if c := was.clients[key]; c != nil {
		e.clients[key] = c
		return nil
	}
	c, err := tlsterm.NewClient(tlsterm.ClientConfig{
		Name: key.name, CA: key.CA, Cert: key.Cert, Key: key.Key, ALPN: config.Words(key.ALPN), Insecure: key.NoVerify,
	})
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	e.clients[key] = c
	return nil
}

// clientOf is what TLS towards a server is made from. It reports false where
// there is none.
func clientOf(s config.Service, server config.Server) (tlsClient, bool) {
	if !server.Used() || cmp.Or(server.TLS, map[bool]string{true: "on"}[s.ServerTLS.On]) != "on" {
		return tlsClient{}, false
	}
	return tlsClient{s.ServerTLS, cmp.Or(server.TLSName, s.ServerTLS.Name)}, true
}

// preamble is what precedes a client's bytes on connections to a server, nil for
// nothing.
func (e edges) preamble(s config.Service, server config.Server) pool.Preamble {
	p := edge.Preamble{Header: s.SendProxy.Version, Each: s.SendProxy.Each, TLVs: s.SendProxy.TLVs}
	if server.SendProxy != "" {
		p.Header = map[string]int{"v1": 1, "v2": 2}[server.SendProxy]
	}
	if key, ok := clientOf(s, server); ok {
		p.TLS = e.clients[key]
		if !server.IsPath() {
			p.Host = certificateName(server)
		}
	}
	if p.Header == 0 && p.TLS == nil {
		return nil
	}
	return p
}

// useTLS has the servers that are new do what takes time, and ends that of those
// that are gone. Called within change.
func (a *App) useTLS(next edges) {
	for name, s := range a.edges.servers {
		if next.servers[name].Server != s.Server && s.end != nil {
			s.end()
		}
	}
	a.edges = next
	if a.started {
		a.runTLS()
	}
}

// runTLS runs the servers that do not run. Called within change.
func (a *App) runTLS() {
	all := maps.Clone(a.edges.servers) // others look at the old one
	for name, s := range all {
		if s.end == nil {
			var ctx context.Context
			ctx, s.end = context.WithCancel(a.stopping)
			a.serving.Go(func() { s.Run(ctx) })
			all[name] = s
		}
	}
	a.edges.servers = all
}

// reloadTLS reads certificates anew, and says what is wrong with them. Called
// within change.
func (a *App) reloadTLS() {
	for name, s := range a.edges.servers {
		if err := s.Reload(); err != nil {
			a.log(name).Error("certificates were not read anew; the old ones stay", "error", err)
		}
	}
	for _, c := range a.edges.clients {
		if err := c.Reload(); err != nil {
			a.opt.Log.Error("certificates were not read anew; the old ones stay", "error", err)
		}
	}
}

// tlsBacklog is how many connections may wait to be accepted where there is a
// handshake to be done for each, unless the configuration says otherwise: what can
// be done within a second. In a longer queue clients would give up, and be served
// when they have.
const tlsBacklog = 128

// edgesOf is what planes do at the begin of connections, by service.
func (a *App) edgesOf(cfg config.Config, services map[string]*service) map[string]*stream.Edge {
	out := map[string]*stream.Edge{}
	for _, s := range cfg.Services {
		e := &stream.Edge{TLS: a.edges.servers[s.Name].Server}
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

// sayObsolete says once that an old protocol is not spoken. Called within change.
func (a *App) sayObsolete(cfg config.Config) {
	for _, s := range cfg.Services {
		if s.TLS.On() && s.TLS.Obsolete() && !a.obsolete {
			a.obsolete = true
			a.log(s.Name).Warn("TLS 1.2 is the oldest protocol that is spoken", "wanted", s.TLS.Protocol)
		}
	}
}

// setEdges tells a plane what to do at the begin of connections.
func setEdges(p plane.Plane, s config.Service, e *stream.Edge) {
	switch p := p.(type) {
	case *stream.Plane:
		p.SetEdge(e)
	case *datagram.Plane:
		p.SetAccept(&datagram.Accept{Networks: e.Accept, Unix: e.AcceptUnix, First: hasWord(s.AcceptProxy, config.AcceptFirst)})
		p.SetRules(&datagram.Rules{Unproven: s.UDPUnproven, Responses: s.UDPResponses, Requests: s.UDPRequests, PerDatagram: perDatagram(s)})
	}
}

func hasWord(list, word string) bool { return slices.Contains(config.Words(list), word) }
