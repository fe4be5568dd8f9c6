package dispatch

import (
	"slices"
	"testing"
	"time"

	"pen/internal/acl"
	"pen/internal/pool"
)

// crowd brings n clients to their servers, and returns their flows.
func crowd(t *testing.T, d *Dispatcher, n int) []*Flow {
	t.Helper()
	var flows []*Flow
	for i := range n {
		_, f := tries(t, d, from(i))
		flows = append(flows, f)
	}
	return flows
}

// end ends the flows that were killed, and counts them.
func end(flows []*Flow) (n int) {
	for i, f := range flows {
		if f != nil && f.carrier.(*carrier).killed {
			f.Done(ByClient)
			flows[i] = nil
			n++
		}
	}
	return n
}

// What is left of a server that drains is ended evenly over the time, and no
// more than that.
func TestDrainIsEven(t *testing.T) {
	var c clock
	cfg := config(1)
	d := New(cfg, c.now)
	flows := crowd(t, d, 100)
	cfg.Pool.Servers[0].Admin = pool.Draining
	d.Configure(cfg)
	if !d.Drain(0, 10*time.Second) || d.Drain(1, time.Second) {
		t.Fatal("not the servers that there are")
	}
	if _, f := tries(t, d, from(3)); f != nil {
		t.Error("a draining server got a client")
	}
	for s := range 10 {
		c.t += time.Second
		d.Sweep()
		if n := end(flows); n != 10 {
			t.Errorf("second %d: %d flows ended, want 10", s+1, n)
		}
	}
	if d.Flows() != 0 || d.Sweeps() && func() bool { d.Sweep(); return d.Sweeps() }() {
		t.Error("the drain does not end")
	}
}

// A server that is enabled again keeps its flows.
func TestDrainEndsWithItsState(t *testing.T) {
	var c clock
	cfg := config(1)
	d := New(cfg, c.now)
	flows := crowd(t, d, 10)
	cfg.Pool.Servers = []pool.Config{cfg.Pool.Servers[0]}
	cfg.Pool.Servers[0].Admin = pool.Disabled
	d.Configure(cfg)
	d.Drain(0, 10*time.Second)
	cfg.Pool.Servers = []pool.Config{cfg.Pool.Servers[0]}
	cfg.Pool.Servers[0].Admin = pool.Enabled
	d.Configure(cfg)
	c.t += time.Minute
	d.Sweep()
	if n := end(flows); n != 0 {
		t.Errorf("%d flows ended", n)
	}
}

// Flows end when they are old, each at its own time within the last tenth.
func TestMaxAge(t *testing.T) {
	var c clock
	cfg := config(1)
	cfg.MaxAge = 100 * time.Second
	d := New(cfg, c.now)
	flows := crowd(t, d, 200)
	c.t = 90*time.Second - 1
	d.Sweep()
	if n := end(flows); n != 0 {
		t.Errorf("%d flows ended early", n)
	}
	most := 0
	for c.t < 100*time.Second {
		c.t += time.Second
		d.Sweep()
		most = max(most, end(flows))
	}
	if d.Flows() != 0 {
		t.Errorf("%d flows are too old", d.Flows())
	}
	if most > 100 {
		t.Errorf("%d of 200 flows ended in one second", most)
	}
}

func TestCloseDown(t *testing.T) {
	var c clock
	cfg := config(2)
	d := New(cfg, c.now)
	flows := crowd(t, d, 10)
	d.SetHealth(1, pool.HealthDown)
	d.Sweep()
	if n := end(flows); n != 0 {
		t.Errorf("%d flows ended though they are to be kept", n)
	}
	cfg.CloseDown = true
	d.Configure(cfg)
	d.Sweep()
	if n := end(flows); n != 5 {
		t.Errorf("%d flows ended, want the five of the server that is down", n)
	}
}

// Clients that belong to another server are moved there, so many a second.
func TestRebalance(t *testing.T) {
	for _, alg := range []pool.Algorithm{pool.Maglev, pool.Prio, pool.LeastConn, pool.RoundRobin, pool.First} {
		var c clock
		cfg := config(2)
		cfg.Pool.Servers[1].Prio = 1
		cfg.Pool.Algorithm, cfg.Rebalance = alg, 10
		d := New(cfg, c.now)
		d.SetHealth(0, pool.HealthDown)
		flows := crowd(t, d, 100)
		d.SetHealth(0, pool.HealthUp)
		for range 40 {
			c.t += time.Second
			d.Sweep()
			n := 0
			for i, f := range flows {
				if !f.carrier.(*carrier).killed {
					continue
				}
				n++
				who := f.Client()
				f.Done(ByClient)
				_, flows[i] = tries(t, d, who) // it comes back
			}
			if n > 10 {
				t.Errorf("%v: %d flows were moved in a second", alg, n)
			}
		}
		got := d.Servers()[0].Conns
		want := map[pool.Algorithm][2]int{pool.Maglev: {40, 60}, pool.Prio: {100, 100}, pool.First: {100, 100}, pool.LeastConn: {35, 50}, pool.RoundRobin: {35, 50}}[alg]
		if got < want[0] || got > want[1] {
			t.Errorf("%v: %d of 100 are at the server that came back, want %v", alg, got, want)
		}
	}
}

