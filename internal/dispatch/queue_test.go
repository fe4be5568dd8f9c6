package dispatch

import (
	"slices"
	"testing"
	"time"

	"pen/internal/acl"
	"pen/internal/pool"
)

// full is a policy with servers that take one connection each, which are taken
// by the flows.
func full(t *testing.T, servers int, change func(*Config)) (d *Dispatcher, clk *clock, cfg Config, holders []*Flow) {
	t.Helper()
	clk = &clock{}
	cfg = config(servers)
	cfg.Queue, cfg.QueueTime = 2, 10*time.Second
	for i := range cfg.Pool.Servers {
		cfg.Pool.Servers[i].Max = 1
	}
	if change != nil {
		change(&cfg)
	}
	d = New(cfg, clk.now)
	for i := range servers {
		f, _, _ := open(t, d, from(100+i))
		holders = append(holders, f)
	}
	return d, clk, cfg, holders
}

// A waiter is a flow that waits.
type waiter struct {
	*Flow
	woken int
}

// queue admits a client that has to wait.
func queue(t *testing.T, d *Dispatcher, client int) *waiter {
	t.Helper()
	f, err := d.Admit(from(client), &carrier{})
	if err != nil {
		t.Fatal(err)
	}
	w := &waiter{Flow: f}
	if target, ok := f.Next(); ok {
		t.Fatalf("client %d got server %d", client, target.Slot)
	}
	if !f.Wait(func() { w.woken++ }) {
		t.Fatalf("client %d does not wait", client)
	}
	return w
}

func TestQueueIsFirstComeFirstServed(t *testing.T) {
	d, _, _, holders := full(t, 2, nil)
	a, b := queue(t, d, 1), queue(t, d, 2)
	if d.Waiting() != nil {
		t.Error("nobody waits")
	}
	if _, f := tries(t, d, from(3)); f != nil || d.Status().Refused[QueueFull] != 1 {
		t.Error("a third one waits")
	}
	holders[1].Done(ByClient)
	if a.woken != 1 || b.woken != 0 {
		t.Errorf("woken: %d, %d", a.woken, b.woken)
	}
	// The place is the first one's before it knows.
	c := queue(t, d, 3)
	if target, ok := a.Next(); !ok || target.Slot != 1 {
		t.Fatalf("got %v %v", target, ok)
	}
	a.Up()
	a.Done(ByClient)
	if b.woken != 1 || c.woken != 0 {
		t.Errorf("woken: %d, %d", b.woken, c.woken)
	}
	b.Done(ByClient) // without having asked for its place
	if c.woken != 1 {
		t.Error("a place that nobody wanted is lost")
	}
	c.Done(ByClient)
	holders[0].Done(ByClient)
	checkNothingCounted(t, d)
}

func TestQueueTime(t *testing.T) {
	for _, emergent := range []bool{false, true} {
		d, clk, cfg, holders := full(t, 1, nil)
		if emergent {
			cfg.Pool.Emergency = []pool.Config{server("192.0.2.9:1")}
			d.Configure(cfg)
		}
		w := queue(t, d, 1)
		clk.t = 9 * time.Second
		d.Tick()
		if w.woken != 0 {
			t.Fatal("woken too early")
		}
		clk.t = 10 * time.Second
		d.Tick()
		d.Tick()
		if w.woken != 1 {
			t.Fatalf("woken %d times", w.woken)
		}
		target, ok := w.Next()
		if ok != emergent || ok && target.Slot != emergency {
			t.Errorf("emergency server %v: got %v %v", emergent, target, ok)
		}
		if w.Wait(func() {}) {
			t.Error("waits again")
		}
		want := uint64(1)
		if emergent {
			want = 0
		}
		if st := d.Status(); st.Refused[QueueTime] != want || st.Refused[NoServer] != 0 {
			t.Errorf("refused %v", st.Refused)
		}
		w.Done(ByClient)
		holders[0].Done(ByClient)
		checkNothingCounted(t, d)
	}
}

