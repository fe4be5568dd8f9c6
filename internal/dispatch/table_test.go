package dispatch

import (
	"cmp"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pen/internal/client"
	"pen/internal/pool"
)

// Clients that come with many addresses, one after the other, make the table forget
// neither those that are connected nor, once these are gone, anything else of them.
func TestConnectedClientsAreRemembered(t *testing.T) {
	cfg := config(3)
	cfg.ClientsMax = 4
	d := New(cfg, (&clock{}).now)
	_, f := tries(t, d, from(1))
	_, g := tries(t, d, from(1))
	slot := f.Target().Slot
	flood := func(first int) {
		for i := range 50 {
			visit(t, d, from(first+i))
		}
	}
	remembered := func() int {
		id, _ := d.Table().Lookup(from(1).Addr(), 0)
		return d.table().slot(id)
	}
	flood(1000)
	if got := remembered(); got != slot {
		t.Errorf("after a flood the connected client is at server %d, want %d", got, slot)
	}
	f.Done(ByClient)
	flood(2000)
	if got := remembered(); got != slot {
		t.Errorf("with one of its two connections it is at server %d, want %d", got, slot)
	}
	g.Done(ByClient)
	flood(3000)
	if got := remembered(); got != pool.None {
		t.Errorf("without a connection it is still at server %d", got)
	}
	if n := d.Status().Evicted; n < 100 {
		t.Errorf("%d clients were evicted, want all of the flood", n)
	}
}

// What clients are known by may change while they are connected, and so may the
// table: their connections are counted where they were counted first.
func TestConnectionsAreCountedWhereTheyBegan(t *testing.T) {
	cfg := config(1)
	cfg.ClientsMax = 2
	d := New(cfg, (&clock{}).now)
	_, f := tries(t, d, from(1))
	shared := client.New(2)
	cfg.Clients = shared
	d.Configure(cfg)
	_, g := tries(t, d, from(2))
	cfg.Prefix4 = 24
	d.Configure(cfg) // g's client is another one now
	f.Done(ByClient)
	g.Done(ByClient)
	for _, table := range []*client.Table{d.own, shared} {
		for i := range 3 {
			table.Begin(from(10+i).Addr(), 0, 0)
			table.End(from(10+i).Addr(), 0, 0)
		}
		if _, ok := table.Get(from(11).Addr()); !ok {
			t.Error("a client that left before is still taken for a connected one")
		}
	}
}

// tableConfig is one of a service of servers at ports of one host, in slots by their
// order; port 0 leaves a slot unused.
func tableConfig(table *client.Table, ports ...uint16) Config {
	cfg := config(0)
	cfg.Clients = table
	for _, p := range ports {
		c := pool.Config{}
		if p > 0 {
			c = pool.Config{Addr: netip.AddrPortFrom(from(1).Addr(), p), Weight: 1}
		}
		cfg.Pool.Servers = append(cfg.Pool.Servers, c)
	}
	return cfg
}

// portFor is the port of the server that a client is sent to.
func portFor(t *testing.T, d *Dispatcher, at netip.AddrPort) uint16 {
	t.Helper()
	_, f := tries(t, d, at)
	defer f.Done(ByClient)
	return f.Target().Addr.Port()
}

// Clients keep their servers while these move to other slots, are named and renamed, and
// while another service with another order shares the table.
func TestClientsFollowTheirServers(t *testing.T) {
	const clients = 9
	table := client.New(100)
	d := New(tableConfig(table, 81, 82, 83), (&clock{}).now)
	other := New(tableConfig(table, 84, 83, 0, 81), (&clock{}).now)
	var ports []uint16
	for i := range clients {
		ports = append(ports, portFor(t, d, from(i)))
	}
	wantPorts := func(what string, d *Dispatcher) {
		t.Helper()
		for i, want := range ports {
			listed := slices.ContainsFunc(d.cfg.Pool.Servers, func(c pool.Config) bool { return c.Addr.Port() == want })
			if got := portFor(t, d, from(i)); listed && got != want {
				t.Errorf("%s: client %d is sent to port %d, want %d", what, i, got, want)
			}
		}
	}
	wantPorts("another service", other)
	for i := range clients { // also those of port 82, which went elsewhere
		ports[i] = portFor(t, d, from(i))
	}
	for _, tt := range []struct {
		what  string
		names []string
		order []uint16
		moved map[uint16]uint16
	}{
		{"other slots", nil, []uint16{83, 0, 81, 0, 82}, nil},
		{"named", []string{"c", "", "a"}, []uint16{83, 0, 81, 82}, nil},
		// A name counts for more than an address: 82 is now what was 81.
		{"renamed", []string{"x", "a", "y"}, []uint16{81, 82, 83}, map[uint16]uint16{81: 82}},
		{"without names", nil, []uint16{82, 83, 81}, nil},
	} {
		cfg := tableConfig(table, tt.order...)
		for i, name := range tt.names {
			cfg.Pool.Servers[i].Name = name
		}
		for i, port := range ports {
			ports[i] = cmp.Or(tt.moved[port], port)
		}
		d.Configure(cfg)
		wantPorts(tt.what, d)
	}
}

// Servers without names at one address, as those of a name with several addresses, are
// told apart by their order.
func TestServersThatAreAlike(t *testing.T) {
	table := client.New(100)
	d := New(tableConfig(table, 80, 80, 80), (&clock{}).now)
	var slots []int
	for i := range 6 {
		_, f := tries(t, d, from(i))
		slots = append(slots, f.Target().Slot)
		f.Done(ByClient)
	}
	for i, want := range slots {
		_, f := tries(t, d, from(i))
		if got := f.Target().Slot; got != want {
			t.Errorf("client %d is at server %d, want %d", i, got, want)
		}
		f.Done(ByClient)
	}
	if slices.Max(slots) != 2 {
		t.Errorf("servers %v were used, want all three", slots)
	}
}

// A client that another node has assigned is sent to the server of that identity, and is
// shown without a server where the service does not know it.
func TestMergedClients(t *testing.T) {
	table := client.New(100)
	d := New(tableConfig(table, 81, 82), (&clock{}).now)
	ids, _ := table.Intern([]client.Identity{{Name: "elsewhere", Address: tableConfig(nil, 82).Pool.Servers[0].Addr.String()}, {Name: "stranger"}})
	news, refused := table.Merge([]client.Assignment{
		{Addr: from(1).Addr(), Server: ids[0], Version: 1 << 20, Node: 2},
		{Addr: from(2).Addr(), Server: ids[1], Version: 1 << 20, Node: 2},
	}, time.Second)
	if news != 2 || refused != 0 {
		t.Errorf("%d news, %d refused", news, refused)
	}
	if e := d.Explain(from(1)); e.Remembered != 1 {
		t.Errorf("the client is remembered at %d, want 1", e.Remembered)
	}
	for i, want := range []int{1, -1} {
		if got := d.Clients()[i].Server; got != want {
			t.Errorf("client %d is shown at server %d, want %d", i+1, got, want)
		}
	}
	if got := portFor(t, d, from(1)); got != 82 {
		t.Errorf("sent to port %d, want 82", got)
	}
}