// Nothing is moved that would come back: where a server takes no more, or less than
// its weight says, for whatever reason.
func TestRebalanceDoesNotChurn(t *testing.T) {
	const clients, servers = 200, 2
	for name, change := range map[string]func(*Config, *Dispatcher){
		"nothing":                  func(*Config, *Dispatcher) {},
		"one at its max":           func(c *Config, _ *Dispatcher) { c.Pool.Servers[0].Max = 10 },
		"an agent says 10 percent": func(_ *Config, d *Dispatcher) { d.SetAgent(0, pool.Agent{Weight: 10}) },
		"one denies all clients":   func(c *Config, _ *Dispatcher) { c.Pool.Servers[0].ACL = 1 },
		"one drains":               func(c *Config, _ *Dispatcher) { c.Pool.Servers[0].Admin = pool.Draining },
		"one has a weight of 0":    func(c *Config, _ *Dispatcher) { c.Pool.Servers[0].Weight = 0 },
		"one failed":               func(_ *Config, d *Dispatcher) { d.pool.Fail(d.pool.At(0), 0) },
		"one is in a slow start": func(c *Config, d *Dispatcher) {
			c.Pool.SlowStart = 10 * time.Minute
			d.Configure(*c)
			d.SetHealth(0, pool.HealthDown)
			d.SetHealth(0, pool.HealthUp)
		},
	} {
		for a := range pool.Algorithm(pool.Algorithms) {
			var c clock
			cfg := config(servers)
			cfg.Pool.Algorithm, cfg.Rebalance, cfg.ClientsMax, cfg.Pool.Blacklist = a, 5, 1000, time.Hour
			cfg.ACLs.List[1] = acl.List{{Addr: from(1).Addr()}}
			for i := range cfg.Pool.Servers {
				cfg.Pool.Servers[i].Weight = 1
			}
			d := New(cfg, c.now)
			d.pool.Seed(1, 2)
			change(&cfg, d)
			d.Configure(cfg)
			flows := crowd(t, d, clients)
			moved, late := 0, 0
			for step := range 600 {
				c.t += 100 * time.Millisecond
				d.Sweep()
				for i, f := range flows {
					if !f.carrier.(*carrier).killed {
						continue
					}
					who := f.Client()
					f.Done(ByClient)
					_, flows[i] = tries(t, d, who) // it comes back
					moved++
					if step >= 300 {
						late++
					}
				}
			}
			// What becomes due as a slow start goes on is a move for each client at most.
			if most := map[bool]int{true: clients / 10, false: 0}[name == "one is in a slow start"]; late > most || moved > clients/4 {
				t.Errorf("algorithm %d, %s: %d moved in a minute, %d of them in the second half", a, name, moved, late)
			}
		}
	}
}

// Clients of the emergency server go back when there is a server again.
func TestRebalanceFromEmergency(t *testing.T) {
	var c clock
	cfg := config(1)
	cfg.Pool.Emergency = []pool.Config{server("192.0.2.9:9")}
	cfg.Rebalance = 100
	d := New(cfg, c.now)
	d.SetHealth(0, pool.HealthDown)
	flows := crowd(t, d, 5)
	c.t += time.Second
	d.Sweep()
	if n := end(flows); n != 0 {
		t.Errorf("%d were moved to nowhere", n)
	}
	d.SetHealth(0, pool.HealthUp)
	c.t += time.Second
	d.Sweep()
	if n := end(flows); n != 5 {
		t.Errorf("%d of 5 were moved back", n)
	}
}

// What clients meet at a server is told once: that it ends connections, and
// that it works again.
func TestTell(t *testing.T) {
	var c clock
	var told []string
	cfg := config(2)
	cfg.EarlyEnd = time.Second
	cfg.Pool.Algorithm = pool.Prio // server 0 where that is possible
	cfg.Pool.Outlier = pool.Outlier{Resets: 2}
	var d *Dispatcher
	cfg.Observer = observer{changed: func(t Target, how Change) {
		d.Numbers() // it may ask
		told = append(told, t.String()+" "+how.String())
	}}
	d = New(cfg, c.now)
	for i := range pool.Witnesses {
		_, f := tries(t, d, from(i))
		f.carrier.(*carrier).moved.ServerEOF = true
		f.Done(ByServer)
	}
	wantSlots(t, "the server is ejected", visit(t, d, from(9)), 1)
	c.t += cfg.Pool.Blacklist
	for range 2 {
		_, f := tries(t, d, from(1))
		f.carrier.(*carrier).moved.FromServer = 1
		f.Done(ByClient)
	}
	want := []string{"192.0.2.1:1000 left alone: it ends connections without a byte", "192.0.2.1:1000 takes connections again"}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
