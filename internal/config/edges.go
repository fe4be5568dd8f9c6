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

// ServerTLS is TLS towards servers.
type ServerTLS struct {
	On       bool
	Name     string // what their certificates must be for; "": what each is called
	CA       string // PEM file with who signs them; "": those that the system trusts
	Cert     string // PEM file, for servers that want one of us
	Key      string // its key; "": in the same file
	ALPN     string // words
	NoVerify bool
}

// SendProxy is the PROXY header towards servers.
type SendProxy struct {
	Version int       // 0: none
	Each    bool      // with every datagram, not only the first of a flow
	TLVs    wire.TLVs // in version 2
}

// A Route gives connections that begin with TLS to another service.
type Route struct {
	By      string // "sni", "alpn" or "default"
	Pattern string // of the name, or a protocol
	Service string
}

// Words of AcceptProxy that are no networks.
const (
	AcceptUnix  = "unix"  // whoever comes by a Unix socket
	AcceptFirst = "first" // only the first datagram of a flow has a header
)

// maxRoutes bounds what a slip of the finger costs.
const maxRoutes = 10_000

// edging are the verbs of what is read off or put on connections, beside TLS
// towards clients.
func edging() []Verb {
	return []Verb{
		boolean("http", "H", "http", "tell servers about the client in each HTTP request: X-Forwarded-For, X-Forwarded-Proto", func(s *Service) *bool { return &s.HTTP }),
		boolean("http_forwarded", "", "http-forwarded", "with http, the Forwarded field as well", func(s *Service) *bool { return &s.HTTPForwarded }),
		wordList("http_trust", "NETWORK...", "http-trust", "with http, clients that are proxies: their own fields are kept", network, func(s *Service) *string { return &s.HTTPTrust }),
		asked(row(Verb{
			Name: "http_head", Args: "SIZE", Long: "http-head", most: 1, Negatable: true, Help: "with http, how large the head of a request may be, 1k to 64k (1k is 1024 bytes); no http_head: 16k",
		}, on[Service]{
			set: setHTTPHead, show: func(s *Service) string { return headSize(s.HTTPHead) }, save: func(s *Service) []string { return []string{"http_head " + headSize(s.HTTPHead)} },
		})),
		wordList("accept_proxy", "NETWORK...|unix|first", "accept-proxy", "proxies that must begin each connection or datagram with a PROXY header, which says who the client is; first: only the first datagram of a flow", proxyNetwork, func(s *Service) *string { return &s.AcceptProxy }),
		asked(row(Verb{
			Name: "send_proxy", Args: "v1|v2|off [each] [tlvs LIST] [max BYTES]", Long: "send-proxy", several: true, Negatable: true, most: many, Help: "begin connections to servers with a PROXY header; each: every datagram, not only the first; tlvs: with what else, of authority,alpn,unique_id,ssl,crc32c; max: of at most so many bytes (107)",
		}, on[Service]{
			set: setSendProxy, save: saveSendProxy,
		})),
		asked(row(Verb{
			Name: "tls", Args: "on|off [name NAME] [ca FILE] [cert FILE] [key FILE] [alpn PROTOCOL] [noverify]", Long: "tls", several: true, Negatable: true, most: many, Help: "speak TLS to servers, whose certificates are verified by name",
		}, on[Service]{
			set: setServerTLS, save: saveServerTLS,
		})),
		asked(row(Verb{
			Name: "route", Args: "sni PATTERN SERVICE|alpn PROTOCOL SERVICE|default SERVICE", Long: "route", several: true, Negatable: true, most: 3, mostNo: 2, Help: "give connections to another service by the name or protocol that their TLS asks for, without ending it; no route [sni PATTERN|...] takes it back",
		}, on[Service]{
			set: setRoute, save: saveRoutes,
		})),
	}
}

