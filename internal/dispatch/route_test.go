package dispatch

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pen/internal/pool"
)

// The clients of a server that died go to all others, by the algorithm; those of
// Pen's own modes go to the next slot, as they always have.
func TestClientsOfADeadServerSpread(t *testing.T) {
	const servers, clients = 5, 200
	for _, tt := range []struct {
		name      string
		algorithm pool.Algorithm
		spreads   bool
	}{
		{"turns", pool.RoundRobin, false},
		{"balance roundrobin", pool.SmoothRoundRobin, true},
		{"leastconn", pool.LeastConn, true},
		{"p2c", pool.PowerOfTwo, true},
		{"random", pool.Random, true},
		{"hash", pool.StaticHash, true},
		{"maglev", pool.Maglev, true},
		{"least_time", pool.LeastTime, true},
	} {
		for _, outlier := range []pool.Outlier{{}, {Failures: 1000}} { // ejected by the first failure, or never
			cfg := config(servers)
			cfg.Pool.Algorithm, cfg.Pool.Outlier, cfg.ClientsMax = tt.algorithm, outlier, 1000
			for i := range cfg.Pool.Servers {
				cfg.Pool.Servers[i].Weight = 1
			}
			d := New(cfg, (&clock{}).now)
			home := map[int]int{}
			for i := range clients {
				slots := visit(t, d, from(i))
				home[i] = slots[len(slots)-1]
			}
			dead, counts := home[0], map[int]int{}
			of := 0
			for i := range clients {
				if home[i] != dead {
					continue
				}
				slots := visit(t, d, from(i), dead)
				of++
				counts[slots[len(slots)-1]]++
			}
			neighbour := counts[(dead+1)%servers]
			switch {
			case of < clients/servers/2:
				t.Fatalf("%s: the server had %d clients", tt.name, of)
			case !tt.spreads && neighbour != of:
				t.Errorf("%s, %+v: of %d clients %d went to the next slot: %v", tt.name, outlier, of, neighbour, counts)
			case tt.spreads && (len(counts) != servers-1 || neighbour > of/2 || counts[dead] > 0):
				t.Errorf("%s, %+v: the %d clients of server %d went to %v", tt.name, outlier, of, dead, counts)
			}
		}
	}
}

// Whatever the algorithm, and whatever is wrong with servers, each is tried once.
func TestEachServerIsTriedOnce(t *testing.T) {
	for a := range pool.Algorithm(pool.Algorithms) {
		for _, kind := range []error{errRefused, ErrLocal, ErrAttempt} {
			cfg := config(8)
			cfg.Pool.Algorithm = a
			for i := range cfg.Pool.Servers {
				cfg.Pool.Servers[i].Weight = 1
			}
			cfg.Pool.Servers[3].Max = 1
			cfg.Pool.Servers[4].Admin = pool.Draining
			cfg.Pool.Emergency = []pool.Config{server("192.0.2.9:1")}
			d := New(cfg, (&clock{}).now)
			d.SetHealth(5, pool.HealthDown)
			d.pool.Take(d.pool.At(3))
			f, err := d.Admit(from(1), &carrier{})
			if err != nil {
				t.Fatal(err)
			}
			seen := map[int]int{}
			for {
				target, ok := f.Next()
				if !ok {
					break
				}
				seen[target.Slot]++
				f.Failed(kind)
			}
			f.Done(ByClient)
			want := map[int]int{0: 1, 1: 1, 2: 1, 6: 1, 7: 1, emergency: 1}
			if fmt.Sprint(seen) != fmt.Sprint(want) {
				t.Errorf("algorithm %d, %v: tried %v, want %v", a, kind, seen, want)
			}
		}
	}
}

// An ejected server is tried where there is no other: one that was restarted
// serves its clients again at once.
func TestEjectedServersAreTheLastResort(t *testing.T) {
	clk := &clock{}
	d := New(config(3), clk.now)
	for slot := range 3 {
		wantSlots(t, "a server that is restarted", visit(t, d, from(1), slot)[:1], slot) // it goes on to the next
	}
	if slots := visit(t, d, from(1), 2); slots[len(slots)-1] == 2 {
		t.Errorf("tried %v", slots)
	}
	// With all of them dead each client tries the last one, and a few of the others.
	d = New(config(9), clk.now)
	all := []int{0, 1, 2, 3, 4, 5, 6, 7, 8}
	wantSlots(t, "the first client", visit(t, d, from(1), all...), all...)
	clk.t = time.Second
	wantSlots(t, "the next one", visit(t, d, from(2), all...), 8, 0, 1, 2)
	if st := d.Servers()[0]; st.Until != clk.t+d.cfg.Pool.Blacklist {
		t.Errorf("server 0 is ejected until %v, want from now on", st.Until)
	}
	d.Blacklist(4, time.Hour)
	d.SetHealth(5, pool.HealthDown)
	wantSlots(t, "not what the operator or a check keeps away", visit(t, d, from(3), 8, 3, 6), 8, 3, 6, 7)
	if st := d.Servers()[7]; st.State != pool.StateUp {
		t.Errorf("the server that served is %q", st.State)
	}
	// A health check that passes ends it, without any client.
	d.CheckPassed(0)
	if st := d.Servers()[0]; st.State != pool.StateUp || st.Failed {
		t.Errorf("a server whose check passed is %q", st.State)
	}

	cfg := config(2)
	cfg.Stubborn = true
	d = New(cfg, clk.now)
	visit(t, d, from(1))
	wantSlots(t, "stubborn, its server fails", visit(t, d, from(1), 0), 0)
	wantSlots(t, "stubborn, its server is back", visit(t, d, from(1)), 0)
}