// Who waits, and who does not.
func TestWhoWaits(t *testing.T) {
	denied := acl.List{{Addr: from(1).Addr(), Mask: 1<<32 - 1}}
	for _, tt := range []struct {
		name   string
		change func(*Config)
		down   []int
		waits  bool
	}{
		{"all full", nil, nil, true},
		{"one full, one down", nil, []int{1}, true},
		{"all down", nil, []int{0, 1}, false},
		{"no queue", func(c *Config) { c.Queue = 0 }, nil, false},
		{"denied everywhere", func(c *Config) {
			c.ACLs.List[3] = denied
			c.Pool.Servers[0].ACL, c.Pool.Servers[1].ACL = 3, 3
		}, nil, false},
		{"denied by the one that is not down", func(c *Config) {
			c.ACLs.List[3] = denied
			c.Pool.Servers[0].ACL = 3
		}, []int{1}, false},
		{"over the rate", func(c *Config) {
			c.Pool.Servers[0].Max, c.Pool.Servers[1].Max = 0, 0
			c.Limits.ServerRate = 1
		}, nil, true},
		{"denied client at a full abuse server", func(c *Config) {
			c.ACLs.List[4], c.ClientACL = denied, 4
			c.Pool.Abuse = server("192.0.2.8:1")
			c.Pool.Abuse.Max = 1
		}, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, _, cfg, _ := full(t, 2, tt.change)
			if cfg.Pool.Abuse.Max > 0 {
				open(t, d, from(1)) // who takes the abuse server's place
			}
			for _, slot := range tt.down {
				d.Blacklist(slot, time.Hour)
			}
			f, err := d.Admit(from(1), &carrier{})
			if err != nil {
				t.Fatal(err)
			}
			target, ok := f.Next()
			if waits := !ok && f.Wait(func() {}); waits != tt.waits {
				t.Errorf("waits: %v, offered %v %v", waits, target, ok)
			}
			f.Done(ByClient)
		})
	}
}

// A server that takes no new clients is not waited for.
func TestNobodyWaitsForADrainedServer(t *testing.T) {
	d, _, cfg, _ := full(t, 1, nil)
	cfg.Pool.Algorithm = pool.Weight
	cfg.Pool.Servers = slices.Clone(cfg.Pool.Servers)
	cfg.Pool.Servers[0].Weight = 0
	d.Configure(cfg)
	f, _ := d.Admit(from(1), &carrier{})
	if _, ok := f.Next(); ok || f.Wait(func() {}) {
		t.Error("it waits")
	}
}

// A returning client has room above max, and a newcomer takes no place that
// somebody waits for.
func TestReturningClientsDoNotWait(t *testing.T) {
	d, _, _, _ := full(t, 1, func(c *Config) { c.Pool.Servers[0].Hard = 2 })
	w := queue(t, d, 1)
	slots, f := tries(t, d, from(100))
	wantSlots(t, "returning", slots, 0)
	if w.woken != 0 {
		t.Error("woken by room that is not its")
	}
	f.Done(ByClient)
	if w.woken != 0 {
		t.Error("woken by room that is not its")
	}
}