// setHTTPHead understands bytes, as in 20000, and KiB, as in 32k.
func setHTTPHead(s *Service, no bool, args []string) error {
	if no {
		s.HTTPHead = 0
		return nil
	}
	word := strings.TrimSuffix(strings.ToLower(args[0]), "k")
	n, err := strconv.Atoi(word)
	if err == nil && word != args[0] && n <= wire.LargestHead {
		n <<= 10
	}
	if err != nil || n < 1<<10 || n > wire.LargestHead {
		return fmt.Errorf("%q is not the size of a head, want 1k to 64k", args[0])
	}
	if n == wire.DefaultHead {
		n = 0
	}
	s.HTTPHead = n
	return nil
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
	for what, server := range s.EveryServer() {
		if s.UDP && (server.SendProxy == "v1" || server.SendProxy == "" && s.SendProxy.Version == 1) && server.Used() {
			return fmt.Errorf("%s: send_proxy v1 is for connections, want v2 for datagrams", what)
		}
		if s.UDP && server.TLS == "on" {
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

// HasEdges reports whether connections are more than relayed: something is read
// off or put on them.
func (s Service) HasEdges() bool {
	return s.TLS.On() || s.ServerTLS.On || s.HTTP || len(s.Routes) > 0 || s.AcceptProxy != "" || s.SendProxy.Version != 0 ||
		slices.ContainsFunc(append(append(s.Emergencies(), s.Abuse), s.Servers...), Server.hasEdges)
}

func (s Server) hasEdges() bool {
	return s.SendProxy != "" && s.SendProxy != "off" || s.TLS == "on"
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

func parseNetwork(word string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(word); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(word)
	if err != nil || p.Addr().Is4In6() {
		return p, fmt.Errorf("%q is not a network, want such as 192.0.2.0/24 or 2001:db8::/32", word)
	}
	return p.Masked(), nil
}

func network(word string) error {
	_, err := parseNetwork(word)
	return err
}

func proxyNetwork(word string) error {
	if word == AcceptUnix || word == AcceptFirst {
		return nil
	}
	return network(word)
}

// wordList is a setting that is a list, kept as a text.
func wordList[T subject](name, args, long, help string, check func(string) error, field func(*T) *string) Verb {
	return row(Verb{
		Name: name, Args: "[" + args + "]", Long: long, several: true, Negatable: true, most: many, Help: help,
	}, on[T]{
		set: func(v *T, no bool, args []string) error {
			if no {
				args = nil
			}
			var words []string
			for _, word := range args {
				if err := check(word); err != nil {
					return err
				}
				if !slices.Contains(words, word) {
					words = append(words, word)
				}
			}
			all := strings.Join(words, " ")
			if len(all) > maxWord {
				return fmt.Errorf("a list of %d bytes, want at most %d", len(all), maxWord)
			}
			*field(v) = all
			return nil
		}, show: func(v *T) string { return *field(v) }, save: saveText(name, field),
	})
}

func setSendProxy(s *Service, no bool, args []string) error {
	var next SendProxy
	if !no {
		var err error
		if next.Version, err = parseProxyVersion(args[0]); err != nil {
			return err
		}
		if err := next.parse(args[1:]); err != nil {
			return err
		}
	}
	s.SendProxy = next
	return nil
}

// parse understands what may follow the version.
func (p *SendProxy) parse(words []string) error {
	for ; len(words) > 0; words = words[1:] {
		word := words[0]
		switch {
		case word == "each":
			p.Each = true
			continue
		case strings.ReplaceAll(word, "-", "_") == "unique_id":
			p.TLVs.UniqueID = true
			continue
		case word != "tlvs" && word != "max":
			return noneOf(word, "each", "tlvs", "max", "unique_id")
		case len(words) < 2:
			return fmt.Errorf("%q has no value", word)
		}
		words = words[1:]
		if word == "tlvs" {
			if err := parseTLVs(&p.TLVs, words[0]); err != nil {
				return err
			}
			continue
		}
		most, err := strconv.Atoi(words[0])
		if err != nil || most < wire.LeastTLVs || most > wire.MaxHeader {
			return fmt.Errorf("max %q: want %d to %d bytes", words[0], wire.LeastTLVs, wire.MaxHeader)
		}
		p.TLVs.Most = most
	}
	if p.Version == 1 && p.TLVs != (wire.TLVs{}) {
		return errors.New("a header of version 1 has no TLVs, want v2")
	}
	return nil
}

// tlvFields are the words of TLVs with the fields that they set.
func tlvFields(t *wire.TLVs) []struct {
	word string
	on   *bool
} {
	return []struct {
		word string
		on   *bool
	}{{"authority", &t.Authority}, {"alpn", &t.ALPN}, {"unique_id", &t.UniqueID}, {"ssl", &t.TLS}, {"crc32c", &t.CRC32C}}
}

// parseTLVs understands a list such as authority,alpn.
func parseTLVs(t *wire.TLVs, list string) error {
	for word := range strings.SplitSeq(list, ",") {
		known := false
		for _, f := range tlvFields(t) {
			if f.word == strings.ReplaceAll(word, "-", "_") { // as HAProxy writes it, too
				*f.on, known = true, true
			}
		}
		if !known {
			return fmt.Errorf("%q is none of the TLVs authority, alpn, unique_id, ssl, crc32c", word)
		}
	}
	return nil
}

// parseProxyVersion understands v1, v2 and off.
func parseProxyVersion(word string) (int, error) {
	version := slices.Index([]string{"off", "v1", "v2"}, word)
	if version < 0 {
		return 0, noneOf(word, "v1", "v2", "off")
	}
	return version, nil
}

func saveSendProxy(s *Service) []string {
	p := s.SendProxy
	if p.Version == 0 {
		return []string{"no send_proxy"}
	}
	line := fmt.Sprintf("send_proxy v%d", p.Version)
	if p.Each {
		line += " each"
	}
	var tlvs []string
	for _, f := range tlvFields(&p.TLVs) {
		if *f.on {
			tlvs = append(tlvs, f.word)
		}
	}
	if tlvs != nil {
		line += " tlvs " + strings.Join(tlvs, ",")
	}
	if p.TLVs.Most != 0 {
		line += " max " + strconv.Itoa(p.TLVs.Most)
	}
	return []string{line}
}

// fields are the keys of the tls verb with the fields that they set.
func (t *ServerTLS) fields() []struct {
	key   string
	value *string
} {
	return []struct {
		key   string
		value *string
	}{{"name", &t.Name}, {"ca", &t.CA}, {"cert", &t.Cert}, {"key", &t.Key}, {"alpn", &t.ALPN}}
}

func setServerTLS(s *Service, no bool, args []string) error {
	var next ServerTLS
	switch {
	case no || args[0] == "off":
		s.ServerTLS = next
		return nil
	case args[0] != "on":
		return noneOf(args[0], "on", "off")
	}
	next.On = true
	for rest := args[1:]; len(rest) > 0; rest = rest[1:] {
		if rest[0] == "noverify" {
			next.NoVerify = true
			continue
		}
		known := false
		for _, f := range next.fields() {
			if f.key != rest[0] {
				continue
			}
			if len(rest) < 2 {
				return fmt.Errorf("%q has no value", rest[0])
			}
			if err := parseWord(rest[1]); err != nil {
				return err
			}
			known, *f.value = true, rest[1]
		}
		if !known {
			return noneOf(rest[0], "name", "ca", "cert", "key", "alpn", "noverify")
		}
		rest = rest[1:]
	}
	if next.Key != "" && next.Cert == "" {
		return errors.New("key: there is no certificate for it, want cert FILE as well")
	}
	s.ServerTLS = next
	return nil
}

func saveServerTLS(s *Service) []string {
	if !s.ServerTLS.On {
		return []string{"no tls"}
	}
	line := "tls on"
	for _, f := range s.ServerTLS.fields() {
		if *f.value != "" {
			line += " " + f.key + " " + *f.value
		}
	}
	if s.ServerTLS.NoVerify {
		line += " noverify"
	}
	return []string{line}
}

func setRoute(s *Service, no bool, args []string) error {
	if no && len(args) == 0 {
		s.Routes = nil
		return nil
	}
	r, rest, err := parseRoute(args)
	if err != nil {
		return err
	}
	all := slices.DeleteFunc(slices.Clone(s.Routes), func(o Route) bool { return o.By == r.By && o.Pattern == r.Pattern })
	if !no {
		switch {
		case len(rest) == 0:
			return errors.New("want a service that it leads to")
		case !isName(rest[0]):
			return fmt.Errorf("%q can't be the name of a service", rest[0])
		case len(all) == maxRoutes:
			return fmt.Errorf("there are %d already, want no more", maxRoutes)
		}
		r.Service = rest[0]
		all = append(all, r)
	}
	if len(all) == 0 {
		all = nil
	}
	s.Routes = all
	return nil
}

// parseRoute understands what a route goes by, and returns the words behind.
func parseRoute(args []string) (r Route, rest []string, err error) {
	r.By, rest = args[0], args[1:]
	switch {
	case r.By == "default":
		return r, rest, nil
	case r.By != "sni" && r.By != "alpn":
		return r, rest, noneOf(r.By, "sni", "alpn", "default")
	case len(rest) == 0:
		return r, rest, fmt.Errorf("%s has no value", r.By)
	}
	r.Pattern, rest = rest[0], rest[1:]
	if r.By == "sni" {
		r.Pattern = strings.ToLower(strings.TrimSuffix(r.Pattern, "."))
		if _, ok := wire.HostName(strings.TrimPrefix(r.Pattern, "*.")); !ok && r.Pattern != "*" {
			return r, rest, fmt.Errorf("%q is not the name of a host, want such as www.example.com, *.example.com or *", r.Pattern)
		}
	}
	return r, rest, parseWord(r.Pattern)
}

func saveRoutes(s *Service) []string {
	var lines []string
	for _, r := range s.Routes {
		lines = append(lines, strings.Join(splitWords(fmt.Sprintf("route %s %s %s", r.By, r.Pattern, r.Service)), " "))
	}
	if lines == nil {
		return []string{"no route"}
	}
	return lines
}
