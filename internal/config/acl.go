package config

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// permitting are the verbs of access lists.
func permitting() []Verb {
	acl := on(setACL, nil)
	acl.save = func(c *Config, _ *Service) []string { return saveACLs(&c.Global) }
	return []Verb{
		{
			Name: "acl", Args: "LIST [insert PLACE|replace] permit|deny ADDRESS[/LENGTH] [MASK]|country CC...",
			NoArgs: "LIST [ENTRY...]", Negatable: true, Level: Admin,
			saved: always, does: acl, missing: "want the number of a list, 0 to 9", standIn: standInList,
			Help: "add an entry to an access list, at its end",
			More: "insert puts it before the one at PLACE, from 0; replace replaces the whole list at once by entries. " +
				"no acl LIST empties a list, no acl LIST ENTRY takes one out.",
			Example: "acl 1 permit 192.0.2.0/24", See: "client_acl control_acl server",
		},
		{
			Name: "client_acl", Long: "client-acl", Level: Admin, saved: always, does: plain(list(), func(s *Service) *int { return &s.ClientACL }),
			Help: "number of the access list for clients", Example: "client_acl 1", See: "acl abuse",
		},
		{
			Name: "geoip_db", Long: "geoip-db", Negatable: true, Level: Local,
			does: plain(word("FILE"), func(g *Global) *string { return &g.GeoIPDB }), rereads: true,
			Help: "MaxMind DB file (.mmdb) for access lists by country", More: "It is read again at HUP. With chroot it is inside of that folder.",
			Example: "geoip_db /usr/share/GeoIP/GeoLite2-Country.mmdb", See: "acl chroot",
		},
	}
}

// setACL is the acl verb (specification, section 10): acl N permit|deny
// ADDRESS [MASK], ADDRESS/LENGTH or country CC appends an entry, acl N insert
// PLACE puts one before another, acl N replace takes the place of the whole list;
// no acl N empties a list, or takes one entry out.
func setACL(g *Global, no bool, args []string) error {
	n, err := parseList(args[0])
	if err != nil {
		return err
	}
	list, rest := g.ACLs[n], args[1:]
	switch {
	case no && len(rest) == 0:
		list = nil
	case no:
		list, err = without(list, rest)
	case len(rest) > 0 && rest[0] == "replace":
		list, err = parseEntries(rest[1:])
	case len(rest) > 0 && rest[0] == "insert":
		list, err = inserted(list, rest[1:])
	default:
		var e ACLEntry
		e, err = parseEntry(rest)
		list = append(list, e)
	}
	if err == nil && len(list) > maxEntries {
		err = fmt.Errorf("list %d has %d entries, want at most %d", n, len(list), maxEntries)
	}
	if err == nil {
		g.ACLs[n] = list
	}
	return err
}

// maxEntries bounds an access list, which is searched for every client.
const maxEntries = 100_000

// parseEntries understands one entry after another.
func parseEntries(words []string) ([]ACLEntry, error) {
	var list []ACLEntry
	for len(words) > 0 {
		end := 1
		for end < len(words) && words[end] != "permit" && words[end] != "deny" {
			end++
		}
		e, err := parseEntry(words[:end])
		if err != nil {
			return nil, err
		}
		list, words = append(list, e), words[end:]
	}
	if list == nil {
		return nil, errors.New("want entries to replace the list by, such as replace permit 10.0.0.0/8 deny 0.0.0.0/0; no acl N empties it")
	}
	return list, nil
}

// inserted puts an entry before the one at a place, which is a number from 0.
func inserted(list []ACLEntry, words []string) ([]ACLEntry, error) {
	if len(words) == 0 {
		return nil, errors.New("want the place of the new entry, such as insert 0 permit 10.0.0.1")
	}
	place, err := parseInt("place", words[0], 0, len(list))
	if err != nil {
		return nil, err
	}
	e, err := parseEntry(words[1:])
	if err != nil {
		return nil, err
	}
	return slices.Insert(slices.Clone(list), place, e), nil
}

// without takes out the first entry that is equal.
func without(list []ACLEntry, words []string) ([]ACLEntry, error) {
	e, err := parseEntry(words)
	if err != nil {
		return nil, err
	}
	i := slices.Index(list, e)
	if i < 0 {
		return nil, fmt.Errorf("the list has no entry %s", strings.Join(words, " "))
	}
	if len(list) == 1 {
		return nil, nil
	}
	return slices.Delete(slices.Clone(list), i, i+1), nil
}

