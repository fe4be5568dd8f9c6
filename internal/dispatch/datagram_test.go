package dispatch

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pen/internal/acl"
	"pen/internal/pool"
)

// ready returns a flow of a client that is at a server, as datagrams have it.
func ready(t *testing.T, d *Dispatcher, client int) (*Flow, Target) {
	t.Helper()
	f, err := d.Admit(from(client), &carrier{})
	if err != nil {
		t.Fatal(err)
	}
	return f, next(t, f)
}

func next(t *testing.T, f *Flow) Target {
	t.Helper()
	target, ok := f.Next()
	if !ok {
		t.Fatal("no server")
	}
	f.Ready()
	return target
}

// TestRule is what becomes of a flow at server 0 of two when something changes.
func TestRule(t *testing.T) {
	const client = 1
	all := acl.List{{Addr: netip.MustParseAddr("0.0.0.0")}}
	for _, tt := range []struct {
		name   string
		change func(d *Dispatcher, cfg *Config)
		want   Ruling
		next   int // slot, if it is to move
	}{
		{"nothing", func(*Dispatcher, *Config) {}, Stay, 0},
		{"another setting", func(_ *Dispatcher, c *Config) { c.MaxAge = time.Hour }, Stay, 0},
		{"another server's address", func(_ *Dispatcher, c *Config) { c.Pool.Servers[1] = server("192.0.2.9:1") }, Stay, 0},
		{"weight 0", func(_ *Dispatcher, c *Config) { c.Pool.Servers[0].Weight = 0 }, Stay, 0},
		{"full", func(_ *Dispatcher, c *Config) { c.Pool.Servers[0].Max = 1 }, Stay, 0},
		{"another address besides, and first", func(_ *Dispatcher, c *Config) {
			c.Pool.Servers[0].Others = []netip.AddrPort{c.Pool.Servers[0].Addr}
			c.Pool.Servers[0].Addr = netip.MustParseAddrPort("192.0.2.9:1")
		}, Stay, 0},
		{"removed", func(_ *Dispatcher, c *Config) { c.Pool.Servers[0] = pool.Config{} }, Move, 1},
		{"all slots removed but one", func(_ *Dispatcher, c *Config) { c.Pool.Servers = c.Pool.Servers[1:] }, Move, 0},
		{"address", func(_ *Dispatcher, c *Config) { c.Pool.Servers[0] = server("192.0.2.9:1") }, Move, 1},
		{"path", func(_ *Dispatcher, c *Config) { c.Pool.Servers[0] = pool.Config{Path: "/s", Weight: 1} }, Move, 1},
		{"disabled", func(_ *Dispatcher, c *Config) { c.Pool.Servers[0].Admin = pool.Disabled }, Move, 1},
		{"draining", func(_ *Dispatcher, c *Config) { c.Pool.Servers[0].Admin = pool.Draining }, Move, 1},
		{"draining, weight 0", func(_ *Dispatcher, c *Config) { c.Pool.Servers[0].Admin, c.Pool.Servers[0].Weight = pool.Draining, 0 }, Move, 1},
		{"draining evenly", func(d *Dispatcher, c *Config) {
			c.Pool.Servers[0].Admin = pool.Draining
			d.Drain(0, time.Minute)
		}, Stay, 0},
		{"blacklisted", func(d *Dispatcher, _ *Config) { d.Blacklist(0, time.Hour) }, Move, 1},
		{"blacklisted, both", func(d *Dispatcher, _ *Config) { d.Blacklist(0, time.Hour); d.Blacklist(1, time.Hour) }, Stay, 0},
		{"down", func(d *Dispatcher, _ *Config) { d.SetHealth(0, pool.HealthDown) }, Move, 1},
		{"down by its agent", func(d *Dispatcher, _ *Config) { d.SetAgent(0, pool.Agent{Weight: -1, Down: true}) }, Move, 1},
		{"the server denies the client", func(_ *Dispatcher, c *Config) { c.ACLs, c.Pool.Servers[0].ACL = denying(1, all), 1 }, Move, 1},
		{"the client is denied", func(_ *Dispatcher, c *Config) { c.ACLs, c.ClientACL = denying(1, all), 1 }, Rejudge, 0},
		{"another list denies all", func(_ *Dispatcher, c *Config) { c.ACLs = denying(1, all) }, Stay, 0},
	} {
		cfg := config(2)
		d := New(cfg, (&clock{}).now)
		f, target := ready(t, d, client)
		cfg = config(2)
		tt.change(d, &cfg)
		d.Configure(cfg)
		got := f.Rule(&target)
		if got != tt.want {
			t.Errorf("%s: ruling %d, want %d", tt.name, got, tt.want)
		}
		if got == Move {
			f.Leave()
			if to := next(t, f); to.Slot != tt.next || f.Rule(&to) != Stay {
				t.Errorf("%s: moved to %d, and then %d; want %d", tt.name, to.Slot, f.Rule(&to), tt.next)
			}
		}
		f.Done(ByClient)
		for _, s := range d.Servers() {
			if s.Conns != 0 {
				t.Errorf("%s: %d on server %d", tt.name, s.Conns, s.Slot)
			}
		}
	}
}

func denying(list int, entries acl.List) *acl.Lists {
	out := new(acl.Lists)
	out.List[list] = entries
	return out
}

