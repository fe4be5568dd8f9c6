package config

import (
	"net/netip"
	"reflect"
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
	c := apply(t, Default(), "acl 4 permit ::1", "acl 4 deny ::2", "acl 5 deny ::3", "no acl 4")
	if c.ACLs[4] != nil || len(c.ACLs[5]) != 1 {
		t.Errorf("after no acl 4: %+v", c.ACLs)
	}
}
