package build

import (
	"cmp"
	"fmt"
	"iter"
	"log/slog"
	"slices"

	"pen/internal/acme"
	"pen/internal/config"
	"pen/internal/edge"
	"pen/internal/pool"
	"pen/internal/tlsterm"
)

// TLS is what terminates TLS of clients and starts TLS to servers, made from files.
// What is asked for again is kept, with its sessions, tickets and certificates.
type TLS struct {
	servers map[string]tlsServer // by service
	clients map[tlsClient]*tlsterm.Client
}

type tlsServer struct {
	asked config.TLS
	*tlsterm.Server
}

// A tlsClient is what TLS towards some servers is made from.
type tlsClient struct {
	config.ServerTLS
	name string
}

// prepare makes what a configuration asks for and was does not have. It reads
// files, and changes nothing.
func (was TLS) prepare(log *slog.Logger, cfg config.Config) (TLS, error) {
	next := TLS{map[string]tlsServer{}, map[tlsClient]*tlsterm.Client{}}
	for _, s := range cfg.Services {
		if err := next.prepareServer(log, was, s); err != nil {
			return next, config.InService(s.Name, err)
		}
		var err error
		eachSlot(&s, func(slot int, server *config.Server) {
			if cerr := next.prepareClient(was, &s, server); cerr != nil && err == nil {
				err = config.InService(s.Name, fmt.Errorf("%s: %w", whichServer(slot), cerr))
			}
		})
		if err != nil {
			return next, err
		}
	}
	return next, nil
}

func (t TLS) prepareServer(log *slog.Logger, was TLS, s config.Service) error {
	if !s.TLS.On() {
		return nil
	}
	if running, ok := was.servers[s.Name]; ok && sameTLS(running.asked, s.TLS) {
		t.servers[s.Name] = running
		return nil
	}
	server, err := tlsterm.NewServer(serverConfig(s.TLS), log.With("service", s.Name))
	if err != nil {
		return err
	}
	t.servers[s.Name] = tlsServer{s.TLS, server}
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
func (t TLS) prepareClient(was TLS, s *config.Service, server *config.Server) error {
	key, ok := clientOf(s, server)
	if !ok || t.clients[key] != nil {
		return nil
	}
	if c := was.clients[key]; c != nil {
		t.clients[key] = c
		return nil
	}
	c, err := tlsterm.NewClient(tlsterm.ClientConfig{
		Name: key.name, CA: key.CA, Cert: key.Cert, Key: key.Key, ALPN: config.Words(key.ALPN), Insecure: key.NoVerify,
	})
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	t.clients[key] = c
	return nil
}

// clientOf is what TLS towards a server is made from. It reports false where
// there is none.
func clientOf(s *config.Service, server *config.Server) (tlsClient, bool) {
	if on := server.TLS == "on" || server.TLS == "" && s.ServerTLS.On; !on || !server.Used() {
		return tlsClient{}, false
	}
	return tlsClient{s.ServerTLS, cmp.Or(server.TLSName, s.ServerTLS.Name)}, true
}

// preamble is what precedes a client's bytes on connections to a server, nil for
// nothing.
func (t TLS) preamble(s *config.Service, server *config.Server) pool.Preamble {
	p := edge.Preamble{Header: s.SendProxy.Version, Each: s.SendProxy.Each, TLVs: s.SendProxy.TLVs}
	if server.SendProxy != "" {
		p.Header = map[string]int{"v1": 1, "v2": 2}[server.SendProxy]
	}
	if key, ok := clientOf(s, server); ok {
		p.TLS = t.clients[key]
		if !server.IsPath() {
			p.Host = certificateName(*server)
		}
	}
	if p.Header == 0 && p.TLS == nil {
		return nil
	}
	return p
}

// Server returns what terminates TLS of a service's clients, or nil.
func (t TLS) Server(service string) *tlsterm.Server { return t.servers[service].Server }

// Servers returns all of them.
func (t TLS) Servers() iter.Seq[*tlsterm.Server] {
	return func(yield func(*tlsterm.Server) bool) {
		for _, s := range t.servers {
			if !yield(s.Server) {
				return
			}
		}
	}
}

// Reload reads all certificates again, and logs what is wrong with them. It blocks
// on files.
func (t TLS) Reload(log *slog.Logger) {
	const failed = "certificates were not read anew; the old ones stay"
	for name, s := range t.servers {
		if err := s.Reload(); err != nil {
			log.Error(failed, "service", name, "error", err)
		}
	}
	for _, c := range t.clients {
		if err := c.Reload(); err != nil {
			log.Error(failed, "error", err)
		}
	}
}
