package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// serverKeys are the keys of the server command, in the order in which they are
// saved.
var serverKeys = makeServerKeys()

func makeServerKeys() []key[Server] {
	limit := func(name, help string, most int, field func(*Server) *int) key[Server] {
		k := keyOf(name, number(0, most), field)
		k.help, k.level, k.get = help, Operate, func(s *Server) string { return strconv.Itoa(*field(s)) } // also 0, as C Pen
		return k
	}
	said := func(k key[Server], level Level, help string) key[Server] {
		k.help, k.level = help, level
		return k
	}
	acl := limit("acl", "number of the access list of clients that may use it", ACLCount-1, func(s *Server) *int { return &s.ACL })
	acl.args, acl.level = "LIST", Admin
	proxy := choice("", "v1", "v2", "off")
	return []key[Server]{
		acl,
		{
			name: "address", args: "HOST", level: Admin, set: (*Server).setHost, get: (*Server).host,
			help: "name, address, or path of a Unix socket; 0.0.0.0 frees the slot",
		},
		{
			name: "port", args: "PORT", level: Admin, set: (*Server).setPort, get: func(s *Server) string { return s.port() },
			help: "number or name of a service; the listener's if none is given",
		},
		limit("max", "connections at which it gets no new clients; 0: no limit", maxInt, func(s *Server) *int { return &s.Max }),
		limit("hard", "connections up to which it gets clients that it served before; 0: no limit", maxInt, func(s *Server) *int { return &s.Hard }),
		{
			name: "weight", args: "N", level: Operate, set: (*Server).setWeight, get: (*Server).weight,
			help: "its share of new clients; 0: none",
		},
		said(keyOf("prio", number(-maxInt, maxInt), func(s *Server) *int { return &s.Prio }), Operate, "its place with prio; lower comes first"),
		{
			name: "name", args: "NAME", level: Admin, set: (*Server).setName, get: func(s *Server) string { return s.Name },
			help: "by which commands may speak of it instead of its slot",
		},
		{
			name: "state", args: "enabled|drain|disabled", level: Operate, set: (*Server).setState, get: func(s *Server) string { return string(s.State) },
			help: "whether it takes clients: drain finishes those that it has",
		},
		said(keyOf("send_proxy", proxy, func(s *Server) *string { return &s.SendProxy }), Admin, "PROXY header to it, if not as the service says"),
		{
			name: "tls", args: "on|off", level: Admin, set: (*Server).setTLS, get: func(s *Server) string { return s.TLS },
			help: "whether to speak TLS to it, if not as the service says",
		},
		said(keyOf("tls_name", word("NAME"), func(s *Server) *string { return &s.TLSName }), Admin, "what its certificate must be for"),
		{
			name: "blacklist", args: "TIME", level: Operate, help: "take it out of rotation for so long; 0 ends it",
			set: func(_ *Server, text string) error {
				if _, err := ParseDuration(text); err != nil {
					return fmt.Errorf("blacklist %w", err)
				}
				return nil
			},
			get: func(*Server) string { return "" }, // it is for what runs
		},
	}
}

// A ServerKey is a key of the server command, for manuals.
type ServerKey struct{ Name, Args, Help string }

