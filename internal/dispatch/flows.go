package dispatch

import (
	"net/netip"
	"time"

	"pen/internal/client"
	"pen/internal/pool"
)

const flowChunk = 64

// flows are the places for live flows, numbered from 0. They are made in
// chunks that never move and are used again, so that a flow costs no
// allocation and its number finds it. Guarded by the Dispatcher's lock.
type flows struct {
	chunks [][]Flow
	free   []int
	used   int
}

func (fs *flows) take() *Flow {
	if len(fs.free) == 0 {
		n := len(fs.chunks) * flowChunk
		fs.chunks = append(fs.chunks, make([]Flow, flowChunk))
		for i := n + flowChunk - 1; i >= n; i-- { // the lowest number is used first
			fs.free = append(fs.free, i)
		}
	}
	id := fs.free[len(fs.free)-1]
	fs.free = fs.free[:len(fs.free)-1]
	fs.used++
	f := fs.place(id)
	f.id, f.live = id, true
	return f
}

func (fs *flows) put(f *Flow) {
	id := f.id
	*f = Flow{}
	fs.free = append(fs.free, id)
	fs.used--
}

func (fs *flows) place(id int) *Flow { return &fs.chunks[id/flowChunk][id%flowChunk] }

// at returns the live flow of this number, or nil.
func (fs *flows) at(id int) *Flow {
	if id < 0 || id >= len(fs.chunks)*flowChunk {
		return nil
	}
	if f := fs.place(id); f.live {
		return f
	}
	return nil
}

// live iterates over the live flows in the order of their numbers.
func (fs *flows) live(yield func(*Flow) bool) {
	for id := range len(fs.chunks) * flowChunk {
		if f := fs.at(id); f != nil && !yield(f) {
			return
		}
	}
}

// FlowStatus is a live flow at one moment.
type FlowStatus struct {
	ID     int
	Client int // slot in the client table, or -1
	Server int // slot, or one of pool's negative ones
	Up     bool
	// Waiting says that the flow waits; see [Flow.Wait].
	Waiting bool
	Traffic
}

// Status is a Dispatcher's state at one moment. Bytes of live flows are
// counted with their servers and clients.
type Status struct {
	Now        time.Duration // on the Dispatcher's clock
	Last       int           // slot of the server tried last
	Servers    []pool.Status // by slot
	Flows      []FlowStatus  // by number
	Clients    []client.Entry
	ClientsMax int
	Evicted    uint64 // clients that were forgotten for lack of room, since the start
	ConnMax    int
	Refused    [Reasons]uint64 // since the start, by Reason
	EarlyEnds  uint64          // since the start, see [Config.EarlyEnd]
}

// Numbers are a Dispatcher's counts at one moment.
type Numbers struct {
	Servers, Available int // in slots; those that take clients
	Flows, ConnMax     int
	Clients            int // that are remembered
}

// Numbers returns the counts. It is cheap.
func (d *Dispatcher) Numbers() Numbers {
	d.mu.Lock()
	defer d.mu.Unlock()
	used, available := d.pool.Numbers(d.now())
	return Numbers{used, available, d.flows.used, d.cfg.ConnMax, d.clients.Load().Len()}
}

// Flows is how many flows are live.
func (d *Dispatcher) Flows() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.flows.used
}

// sizes are how many slots and flows there are: memory for all of them is made
// before the lock is held, while flows need not wait for it.
func (d *Dispatcher) sizes() (servers, flows int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pool.Len(), d.flows.used
}

// Servers returns the state of all slots, with the bytes of live flows.
func (d *Dispatcher) Servers() []pool.Status {
	n, _ := d.sizes()
	servers := make([]pool.Status, 0, n)
	d.mu.Lock()
	defer d.mu.Unlock()
	servers = d.pool.AppendStatus(servers)
	for f := range d.flows.live {
		f.status(servers)
	}
	return servers
}

// Status returns everything. Its cost grows with the number of servers, flows
// and clients; new flows wait for the time that the first two take: a millisecond
// for ten thousand of each.
func (d *Dispatcher) Status() Status {
	servers, flows := d.sizes()
	st := Status{
		Servers: make([]pool.Status, 0, servers), Flows: make([]FlowStatus, 0, flows),
		Clients: d.Clients(), ClientsMax: d.clients.Load().Max(),
		Evicted: d.clients.Load().Evictions(),
	}
	keys := make([]netip.Addr, 0, flows)
	known := make(map[netip.Addr]*client.Entry, len(st.Clients))
	for i := range st.Clients {
		known[st.Clients[i].Addr] = &st.Clients[i]
	}
	keys = d.fill(&st, keys)
	for i, key := range keys {
		if c := known[key]; c != nil {
			fs := &st.Flows[i]
			fs.Client = c.Slot
			c.Sent += fs.ToClient
			c.Received += fs.FromClient
		}
	}
	return st
}

// fill is what Status does under the lock. It appends what the clients of the
// flows are known by.
func (d *Dispatcher) fill(st *Status, keys []netip.Addr) []netip.Addr {
	d.mu.Lock()
	defer d.mu.Unlock()
	st.Now, st.Last, st.ConnMax, st.Refused = d.now(), d.last, d.cfg.ConnMax, d.refused
	st.EarlyEnds = d.early
	st.Servers = d.pool.AppendStatus(st.Servers)
	for f := range d.flows.live {
		st.Flows = append(st.Flows, f.status(st.Servers))
		keys = append(keys, f.key)
	}
	return keys
}

// Table is the client table that is in use.
func (d *Dispatcher) Table() *client.Table { return d.clients.Load() }

// Clients returns the client table, without the bytes of live flows.
func (d *Dispatcher) Clients() []client.Entry { return d.clients.Load().Dump() }

// status returns the flow's state and adds its bytes to its server's.
func (f *Flow) status(servers []pool.Status) FlowStatus {
	fs := FlowStatus{ID: f.id, Client: -1, Server: pool.None, Up: f.up, Traffic: f.carrier.Traffic()}
	fs.Waiting = f.waits == held || f.waits == queued
	if f.server == nil {
		return fs
	}
	fs.Server = f.server.Slot
	if fs.Server >= 0 && fs.Server < len(servers) {
		servers[fs.Server].Sent += fs.FromClient - f.credited.sent
		servers[fs.Server].Received += fs.FromServer - f.credited.received
	}
	return fs
}
