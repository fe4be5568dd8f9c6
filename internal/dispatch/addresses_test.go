package dispatch

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pen/internal/pool"
)

// several is a server of three addresses, and one more server.
func several() Config {
	cfg := config(2)
	cfg.NoTracking = true
	cfg.Pool.Algorithm = pool.First
	s := &cfg.Pool.Servers[0]
	s.Addr = netip.MustParseAddrPort("[2001:db8::1]:80")
	s.Others = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.8:80"), netip.MustParseAddrPort("192.0.2.9:80")}
	return cfg
}

// attempts sends a client through and returns the addresses that it is offered
// until one works.
func attempts(t *testing.T, d *Dispatcher, works ...string) string {
	t.Helper()
	f, err := d.Admit(from(1), &carrier{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Done(ByClient)
	var all []string
	for {
		target, ok := f.Next()
		if !ok {
			return strings.Join(all, " ") + " none"
		}
		all = append(all, target.Addr.String())
		if slices.Contains(works, target.Addr.String()) {
			f.Up()
			if got := f.Target().Addr; got != target.Addr {
				t.Errorf("the flow is at %v, want %v", got, target.Addr)
			}
			return strings.Join(all, " ")
		}
		f.Failed(errRefused)
	}
}

// A server has failed when all its addresses have.
func TestAllAddressesAreTried(t *testing.T) {
	var lost []int
	cfg := several()
	cfg.Observer = observer{failed: func(slot int) { lost = append(lost, slot) }}
	d := New(cfg, (&clock{}).now)
	const first, second, third, other = "[2001:db8::1]:80", "192.0.2.8:80", "192.0.2.9:80", "192.0.2.1:1001"
	for _, tt := range []struct{ works, want string }{
		{third, first + " " + second + " " + third},
		{third, third}, // which is remembered
		{first, third + " " + second + " " + first},
		{other, first + " " + second + " " + third + " " + other},
		{other, other}, // the server is blacklisted
	} {
		if got := attempts(t, d, tt.works); got != tt.want {
			t.Errorf("tried %s, want %s", got, tt.want)
		}
	}
	wantSlots(t, "lost", lost, 0, 0, 0, 0, 0, 0, 0)
	if n := d.Servers()[0].Conns + d.Servers()[1].Conns; n != 0 {
		t.Errorf("%d connections are counted, want none", n)
	}
}

// An address that works stays the first one while the name has it, also where
// its order changes.
func TestAddressStaysPreferred(t *testing.T) {
	cfg := several()
	d := New(cfg, (&clock{}).now)
	attempts(t, d, "192.0.2.9:80")
	next := several()
	s := &next.Pool.Servers[0]
	s.Addr, s.Others[0] = s.Others[0], s.Addr
	d.Configure(next)
	if got := attempts(t, d, "192.0.2.9:80"); got != "192.0.2.9:80" {
		t.Errorf("tried %s", got)
	}
	if next.Pool.Servers[0].Addr.String() != "192.0.2.8:80" || next.Pool.Servers[0].Others[1].String() != "192.0.2.9:80" {
		t.Error("the configuration has changed")
	}
	next.Pool.Servers = slices.Clone(next.Pool.Servers)
	next.Pool.Servers[0].Others = nil
	d.Configure(next)
	if got := attempts(t, d, "192.0.2.8:80"); got != "192.0.2.8:80" {
		t.Errorf("after the name has lost it: tried %s", got)
	}
}

// A change of the configuration takes an address away that is tried.
func TestAddressesChangeUnderAFlow(t *testing.T) {
	d := New(several(), (&clock{}).now)
	f, err := d.Admit(from(1), &carrier{})
	if err != nil {
		t.Fatal(err)
	}
	f.Next()
	f.Failed(errRefused)
	cfg := several()
	cfg.Pool.Servers[0] = pool.Config{}
	d.Configure(cfg)
	if target, ok := f.Next(); !ok || target.Slot != 1 {
		t.Errorf("%v, %v, want the other server", target, ok)
	}
	f.Done(ByClient)
}

// A connection that is kept ready tries the addresses in turn.
func TestSparesTryAllAddresses(t *testing.T) {
	cfg := several()
	cfg.Idlers, cfg.Pool.Servers = 1, cfg.Pool.Servers[:1]
	d := New(cfg, (&clock{}).now)
	var all []string
	for range 3 {
		_, missing := d.Spares(nil)
		if len(missing) != 1 {
			t.Fatalf("%v", missing)
		}
		all = append(all, missing[0].Addr.String())
		if d.SpareFailed(missing[0], errRefused) {
			t.Error("a server is blacklisted because of one address")
		}
	}
	slices.Sort(all)
	if len(slices.Compact(all)) < 2 {
		t.Errorf("tried %v only", all)
	}
}
