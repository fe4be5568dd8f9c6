package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

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
		if err := s.set(names[i], f); err != nil {
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

// ServerKeys are the keys of the server command.
func ServerKeys() []string {
	return []string{
		"acl", "address", "blacklist", "hard", "max", "name", "port", "prio", "send_proxy", "state", "tls", "tls_name", "weight",
	}
}

// set sets one field by its key in a server command.
func (s *Server) set(key, value string) error {
	var err error
	switch key {
	case "address":
		return s.setHost(value)
	case "port":
		s.Port, s.Service = 0, ""
		if isService(value) {
			s.Service = value
			return nil
		}
		s.Port, err = parseInt(key, value, 0, 65535)
	case "max":
		s.Max, err = parseInt(key, value, 0, maxInt)
	case "hard":
		s.Hard, err = parseInt(key, value, 0, maxInt)
	case "weight":
		s.Weight, err = parseInt(key, value, 0, maxInt)
		s.WeightSet = true
	case "prio":
		s.Prio, err = parseInt(key, value, -maxInt, maxInt)
	case "acl":
		s.ACL, err = parseInt(key, value, 0, ACLCount-1)
	case "blacklist":
		_, err = ParseDuration(value)
		if err != nil {
			err = fmt.Errorf("blacklist %w", err)
		}
	case "name":
		if !isName(value) || strings.Trim(value, "0123456789-") == "" {
			return fmt.Errorf("name %q: want up to %d letters, digits, or one of _ - ., and not a number", value, maxName)
		}
		s.Name = value
	case "state":
		s.State, err = parseState(value)
	case "send_proxy":
		s.SendProxy = value
		_, err = parseProxyVersion(value)
	case "tls":
		s.TLS = value
		if value != "on" && value != "off" {
			err = fmt.Errorf("tls %w", noneOf(value, "on", "off"))
		}
	case "tls_name":
		s.TLSName = value
		err = parseWord(value)
	default:
		return fmt.Errorf("unknown key %q, want one of %s%s", key, strings.Join(ServerKeys(), ", "), didYouMean(key, ServerKeys()))
	}
	return err
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
	return number(s.Port)
}

// setServerCommand is the server verb: server SLOT KEY VALUE..., or server
// SLOT remove. SLOT may be a range, for servers that are alike or that DNS lists
// under one name.
func setServerCommand(c *Service, args []string) error {
	first, servers, err := c.serversOf(args)
	if err != nil {
		return err
	}
	for i, s := range servers {
		c.setServer(first+i, s)
	}
	return nil
}

// tryServerCommand reports what is wrong with a server command. It makes no
// table, which would be as long as the slot's number says: each line is tried,
// and a file may have thousands.
func tryServerCommand(_ *Config, s *Service, _ bool, args []string) error {
	_, _, err := s.serversOf(args)
	return err
}

// serversOf returns what a server command makes of the servers that it speaks
// of, which stand from a slot on.
func (c *Service) serversOf(args []string) (first int, servers []Server, err error) {
	if len(args) < 2 {
		return 0, nil, errors.New("want a slot and what to set: server N address HOST port P ...")
	}
	first, last, err := c.slotsOf(args[0])
	if err != nil {
		return 0, nil, err
	}
	servers = make([]Server, last-first+1)
	for i := range servers {
		if servers[i], err = c.changed(first+i, args[0], args[1:]); err != nil {
			return 0, nil, err
		}
	}
	return first, servers, nil
}

// changed returns a server with its keys set, of a command that calls it word.
func (c Service) changed(slot int, word string, keys []string) (Server, error) {
	s := c.server(slot)
	for rest := keys; len(rest) > 0; rest = rest[2:] {
		switch {
		case rest[0] == "remove" && len(rest) == 1:
			return Server{}, nil
		case len(rest) == 1:
			return s, fmt.Errorf("%s: %q has no value", word, rest[0])
		case rest[0] == "name" && strings.Contains(word, "-") && strings.Trim(word, "0123456789-") == "":
			return s, fmt.Errorf("%s: several servers can't have one name", word)
		}
		if err := s.set(rest[0], rest[1]); err != nil {
			return s, fmt.Errorf("%s: %w", word, err)
		}
	}
	if other := c.named(s.Name); other >= 0 && other != slot {
		return s, fmt.Errorf("%s: server %d is already named %s", word, other, s.Name)
	}
	return s, nil
}

// slotsOf understands FIRST-LAST, or what slotOf does.
func (c Service) slotsOf(word string) (first, last int, err error) {
	first, last, isRange, err := slotRange(word)
	if !isRange {
		first, err = c.slotOf(word)
		last = first
	}
	return first, last, err
}

// slotRange understands FIRST-LAST, and reports false for anything else.
func slotRange(word string) (first, last int, isRange bool, err error) {
	a, b, _ := strings.Cut(word, "-")
	first, err1 := strconv.Atoi(a)
	last, err2 := strconv.Atoi(b)
	if err1 != nil || err2 != nil {
		return 0, 0, false, nil
	}
	if first > last || last > maxSlot {
		return 0, 0, true, fmt.Errorf("%q is not a range of slots, want such as 0-9, up to %d", word, maxSlot)
	}
	return first, last, true, nil
}

// slotOf understands how a command speaks of a server: by its slot or by its
// name.
func (c Service) slotOf(word string) (int, error) {
	if slot, err := strconv.Atoi(word); err == nil && slot >= 0 && slot <= maxSlot {
		return slot, nil
	}
	if slot := c.named(word); slot >= 0 {
		return slot, nil
	}
	if _, number := strconv.Atoi(word); isName(word) && number != nil {
		return 0, fmt.Errorf("there is no server named %s, want a slot, 0 to %d, or the name of one", word, maxSlot)
	}
	return 0, fmt.Errorf("%q is not the number of a slot, want 0 to %d", word, maxSlot)
}

// named finds the slot of the server of a name, or -1. Most servers have none,
// and a table may be long.
func (c Service) named(name string) int {
	if name == "" {
		return -1
	}
	for slot := range c.Servers {
		if c.Servers[slot].Name == name {
			return slot
		}
	}
	return -1
}

// usedSlots are the slots of a word that have a server. It is an error if none
// has one.
func (c Service) usedSlots(word string) ([]int, error) {
	first, last, err := c.slotsOf(word)
	if err != nil {
		return nil, err
	}
	var slots []int
	for slot := first; slot <= last && slot < len(c.Servers); slot++ {
		if c.Servers[slot].Used() {
			slots = append(slots, slot)
		}
	}
	if slots == nil {
		return nil, fmt.Errorf("there is no server %s", word)
	}
	return slots, nil
}

// usedSlots are those that a command speaks of.
func (c Config) usedSlots(cmd Command) ([]int, error) {
	s := c.Service(cmd.Service)
	if s == nil {
		return nil, c.noService(cmd.Service)
	}
	return s.usedSlots(cmd.Args[0])
}

// setState is the verbs enable, drain and disable.
func setState(c *Service, args []string, state State) error {
	slots, err := c.usedSlots(args[0])
	for _, slot := range slots {
		s := c.server(slot)
		s.State = state
		c.setServer(slot, s)
	}
	return err
}

func setDrain(c *Service, _ bool, args []string) error {
	if len(args) > 1 {
		if args[1] != "within" || len(args) < 3 {
			return errors.New("want drain N, or drain N within TIME")
		}
		if _, err := ParseDuration(args[2]); err != nil {
			return err
		}
	}
	return setState(c, args, Draining)
}

func parseState(word string) (State, error) {
	switch State(word) {
	case "enabled":
		return Enabled, nil
	case Draining, Disabled:
		return State(word), nil
	}
	return Enabled, fmt.Errorf("state %w", noneOf(word, "enabled", string(Draining), string(Disabled)))
}

// value returns what follows a key in a server command.
func value(args []string, key string) (string, bool) {
	for i := 1; i+1 < len(args); i += 2 {
		if args[i] == key {
			return args[i+1], true
		}
	}
	return "", false
}

// Blacklisting returns the run-time part of a server command: take the servers
// of these slots out of rotation for a time, which may be 0. It reports false
// where the command has no such part.
func (cmd Command) Blacklisting(c Config) (slots []int, d time.Duration, ok bool, err error) {
	if cmd.Verb == nil || cmd.Verb.Name != "server" {
		return nil, 0, false, nil
	}
	text, ok := value(cmd.Args, "blacklist")
	if !ok {
		return nil, 0, false, nil
	}
	if d, err = ParseDuration(text); err == nil {
		slots, err = c.usedSlots(cmd)
	}
	if err != nil {
		err = fmt.Errorf("server: %w, nothing to blacklist", err)
	}
	return slots, d, true, err
}

// Draining returns the run-time part of a drain command: in what time the
// connections of these servers are closed.
func (cmd Command) Draining(c Config) (slots []int, within time.Duration, ok bool) {
	if cmd.Verb == nil || cmd.Verb.Name != "drain" || len(cmd.Args) < 3 {
		return nil, 0, false
	}
	slots, err := c.usedSlots(cmd)
	if err != nil {
		return nil, 0, false
	}
	within, err = ParseDuration(cmd.Args[2])
	return slots, within, err == nil
}

// spec writes a server as parseServer reads it; fields at the end that are
// not set are left out.
func (s Server) spec() string {
	host := s.Host
	if strings.Contains(host, ":") && !s.IsPath() {
		host = "[" + host + "]"
	}
	fields := []string{host, s.port(), number(s.Max), number(s.Hard), number(s.Weight), number(s.Prio)}
	if s.WeightSet {
		fields[4] = strconv.Itoa(s.Weight)
	}
	return strings.TrimRight(strings.Join(fields, ":"), ":")
}

// number leaves an unset field empty.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// line writes a slot as a server command, with its prio if that is in use or
// not 0.
func (s Server) line(slot int, prio bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "server %d acl %d", slot, s.ACL)
	if s.Used() {
		fmt.Fprintf(&b, " address %s", s.Host)
	} else if s.Free {
		b.WriteString(" address 0.0.0.0")
	}
	if p := s.port(); p != "" {
		fmt.Fprintf(&b, " port %s", p)
	}
	fmt.Fprintf(&b, " max %d hard %d", s.Max, s.Hard)
	if s.WeightSet {
		fmt.Fprintf(&b, " weight %d", s.Weight)
	}
	if prio || s.Prio != 0 {
		fmt.Fprintf(&b, " prio %d", s.Prio)
	}
	if s.Name != "" {
		fmt.Fprintf(&b, " name %s", s.Name)
	}
	if s.State != Enabled {
		fmt.Fprintf(&b, " state %s", s.State)
	}
	for _, edge := range []struct{ key, value string }{{"send_proxy", s.SendProxy}, {"tls", s.TLS}, {"tls_name", s.TLSName}} {
		if edge.value != "" {
			fmt.Fprintf(&b, " %s %s", edge.key, edge.value)
		}
	}
	return b.String()
}