// A client that was denied, and has the abuse server, is judged anew when it is
// permitted.
func TestRuleOfAbuse(t *testing.T) {
	cfg := config(1)
	cfg.ACLs, cfg.ClientACL = denying(1, acl.List{{Addr: netip.MustParseAddr("0.0.0.0")}}), 1
	cfg.Pool.Abuse = server("192.0.2.9:9")
	d := New(cfg, (&clock{}).now)
	f, target := ready(t, d, 1)
	defer f.Done(ByClient)
	if target.Slot != pool.AbuseSlot || f.Rule(&target) != Stay {
		t.Errorf("%+v: %d", target, f.Rule(&target))
	}
	cfg.ClientACL = 0
	d.Configure(cfg)
	if f.Rule(&target) != Rejudge {
		t.Error("it stays at the abuse server")
	}
}

// A flow leaves the emergency server as soon as there is another one.
func TestRuleOfEmergency(t *testing.T) {
	cfg := config(1)
	cfg.Pool.Emergency = []pool.Config{server("192.0.2.9:9")}
	d := New(cfg, (&clock{}).now)
	d.SetHealth(0, pool.HealthDown)
	f, target := ready(t, d, 1)
	defer f.Done(ByClient)
	if target.Slot != pool.EmergencySlot || f.Rule(&target) != Stay {
		t.Errorf("%+v: %d", target, f.Rule(&target))
	}
	d.SetHealth(0, pool.HealthUp)
	if f.Rule(&target) != Move {
		t.Fatal("it stays at the emergency server")
	}
	f.Leave()
	if to := next(t, f); to.Slot != 0 {
		t.Errorf("it goes to %d", to.Slot)
	}
}

// Sending proves nothing: a client is remembered when the plane says so, and a
// server that was ejected is back when it has answered, or when its time is over.
func TestReadyProvesNothing(t *testing.T) {
	c := &clock{}
	d := New(config(2), c.now)
	f, _ := ready(t, d, 1)
	if n := len(d.Clients()); n != 0 {
		t.Errorf("%d clients are remembered", n)
	}
	f.Remember()
	if known := d.Clients(); len(known) != 1 || known[0].Server != 0 {
		t.Errorf("clients %+v", known)
	}
	other, target := ready(t, d, 1)
	defer other.Done(ByClient)
	f.Lost(errRefused)
	next(t, f)
	f.Done(ByClient)
	if target.Slot != 0 || !d.Servers()[0].Failed {
		t.Errorf("the server that was lost has not failed: %+v, %+v", target, d.Servers())
	}
	other.Answered()
	if d.Servers()[0].Failed {
		t.Error("a server that answers has failed")
	}
}

// A flow that was answered may go through all servers when its own is lost, again
// and again; one that was not, once around.
func TestLostGoesAround(t *testing.T) {
	d := New(config(2), (&clock{}).now)
	c := &carrier{}
	f, err := d.Admit(from(1), c)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Done(ByClient)
	for i := range 5 {
		if target := next(t, f); target.Slot != i%2 {
			t.Fatalf("turn %d: server %d", i, target.Slot)
		}
		c.moved.FromServer++
		f.Lost(ErrLocal)
	}
	next(t, f)
	f.Lost(ErrLocal)
	if target, ok := f.Next(); ok {
		t.Errorf("it goes on to %d", target.Slot)
	}
}

func TestTurn(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(c *Config)
		want string
	}{
		{"clients are tracked", func(*Config) {}, "-3 -3 -3 -3"},
		{"clients are not tracked", func(c *Config) { c.NoTracking = true }, "1 2 0 1"},
		{"by turns, and not tracked", func(c *Config) { c.NoTracking, c.Pool.Algorithm = true, pool.SmoothRoundRobin }, "1 2 0 1"},
		{"hashed, and not tracked", func(c *Config) { c.NoTracking, c.Pool.Algorithm = true, pool.StaticHash }, "-3 -3 -3 -3"},
		{"per datagram", func(c *Config) { c.PerDatagram, c.Pool.Algorithm = true, pool.SmoothRoundRobin }, "1 2 0 1"},
		{"per datagram, least connections", func(c *Config) { c.PerDatagram, c.Pool.Algorithm = true, pool.LeastConn }, "1 2 1 2"},
		{"one is away", func(c *Config) { c.PerDatagram, c.Pool.Servers[1].Admin = true, pool.Disabled }, "2 0 2 0"},
		{"weights", func(c *Config) {
			c.PerDatagram, c.Pool.Algorithm, c.Pool.Servers[0].Weight = true, pool.SmoothRoundRobin, 2
		}, "1 0 2 0"},
	} {
		cfg := config(3)
		tt.set(&cfg)
		d := New(cfg, (&clock{}).now)
		f, _ := ready(t, d, 1)
		got := fmt.Sprint(f.Turn(), f.Turn(), f.Turn(), f.Turn())
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		f.Remember()
		if n := len(d.Clients()); cfg.PerDatagram && n != 0 {
			t.Errorf("%s: %d clients are remembered", tt.name, n)
		}
		f.Done(ByClient)
	}
}

// Prefer has a flow begin with a server, and go on from there.
func TestPrefer(t *testing.T) {
	d := New(config(3), (&clock{}).now)
	f, err := d.Admit(from(1), &carrier{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Done(ByClient)
	f.Prefer(1)
	for _, want := range []int{1, 2, 0} {
		if target := next(t, f); target.Slot != want {
			t.Errorf("server %d, want %d", target.Slot, want)
		}
		f.Lost(ErrLocal)
	}
}
