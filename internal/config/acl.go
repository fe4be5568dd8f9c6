package config

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// setACL is the acl verb (specification, section 10): acl N permit|deny
// ADDRESS [MASK], ADDRESS/LENGTH, country CC; no acl N empties a list.
func setACL(c *Config, no bool, args []string) error {
	if len(args) == 0 {
		return errors.New("want the number of a list, 0 to 9")
	}
	n, err := parseList(args[0])
	if err != nil {
		return err
	}
	if no {
		c.ACLs[n] = nil
		return nil
	}
	if len(args) < 3 || args[1] != "permit" && args[1] != "deny" {
		return errors.New("want: acl N permit|deny ADDRESS [MASK], or country CC")
	}
	e, err := parseEntry(args[2], args[3:])
	if err != nil {
		return err
	}
	e.Permit = args[1] == "permit"
	c.ACLs[n] = append(c.ACLs[n], e)
	return nil
}

func parseList(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n >= ACLCount {
		return 0, fmt.Errorf("list %q is out of range, want 0 to 9", s)
	}
	return n, nil
}

// parseEntry understands A.B.C.D [MASK], A.B.C.D/LENGTH, IPV6[/LENGTH] and
// country CC. A dotted mask is taken as it is; a length cuts the address to its
// network.
func parseEntry(text string, mask []string) (ACLEntry, error) {
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
	addr, err := netip.ParseAddr(text)
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

// parseCountry understands two letters; whether there is such a country is for
// the data base to know.
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
