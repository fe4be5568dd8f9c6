package dispatch

import (
	"net/netip"
	"testing"

	"pen/internal/acl"
	"pen/internal/pool"
)

// The address to connect from, for the server chosen first and for those of
// last resort.
func TestSource(t *testing.T) {
	v4, v6 := netip.MustParseAddrPort("192.0.2.7:1"), netip.MustParseAddrPort("[2001:db8::7]:1")
	fixed := netip.MustParseAddr("198.51.100.9")
	for _, tt := range []struct {
		name        string
		transparent bool
		source      netip.Addr
		client      netip.AddrPort
		want        netip.Addr
	}{
		{"neither", false, netip.Addr{}, v4, netip.Addr{}},
		{"source", false, fixed, v4, fixed},
		{"transparent, IPv4", true, netip.Addr{}, v4, v4.Addr()},
		{"transparent, IPv6", true, netip.Addr{}, v6, v6.Addr()},
		{"transparent, IPv4 at an IPv6 listener", true, netip.Addr{}, netip.MustParseAddrPort("[::ffff:192.0.2.7]:1"), v4.Addr()},
		{"transparent, Unix", true, netip.Addr{}, netip.AddrPort{}, netip.Addr{}},
		{"both: source wins", true, fixed, v4, fixed},
	} {
		cfg := config(1)
		cfg.Transparent, cfg.Source = tt.transparent, tt.source
		cfg.Pool.Emergency, cfg.Pool.Abuse = []pool.Config{server("203.0.113.1:80")}, server("203.0.113.2:80")
		transparent := tt.want.IsValid() && !tt.source.IsValid()
		check := func(cfg Config, slots ...int) {
			f, err := New(cfg, new(clock).now).Admit(tt.client, &carrier{})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Done(ByClient)
			for i, slot := range slots {
				if i > 0 {
					f.Failed(errRefused)
				}
				target, ok := f.Next()
				if !ok || target.Slot != slot || target.Source != tt.want || target.Transparent != transparent {
					t.Errorf("%s: slot %d from %v, transparent %v; want slot %d from %v, transparent %v",
						tt.name, target.Slot, target.Source, target.Transparent, slot, tt.want, transparent)
				}
			}
		}
		check(cfg, 0, emergency)
		if tt.client.IsValid() { // an access list permits all Unix clients
			cfg.ACLs = &acl.Lists{List: [acl.Count]acl.List{{{Permit: false, Addr: netip.IPv6Unspecified()}, {Permit: false, Addr: netip.IPv4Unspecified()}}}}
			check(cfg, abuse)
		}
	}
}