// Every way in which a place may become free.
func TestPlaces(t *testing.T) {
	for name, free := range map[string]func(d *Dispatcher, clk *clock, cfg Config, holder *Flow){
		"a flow ends": func(_ *Dispatcher, _ *clock, _ Config, holder *Flow) { holder.Done(ByClient) },
		"more room": func(d *Dispatcher, _ *clock, cfg Config, _ *Flow) {
			cfg.Pool.Servers = slices.Clone(cfg.Pool.Servers)
			cfg.Pool.Servers[0].Max = 2
			d.Configure(cfg)
		},
		"another server": func(d *Dispatcher, _ *clock, cfg Config, _ *Flow) {
			cfg.Pool.Servers = append(slices.Clone(cfg.Pool.Servers), server("192.0.2.7:1"))
			d.Configure(cfg)
		},
		"a server comes back": func(d *Dispatcher, _ *clock, _ Config, _ *Flow) { d.Blacklist(1, 0) },
		"a server's time is over": func(d *Dispatcher, clk *clock, _ Config, _ *Flow) {
			clk.t = 5 * time.Second
			d.Tick()
		},
		"a newcomer finds it": func(d *Dispatcher, clk *clock, _ Config, _ *Flow) {
			clk.t = 5 * time.Second
			f, _ := d.Admit(from(55), &carrier{})
			if target, ok := f.Next(); ok {
				panic(target)
			}
			f.Done(ByClient)
		},
		"our own failure": func(d *Dispatcher, _ *clock, _ Config, holder *Flow) { holder.Failed(ErrLocal) },
	} {
		t.Run(name, func(t *testing.T) {
			d, clk, cfg, holders := full(t, 2, nil)
			d.Blacklist(1, 5*time.Second)
			holders[1].Done(ByClient)
			w := queue(t, d, 1)
			free(d, clk, cfg, holders[0])
			if w.woken != 1 {
				t.Fatalf("woken %d times", w.woken)
			}
			if _, ok := w.Next(); !ok {
				t.Error("there is no place")
			}
		})
	}
}

// A place at a server that turns out to be dead is not the end: the flow waits
// on, in front of the others, but not for ever.
func TestPlaceInVain(t *testing.T) {
	d, _, _, holders := full(t, 2, nil)
	a, b := queue(t, d, 1), queue(t, d, 2)
	holders[0].Done(ByClient)
	a.Next()
	a.Failed(errRefused)
	if _, ok := a.Next(); ok || !a.Wait(func() { a.woken++ }) {
		t.Fatal("it does not wait for the other server")
	}
	holders[1].Done(ByClient)
	if a.woken != 2 || b.woken != 0 {
		t.Errorf("woken: %d, %d", a.woken, b.woken)
	}
	if target, ok := a.Next(); !ok || target.Slot != 1 {
		t.Errorf("got %v %v", target, ok)
	}
	a.Failed(errRefused)
	if _, ok := a.Next(); ok || !a.Wait(func() { a.woken++ }) {
		t.Error("it does not try the last server once more")
	}
	if target, ok := b.Next(); !ok || target.Slot != 1 {
		t.Errorf("the other one got %v %v", target, ok)
	}
	b.Done(ByClient)
	if target, ok := a.Next(); !ok || target.Slot != 1 {
		t.Errorf("got %v %v", target, ok)
	}
	a.Failed(errRefused)
	if _, ok := a.Next(); ok || a.Wait(func() {}) {
		t.Error("it waits for servers that are down")
	}
	a.Done(ByClient)

	// Without a blacklist the number of tries ends it.
	d, _, _, holders = full(t, 1, func(c *Config) { c.Pool.Blacklist = 0 })
	w := queue(t, d, 1)
	holders[0].Done(ByClient)
	turns := 0
	for _, ok := w.Next(); ok || w.Wait(func() {}); _, ok = w.Next() {
		if ok {
			turns++
			w.Failed(errRefused)
		}
	}
	if turns != maxTurns {
		t.Errorf("%d turns", turns)
	}
	w.Done(ByClient)
	checkNothingCounted(t, d)
}

// Waits do not keep others from being accepted.
func TestWaitingIsNotPending(t *testing.T) {
	d, _, _, holders := full(t, 1, func(c *Config) { c.PendingMax = 1 })
	w := queue(t, d, 1)
	if d.Room() != nil {
		t.Error("no room")
	}
	holders[0].Done(ByClient)
	if d.Room() == nil {
		t.Error("who connects is not pending")
	}
	w.Done(ByClient)
	checkNothingCounted(t, d)
}