// Servers of last resort are tried in their order; one that fails is left alone for
// the next one, but the last of them never.
func TestEmergencyServersInOrder(t *testing.T) {
	cfg := config(1)
	cfg.Pool.Servers[0].Admin = pool.Disabled
	cfg.Pool.Emergency = []pool.Config{server("192.0.2.9:1"), server("192.0.2.9:2"), server("192.0.2.9:3")}
	d := New(cfg, (&clock{}).now)
	ports := func(dead ...uint16) (tried []uint16) {
		f, err := d.Admit(from(1), &carrier{})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Done(ByClient)
		for target, ok := f.Next(); ok; target, ok = f.Next() {
			tried = append(tried, target.Addr.Port())
			if !pool.IsEmergency(target.Slot) {
				t.Errorf("slot %d", target.Slot)
			}
			if !slices.Contains(dead, target.Addr.Port()) {
				f.Up()
				break
			}
			f.Failed(errRefused)
		}
		return tried
	}
	for _, tt := range []struct {
		what       string
		dead, want []uint16
	}{
		{"all there", nil, []uint16{1}},
		{"the first is dead", []uint16{1}, []uint16{1, 2}},
		{"and is left alone", []uint16{1}, []uint16{2}},
		{"the second dies as well", []uint16{1, 2}, []uint16{2, 3}},
		{"and the last", []uint16{1, 2, 3}, []uint16{3}},
		{"which stays", []uint16{1, 2, 3}, []uint16{3}},
	} {
		if got := ports(tt.dead...); !slices.Equal(got, tt.want) {
			t.Errorf("%s: tried %v, want %v", tt.what, got, tt.want)
		}
	}
	e := d.Explain(from(2))
	if len(e.Steps) != 3 || !e.Goes || e.Steps[2].Addr.Port() != 3 || e.Steps[0].Verdict == pool.Admitted {
		t.Errorf("explained as %+v", e.Steps)
	}
	// They keep what is known of them in another order.
	slices.Reverse(cfg.Pool.Emergency)
	d.Configure(cfg)
	if got := ports(); !slices.Equal(got, []uint16{3}) {
		t.Errorf("reversed: tried %v", got)
	}
	cfg.Pool.Emergency = nil
	d.Configure(cfg)
	if got := ports(); got != nil {
		t.Errorf("without any: tried %v", got)
	}
}

// What one client can cause moves it to another server, and nobody else.
func TestAttemptsOfOneClientEjectNobody(t *testing.T) {
	cfg := config(2)
	cfg.NoTracking = true
	cfg.Pool.Algorithm = pool.Prio // server 0 where that is possible
	d := New(cfg, (&clock{}).now)
	bad := func(n int) (ejected bool) {
		t.Helper()
		f, err := d.Admit(from(n), &carrier{})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Done(ByClient)
		f.Next()
		return f.Failed(fmt.Errorf("TLS: %w", ErrAttempt))
	}
	for range 10 {
		if bad(1) || bad(2) {
			t.Fatal("two clients had a server ejected")
		}
	}
	wantSlots(t, "others", visit(t, d, from(9)), 0)
	if bad(3) {
		t.Error("clients had a server ejected that others use")
	}
	bad(1)
	if !bad(2) {
		t.Error("three clients in a row, and it is not ejected")
	}
	for i := range 10 {
		bad(i)
	}
	wantSlots(t, "the last one stays", visit(t, d, from(9)), 1)
}

// Clients of Unix sockets are nobody in particular: balanced, and not limited or
// remembered as if they were one.
func TestClientsWithoutAddress(t *testing.T) {
	cfg := config(2)
	cfg.Pool.Algorithm = pool.LeastConn
	cfg.Limits.ClientConns, cfg.Limits.ClientRate = 1, 1
	for i := range cfg.Pool.Servers {
		cfg.Pool.Servers[i].Weight = 1
	}
	d := New(cfg, (&clock{}).now)
	counts := map[int]int{}
	var flows []*Flow
	for range 20 {
		slots, f := tries(t, d, netip.AddrPort{})
		counts[slots[0]]++
		flows = append(flows, f)
	}
	if counts[0] != 10 || counts[1] != 10 {
		t.Errorf("went to %v", counts)
	}
	if n := d.Table().Len(); n != 0 {
		t.Errorf("%d clients are remembered", n)
	}
	cfg.Prefix6, cfg.Limits.ClientConns = 64, 2
	d.Configure(cfg)
	if e := d.Explain(netip.AddrPort{}); e.Over || !e.Goes {
		t.Errorf("explained as %+v", e)
	}
	for _, f := range flows {
		f.Done(ByClient)
	}
	checkNothingCounted(t, d)
}
