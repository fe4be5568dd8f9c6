package dispatch

import (
	"net/netip"
	"slices"
	"time"

	"pen/internal/client"
	"pen/internal/pool"
)

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

// Status is a Dispatcher's state at one moment. Bytes of live flows are included in those
// of their servers and clients.
type Status struct {
	Now        time.Duration // on the Dispatcher's clock
	Last       int           // slot of the server tried last
	Servers    []pool.Status // by slot
	Flows      []FlowStatus  // by number
	Clients    []Client
	ClientsMax int
	Evicted    uint64 // clients that were forgotten for lack of room, since the start
	ConnMax    int
	Counts
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
	defer d.unlock()
	used, available := d.pool.Numbers(d.now())
	return Numbers{used, available, d.flows.used, d.cfg.ConnMax, d.clients.Load().Len()}
}

// Flows is how many flows are live.
func (d *Dispatcher) Flows() int {
	d.mu.Lock()
	defer d.unlock()
	return d.flows.used
}

// sizes are how many slots and flows there are, so that memory for them can be made
// without the lock.
func (d *Dispatcher) sizes() (servers, flows int) {
	d.mu.Lock()
	defer d.unlock()
	return d.pool.Len(), d.flows.used
}

// Servers returns the state of all slots, with the bytes of live flows.
func (d *Dispatcher) Servers() []pool.Status {
	servers, _ := d.sizes()
	s := d.newSurvey(servers)
	d.inSlices(s.count, func() {})
	return s.servers()
}

// A survey adds up what live flows have moved, by server, a slice of flows at a time. A
// flow that leaves its server after it was counted credits the server itself and is taken
// out of the survey. So no byte counts twice or is missed, and counts never go back from
// one survey to the next.
type survey struct {
	d       *Dispatcher
	by      []volume // by slot
	counted []volume // by flow
	states  []pool.Status
}

// A volume is the bytes that were read from clients and from servers.
type volume struct{ sent, received uint64 }

func (d *Dispatcher) newSurvey(servers int) *survey {
	s := &survey{d: d, by: make([]volume, servers), states: make([]pool.Status, 0, servers)}
	d.mu.Lock()
	d.surveys = append(d.surveys, s)
	d.unlock()
	return s
}

// count counts a flow. The lock is held.
func (s *survey) count(f *Flow) bool {
	if f.server == nil || f.server.Slot < 0 || f.server.Slot >= len(s.by) {
		return true
	}
	t := f.carrier.Traffic()
	was := f.credited()
	v := volume{t.FromClient - was.sent, t.FromServer - was.received}
	s.by[f.server.Slot].sent += v.sent
	s.by[f.server.Slot].received += v.received
	if missing := int(f.id) + 1 - len(s.counted); missing > 0 {
		s.counted = append(s.counted, make([]volume, missing)...)
	}
	s.counted[f.id] = v
	return true
}

// leaves takes a flow that leaves its server out of the survey. The lock is held.
func (s *survey) leaves(f *Flow) {
	if int(f.id) >= len(s.counted) || s.counted[f.id] == (volume{}) {
		return
	}
	v := s.counted[f.id]
	s.counted[f.id] = volume{}
	s.by[f.server.Slot].sent -= v.sent
	s.by[f.server.Slot].received -= v.received
}

// servers completes the survey and returns the state of all slots.
func (s *survey) servers() []pool.Status {
	d := s.d
	d.mu.Lock()
	defer d.unlock()
	d.surveys = slices.DeleteFunc(d.surveys, func(other *survey) bool { return other == s })
	s.states = d.pool.AppendStatus(s.states)
	for slot := range min(len(s.by), len(s.states)) {
		s.states[slot].Sent += s.by[slot].sent
		s.states[slot].Received += s.by[slot].received
	}
	return s.states
}

// Status returns everything. It costs O(servers + flows + clients), but never holds the
// lock for more than a thousand flows, so the flows are not all of the same moment.
func (d *Dispatcher) Status() Status {
	servers, flows := d.sizes()
	st := Status{
		Flows:   make([]FlowStatus, 0, flows),
		Clients: d.Clients(), ClientsMax: d.clients.Load().Max(),
		Evicted: d.clients.Load().Evictions(),
	}
	keys := make([]netip.Addr, 0, flows)
	known := make(map[netip.Addr]*Client, len(st.Clients))
	for i := range st.Clients {
		known[st.Clients[i].Addr] = &st.Clients[i]
	}
	s := d.newSurvey(servers)
	d.inSlices(func(f *Flow) bool {
		st.Flows = append(st.Flows, f.status())
		keys = append(keys, f.key())
		return s.count(f)
	}, func() {})
	st.Servers = s.servers()
	d.mu.Lock()
	st.Now, st.Last, st.ConnMax, st.Counts = d.now(), d.last, d.cfg.ConnMax, d.counters.counts()
	d.unlock()
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

// Table is the client table that is in use.
func (d *Dispatcher) Table() *client.Table { return d.clients.Load().Table }

// status returns the flow's state.
func (f *Flow) status() FlowStatus {
	fs := FlowStatus{ID: int(f.id), Client: -1, Server: pool.None, Up: f.isUp(), Waiting: f.isWaiting(), Traffic: f.carrier.Traffic()}
	if f.server != nil {
		fs.Server = f.server.Slot
	}
	return fs
}