// standInList gives c a list with which a command can be checked that speaks of
// entries which are not known here.
func standInList(c *Config, cmd Command) Command {
	n, err := parseList(cmd.Args[0])
	rest := cmd.Args[1:]
	if err != nil || len(rest) < 2 {
		return cmd
	}
	if cmd.No {
		if e, err := parseEntry(rest); err == nil {
			c.ACLs[n] = []ACLEntry{e}
		}
	} else if rest[0] == "insert" {
		if place, err := strconv.Atoi(rest[1]); err == nil && place > 0 && place < maxEntries {
			c.ACLs[n] = make([]ACLEntry, place)
		}
	}
	return cmd
}

func parseList(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n >= ACLCount {
		return 0, fmt.Errorf("list %q is out of range, want 0 to 9", s)
	}
	return n, nil
}

// parseEntry understands permit or deny, and what that is for.
func parseEntry(words []string) (ACLEntry, error) {
	if len(words) < 2 || words[0] != "permit" && words[0] != "deny" {
		hint := ""
		if len(words) > 0 {
			hint = didYouMean(words[0], []string{"permit", "deny", "replace", "insert"})
		}
		return ACLEntry{}, fmt.Errorf("want: acl N permit|deny ADDRESS [MASK], or country CC%s", hint)
	}
	e, err := parseWhom(words[1], words[2:])
	e.Permit = words[0] == "permit"
	return e, err
}

// parseWhom understands A.B.C.D [MASK], A.B.C.D/LENGTH, IPV6[/LENGTH] and
// country CC. A dotted mask is taken as it is; a length cuts the address to its
// network.
func parseWhom(text string, mask []string) (ACLEntry, error) {
	var e ACLEntry
	if text == "country" {
		return parseCountry(mask)
	}
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		if err != nil || p.Addr().Is4In6() {
			return e, fmt.Errorf("bogus address %q, want ADDRESS/LENGTH", text)
		}
		return entry(p.Masked()), noMore(mask)
	}
	addr, err := parseAddr(text)
	if err != nil || addr.Zone() != "" || addr.Is4In6() {
		return e, fmt.Errorf("bogus address %q, want an IPv4 or IPv6 address", text)
	}
	e = entry(netip.PrefixFrom(addr, addr.BitLen()))
	if len(mask) == 0 || addr.Is6() {
		return e, noMore(mask)
	}
	m, err := netip.ParseAddr(mask[0])
	if err != nil || !m.Is4() {
		return e, fmt.Errorf("bogus mask %q, want one such as 255.255.255.0", mask[0])
	}
	b := m.As4()
	e.Mask = binary.BigEndian.Uint32(b[:])
	return e, noMore(mask[1:])
}

// parseCountry understands two letters. Only the GeoIP database knows whether there
// is such a country.
func parseCountry(words []string) (ACLEntry, error) {
	if len(words) == 0 {
		return ACLEntry{}, errors.New("the country is missing, want two letters such as SE")
	}
	other := func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }
	if len(words[0]) != 2 || strings.ContainsFunc(words[0], other) {
		return ACLEntry{}, fmt.Errorf("bogus country %q, want two letters such as SE", words[0])
	}
	return ACLEntry{Country: strings.ToUpper(words[0])}, noMore(words[1:])
}

func noMore(words []string) error {
	if len(words) > 0 {
		return fmt.Errorf("%q is one word too many", words[0])
	}
	return nil
}

func entry(p netip.Prefix) ACLEntry {
	if p.Addr().Is4() {
		return ACLEntry{Addr: p.Addr(), Mask: ^uint32(0) << (32 - p.Bits())}
	}
	return ACLEntry{Addr: p.Addr(), Bits: p.Bits()}
}

// line writes an entry as an acl command. A mask is always written.
func (e ACLEntry) line(list int) string {
	word := "deny"
	if e.Permit {
		word = "permit"
	}
	if e.Country != "" {
		return fmt.Sprintf("acl %d %s country %s", list, word, e.Country)
	}
	if e.Addr.Is6() {
		return fmt.Sprintf("acl %d %s %s/%d", list, word, e.Addr, e.Bits)
	}
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], e.Mask)
	return fmt.Sprintf("acl %d %s %s %s", list, word, e.Addr, netip.AddrFrom4(b))
}

func saveACLs(g *Global) []string {
	var lines []string
	for i, list := range g.ACLs {
		lines = append(lines, fmt.Sprintf("no acl %d", i))
		for _, e := range list {
			lines = append(lines, e.line(i))
		}
	}
	return lines
}
