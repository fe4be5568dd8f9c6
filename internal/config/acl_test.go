package config

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

func TestACL(t *testing.T) {
	v4, net4 := netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("10.0.0.0")
	for _, tt := range []struct {
		words string
		want  ACLEntry
		line  string
	}{
		{"permit 10.1.2.3", ACLEntry{true, v4, 0xffffffff, 0, ""}, "acl 4 permit 10.1.2.3 255.255.255.255"},
		{"deny 10.1.2.3 255.0.0.0", ACLEntry{false, v4, 0xff000000, 0, ""}, "acl 4 deny 10.1.2.3 255.0.0.0"},
		{"deny 10.1.2.3 255.0.255.0", ACLEntry{false, v4, 0xff00ff00, 0, ""}, "acl 4 deny 10.1.2.3 255.0.255.0"},
		{"permit 10.1.2.3/8", ACLEntry{true, net4, 0xff000000, 0, ""}, "acl 4 permit 10.0.0.0 255.0.0.0"},
		{"permit 10.1.2.3/0", ACLEntry{true, netip.IPv4Unspecified(), 0, 0, ""}, "acl 4 permit 0.0.0.0 0.0.0.0"},
		{"permit 2001:db8::1", ACLEntry{true, netip.MustParseAddr("2001:db8::1"), 0, 128, ""}, "acl 4 permit 2001:db8::1/128"},
		{"deny 2001:db8::1/32", ACLEntry{false, netip.MustParseAddr("2001:db8::"), 0, 32, ""}, "acl 4 deny 2001:db8::/32"},
		{"deny ::/0", ACLEntry{false, netip.IPv6Unspecified(), 0, 0, ""}, "acl 4 deny ::/0"},
		{"permit country SE", ACLEntry{Permit: true, Country: "SE"}, "acl 4 permit country SE"},
		{"deny country se", ACLEntry{Country: "SE"}, "acl 4 deny country SE"},
	} {
		c := apply(t, Default(), "acl 4 "+tt.words)
		if want := []ACLEntry{tt.want}; !reflect.DeepEqual(c.ACLs[4], want) {
			t.Errorf("%s: %+v", tt.words, c.ACLs[4])
		}
		if line := tt.want.line(4); line != tt.line {
			t.Errorf("%s is written as %q, want %q", tt.words, line, tt.line)
		}
	}
	for _, tt := range []struct{ lines, want string }{
		{"acl 4 replace permit 10.0.0.0/8 deny 0.0.0.0/0", "permit 10.0.0.0 255.0.0.0, deny 0.0.0.0 0.0.0.0"},
		{"acl 4 deny ::1|acl 4 replace permit country SE permit 10.1.2.3 255.255.255.0", "permit country SE, permit 10.1.2.3 255.255.255.0"},
		{"acl 4 deny ::1|acl 4 deny ::2|acl 4 insert 1 permit ::3", "deny ::1/128, permit ::3/128, deny ::2/128"},
		{"acl 4 deny ::1|acl 4 insert 0 permit ::3|acl 4 insert 2 permit ::4", "permit ::3/128, deny ::1/128, permit ::4/128"},
		{"acl 4 deny ::1|acl 4 deny ::2|acl 4 deny ::1|no acl 4 deny ::1", "deny ::2/128, deny ::1/128"},
		{"acl 4 deny ::1|no acl 4 deny ::1", ""},
	} {
		c := apply(t, Default(), strings.Split(tt.lines, "|")...)
		var got []string
		for _, e := range c.ACLs[4] {
			got = append(got, strings.TrimPrefix(e.line(4), "acl 4 "))
		}
		if s := strings.Join(got, ", "); s != tt.want {
			t.Errorf("%s: %s, want %s", tt.lines, s, tt.want)
		}
	}
	for line, want := range map[string]string{
		"acl 1 insert 1 permit 10.0.0.1": "acl: place 1 is out of range, want 0 to 0",
		"no acl 1 permit 10.0.0.1":       "acl: the list has no entry permit 10.0.0.1",
	} {
		cmd, err := ParseLine(line)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Default().With(cmd); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
	c := apply(t, Default(), "acl 4 permit ::1", "acl 4 deny ::2", "acl 5 deny ::3", "no acl 4")
	if c.ACLs[4] != nil || len(c.ACLs[5]) != 1 {
		t.Errorf("after no acl 4: %+v", c.ACLs)
	}
}
