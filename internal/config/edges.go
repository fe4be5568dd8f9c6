package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"pen/internal/wire"
)

// Words of AcceptProxy that are no networks.
const (
	AcceptUnix  = "unix"  // all clients of a Unix socket
	AcceptFirst = "first" // only the first datagram of a flow has a header
)

// edging are the verbs of what is read off or put on connections, beside TLS
// towards clients.
func edging() []Verb {
	return []Verb{
		{
			Name: "accept_proxy", Long: "accept-proxy", Negatable: true, Level: Admin,
			does:    plain(wordList("NETWORK...|unix|first", proxyNetwork), func(s *Service) *string { return &s.AcceptProxy }),
			Help:    "proxies that must begin each connection with a PROXY header",
			More:    "The header says who the client is. unix: all clients of a Unix socket. first: only the first datagram of a flow has one.",
			Example: "accept_proxy 10.0.0.0/8", See: "send_proxy http_trust",
		},
		{
			Name: "send_proxy", Args: "[v1|v2|off " + keyArgs(proxyKeys) + "]", Long: "send-proxy", Negatable: true, Level: Admin, none: "off",
			does:    on(setSendProxy, saveSendProxy),
			Help:    "begin connections to servers with a PROXY header",
			More:    "each: every datagram, not only the first. tlvs: also say authority,alpn,unique_id,ssl,crc32c. max: the longest header (107).",
			Example: "send_proxy v2 tlvs authority,ssl", See: "accept_proxy transparent http",
		},
		{
			Name: "tls", Args: "[on|off " + keyArgs(tlsKeys) + "]", Long: "tls", Negatable: true, Level: Local, none: "off",
			does: on(setServerTLS, saveServerTLS),
			Help: "speak TLS to servers, and verify their certificates by name", Example: "tls on name app.example.com ca /etc/pen/ca.pem",
			See: "ssl server",
		},
		{
			Name: "http", Short: "H", Long: "http", Negatable: true, Level: Admin, saved: always,
			does: plain(flag(), func(s *Service) *bool { return &s.HTTP }),
			Help: "tell servers about the client in each HTTP request", More: "By X-Forwarded-For and X-Forwarded-Proto.", Example: "http on",
			See: "http_forwarded http_head http_trust",
		},
		{
			Name: "http_forwarded", Long: "http-forwarded", Negatable: true, Level: Admin,
			does: plain(flag(), func(s *Service) *bool { return &s.HTTPForwarded }), Help: "with http, the Forwarded field as well",
			Example: "http_forwarded on", See: "http",
		},
		{
			Name: "http_trust", Long: "http-trust", Negatable: true, Level: Admin,
			does: plain(wordList("NETWORK...", network), func(s *Service) *string { return &s.HTTPTrust }),
			Help: "with http, clients that are proxies: their own fields are kept", Example: "http_trust 10.0.0.0/8", See: "http",
		},
		{
			Name: "http_head", Long: "http-head", Negatable: true, Level: Admin,
			does: plain(kind[int]{args: "SIZE", parse: parseHead, write: headSize}, func(s *Service) *int { return &s.HTTPHead }),
			Help: "with http, how large the head of a request may be, 1k to 64k", More: "1k is 1024 bytes.", Example: "http_head 32k", See: "http",
		},
		{
			Name: "route", Args: "[sni PATTERN SERVICE | alpn PROTOCOL SERVICE | default SERVICE]", NoArgs: "[sni PATTERN | alpn PROTOCOL | default]",
			Long:      "route",
			Negatable: true, Level: Admin, none: "off", does: on(setRoute, saveRoutes),
			Help:    "give connections to another service by what their TLS asks for",
			More:    "TLS does not end here then. no route sni PATTERN takes one route back, no route all of them.",
			Example: "route sni *.example.com web", See: "service",
		},
	}
}

// parseHead understands bytes, as in 20000, and KiB, as in 32k. 0 is the default.
func parseHead(_, text string) (int, error) {
	word := strings.TrimSuffix(strings.ToLower(text), "k")
	n, err := strconv.Atoi(word)
	if err == nil && word != text && n <= wire.LargestHead {
		n <<= 10
	}
	if err != nil || n < 1<<10 || n > wire.LargestHead {
		return 0, fmt.Errorf("%q is not the size of a head, want 1k to 64k", text)
	}
	if n == wire.DefaultHead {
		n = 0
	}
	return n, nil
}

// headSize is how a size is written; 0 is the default.
func headSize(n int) string {
	if n == 0 {
		n = wire.DefaultHead
	}
	if n%(1<<10) == 0 {
		return strconv.Itoa(n>>10) + "k"
	}
	return strconv.Itoa(n)
}

// checkEdges reports what does not go together in a service.
func (c Config) checkEdges(s Service) error {
	udp := func(set bool, word string) error {
		if set && s.UDP {
			return fmt.Errorf("%s: is for connections, and this service balances datagrams", word)
		}
		return nil
	}
	if err := errors.Join(
		udp(s.TLS.On(), "ssl"), udp(s.ServerTLS.On, "tls"), udp(s.HTTP, "http"), udp(len(s.Routes) > 0, "route"), s.TLS.check(),
	); err != nil {
		return err
	}
	for _, r := range s.Routes {
		i, what := c.indexOf(r.Service), strings.TrimSpace(r.By+" "+r.Pattern)
		if i < 0 {
			return fmt.Errorf("route %s: %w", what, c.noService(r.Service))
		}
		if c.Services[i].UDP {
			return fmt.Errorf("route %s: service %s balances datagrams", what, r.Service)
		}
	}
	if s.HTTP && slices.Contains(splitWords(s.TLS.ALPN), "h2") {
		return errors.New("http: HTTP/2 can't be told about clients, want ssl_alpn without h2")
	}
	if !s.UDP {
		return nil
	}
	for what, server := range s.EveryServer() {
		if (server.SendProxy == "v1" || server.SendProxy == "" && s.SendProxy.Version == 1) && server.Used() {
			return fmt.Errorf("%s: send_proxy v1 is for connections, want v2 for datagrams", what)
		}
		if server.TLS == "on" {
			return fmt.Errorf("%s: tls is for connections, and this service balances datagrams", what)
		}
	}
	return nil
}

// CheckEdges reports what does not go together in what is read off or put on
// connections. It reads no files.
func (c Config) CheckEdges() error {
	for _, s := range c.Services {
		if err := c.checkEdges(s); err != nil {
			if s.Name != DefaultService {
				err = fmt.Errorf("service %s: %w", s.Name, err)
			}
			return err
		}
	}
	return nil
}

// Networks are the networks of a list of words; words that are none are left out.
func Networks(words string) (networks []netip.Prefix) {
	for _, word := range splitWords(words) {
		if p, err := parseNetwork(word); err == nil { // checked when it was set
			networks = append(networks, p)
		}
	}
	return networks
}

// Words are the words of a list that a setting keeps as a text.
func Words(list string) []string { return splitWords(list) }

func proxyNetwork(word string) error {
	if word == AcceptUnix || word == AcceptFirst {
		return nil
	}
	return network(word)
}