// ServerKeys are the keys of the server command in alphabetic order.
func ServerKeys() []ServerKey {
	var out []ServerKey
	for _, k := range serverKeys {
		out = append(out, ServerKey{k.name, k.args, k.help})
	}
	slices.SortFunc(out, func(a, b ServerKey) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// serverKey returns a key by its name.
func serverKey(name string) (key[Server], bool) {
	i := slices.IndexFunc(serverKeys, func(k key[Server]) bool { return k.name == name })
	if i < 0 {
		return key[Server]{}, false
	}
	return serverKeys[i], true
}

// setKey sets one field by its key in a server command.
func (s *Server) setKey(name, value string) error {
	k, ok := serverKey(name)
	if !ok {
		names := slices.Sorted(slices.Values(keyNames(serverKeys)))
		return fmt.Errorf("unknown key %q, want one of %s%s", name, strings.Join(names, ", "), didYouMean(name, names))
	}
	return k.set(s, value)
}

// parseServer understands HOST[:PORT[:MAX[:HARD[:WEIGHT[:PRIO]]]]], where HOST
// may be an IPv6 address in brackets or the path of a Unix socket
// (specification, section 2). What s has besides stays: an option may have set
// it before.
func parseServer(s Server, spec string) (Server, error) {
	host, rest := spec, ""
	if strings.HasPrefix(spec, "[") {
		end := strings.IndexByte(spec, ']')
		if end < 0 {
			return s, fmt.Errorf("server %q: the bracket is not closed, want [ADDRESS]:PORT", spec)
		}
		host, rest = spec[1:end], spec[end+1:]
		if rest != "" && rest[0] != ':' {
			return s, fmt.Errorf("server %q: want a colon behind the bracket", spec)
		}
		rest = strings.TrimPrefix(rest, ":")
	} else {
		host, rest, _ = strings.Cut(spec, ":")
	}
	if err := s.setHost(host); err != nil {
		return s, fmt.Errorf("server %q: %w", spec, err)
	}
	fields := strings.Split(rest, ":")
	names := []string{"port", "max", "hard", "weight", "prio"}
	if len(fields) > len(names) {
		return s, fmt.Errorf("server %q: too many fields, want HOST:PORT:MAX:HARD:WEIGHT:PRIO; an IPv6 address stands in brackets", spec)
	}
	for i, f := range fields {
		if f == "" {
			continue
		}
		if err := s.setKey(names[i], f); err != nil {
			return s, fmt.Errorf("server %q: %w", spec, err)
		}
	}
	return s, nil
}

// setHost sets the host. 0.0.0.0 is how C Pen writes that there is none: the slot
// is free then, and stays in the table for scripts that look for one.
func (s *Server) setHost(host string) error {
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	addr, err := parseAddr(host)
	switch {
	case host == "":
		return errors.New("no host, want a name, an address or a path; an IPv6 address stands in brackets")
	case err == nil && addr == netip.IPv4Unspecified():
		host = ""
	case err == nil && addr.Is4():
		host = addr.String()
	case err == nil:
	case strings.Contains(host, ":"):
		return fmt.Errorf("%q is not an address; the port is a word of its own: port N", host)
	case strings.ContainsAny(host, "[]"):
		return fmt.Errorf("%q is not an address, want brackets around IPv6 only", host)
	}
	if host != "" {
		if err := parseWord(host); err != nil {
			return err
		}
	}
	s.Host, s.Free = host, host == ""
	return nil
}

// host writes the host, or that the slot was freed.
func (s *Server) host() string {
	if s.Free {
		return "0.0.0.0"
	}
	return s.Host
}

func (s *Server) setPort(text string) (err error) {
	s.Port, s.Service = 0, ""
	if isService(text) {
		s.Service = text
		return nil
	}
	s.Port, err = parseInt("port", text, 0, 65535)
	return err
}

func (s *Server) setWeight(text string) (err error) {
	s.Weight, err = parseInt("weight", text, 0, maxInt)
	s.WeightSet = true
	return err
}

// weight writes the weight, empty if it is not set.
func (s *Server) weight() string {
	if !s.WeightSet {
		return ""
	}
	return strconv.Itoa(s.Weight)
}

func (s *Server) setTLS(text string) error {
	if text != "on" && text != "off" {
		return fmt.Errorf("tls %w", noneOf(text, "on", "off"))
	}
	s.TLS = text
	return nil
}

func (s *Server) setName(text string) error {
	if !isName(text) || strings.Trim(text, "0123456789-") == "" {
		return fmt.Errorf("name %q: want up to %d letters, digits, or one of _ - ., and not a number", text, maxName)
	}
	s.Name = text
	return nil
}

func (s *Server) setState(text string) error {
	switch State(text) {
	case "enabled":
		s.State = Enabled
	case Draining, Disabled:
		s.State = State(text)
	default:
		return fmt.Errorf("state %w", noneOf(text, "enabled", string(Draining), string(Disabled)))
	}
	return nil
}

// isService reports whether a text can be the name of a service: letters,
// digits and hyphens, with a letter among them (RFC 6335).
func isService(s string) bool {
	letter := false
	for _, r := range s {
		isLetter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !isLetter && r != '-' && (r < '0' || r > '9') {
			return false
		}
		letter = letter || isLetter
	}
	return letter
}

// port writes the port, empty if it is not set.
func (s Server) port() string {
	if s.Service != "" {
		return s.Service
	}
	return orEmpty(s.Port)
}

// spec writes a server as parseServer reads it; fields at the end that are
// not set are left out.
func (s Server) spec() string {
	host := s.Host
	if strings.Contains(host, ":") && !s.IsPath() {
		host = "[" + host + "]"
	}
	fields := []string{host, s.port(), orEmpty(s.Max), orEmpty(s.Hard), s.weight(), orEmpty(s.Prio)}
	return strings.TrimRight(strings.Join(fields, ":"), ":")
}

// orEmpty leaves an unset field empty.
func orEmpty(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// line writes a slot's keys, with its prio if that is in use or not 0.
func (s Server) line(slot int, prio bool) string {
	var b strings.Builder
	b.WriteString(strconv.Itoa(slot))
	for _, k := range serverKeys {
		value := k.get(&s)
		if value == "" && k.name == "prio" && prio {
			value = "0"
		}
		if value != "" {
			fmt.Fprintf(&b, " %s %s", k.name, value)
		}
	}
	return b.String()
}

func saveServers(service *Service) []string {
	var lines []string
	for i, s := range service.Servers {
		if s != (Server{}) {
			lines = append(lines, s.line(i, service.Prio))
		}
	}
	return lines
}
