package dispatch

import (
	"net/netip"
	"testing"
	"time"

	"pen/internal/acl"
	"pen/internal/pool"
)

// An observer calls those of its functions that are not nil.
type observer struct {
	refused func(netip.AddrPort, Refusal)
	ended   func(*Record)
	changed func(Target, Change)
	failed  func(slot int)
	read    func(netip.Addr, string, bool, []byte)
}

func (o observer) Refused(client netip.AddrPort, why Refusal) {
	if o.refused != nil {
		o.refused(client, why)
	}
}

func (o observer) Ended(r *Record) {
	if o.ended != nil {
		o.ended(r)
	}
}

func (o observer) ServerChanged(t Target, how Change) {
	if o.changed != nil {
		o.changed(t, how)
	}
}

func (o observer) ConnectFailed(slot int) {
	if o.failed != nil {
		o.failed(slot)
	}
}

func (o observer) Read(client netip.Addr, server string, fromClient bool, chunk []byte) {
	if o.read != nil {
		o.read(client, server, fromClient, chunk)
	}
}

// A flow is recorded with what it tried, how long that took, and what ended it.
func TestRecord(t *testing.T) {
	clk := &clock{t: time.Hour}
	var got []*Record
	cfg := config(3)
	cfg.Pool.Algorithm = pool.RoundRobin
	cfg.Pool.Servers[1].Admin = pool.Disabled
	cfg.Observer, cfg.Watch = observer{ended: func(r *Record) { got = append(got, r) }}, WatchRecords
	d := New(cfg, clk.now)
	c := &carrier{}
	f, err := d.Admit(from(1), c)
	if err != nil {
		t.Fatal(err)
	}
	first, _ := f.Next()
	clk.t += 30 * time.Millisecond
	f.Failed(errRefused)
	second, ok := f.Next()
	if !ok || first.Slot == second.Slot {
		t.Fatalf("went to %d after %d", second.Slot, first.Slot)
	}
	clk.t += 2 * time.Millisecond
	f.Up()
	clk.t += time.Second
	c.moved = Traffic{FromClient: 5, FromServer: 7, ToClient: 7, ToServer: 5}
	f.Done(ByServerReset)
	if len(got) != 1 {
		t.Fatalf("%d records", len(got))
	}
	r := got[0]
	if r.Client != from(1) || r.Ending != ByServerReset || r.Traffic != c.moved || r.First != first.Slot || r.Remembered != pool.None {
		t.Errorf("record %+v", r)
	}
	if r.Accepted != time.Hour || r.Connected != time.Hour+32*time.Millisecond || r.Ended != r.Connected+time.Second {
		t.Errorf("accepted %v, connected %v, ended %v", r.Accepted, r.Connected, r.Ended)
	}
	if len(r.Steps) != 2 || r.Steps[0].Verdict != Unreachable || r.Steps[0].Took != 30*time.Millisecond || r.Steps[0].Slot != first.Slot ||
		r.Steps[1].Verdict != pool.Admitted || r.Steps[1].Took != 2*time.Millisecond || r.Steps[1].Slot != second.Slot || r.Steps[1].Addr != second.Addr {
		t.Errorf("steps %+v", r.Steps)
	}
}

// Refusals without a flow are told, those with one are in its record, and none twice.
func TestRefusalsAreTold(t *testing.T) {
	clk := &clock{}
	var told, recorded []Refusal
	cfg := config(1)
	cfg.ClientACL = 1
	cfg.ACLs.List[1] = acl.List{{Addr: from(9).Addr(), Mask: 1<<32 - 1}}
	cfg.Limits.ClientConns = 1
	cfg.Watch = WatchRefusals | WatchRecords
	cfg.Observer = observer{
		refused: func(_ netip.AddrPort, why Refusal) { told = append(told, why) },
		ended:   func(r *Record) { recorded = append(recorded, r.Refusal) },
	}
	d := New(cfg, clk.now)
	d.Admit(from(9), &carrier{})
	place, _ := d.Reserve()
	open := place.Open(&carrier{})
	if open.Admit(from(9)) != ErrDenied {
		t.Error("it is not denied")
	}
	open.Done(Refused)
	_, f := tries(t, d, from(1))
	if _, err := d.Admit(from(1), &carrier{}); err != ErrLimited {
		t.Error(err)
	}
	place, _ = d.Reserve()
	if _, err := place.Admit(from(1), &carrier{}); err != ErrLimited {
		t.Error(err)
	}
	f.Done(ByClient)
	place, _ = d.Reserve()
	open = place.Open(&carrier{})
	open.Refuse(d, BadHeader)
	open.Done(Refused)
	d.Refuse(from(1), Full)
	want := []Refusal{Denied, ClientConns, ClientConns, Full}
	if len(told) != len(want) {
		t.Fatalf("told %v, want %v", told, want)
	}
	for i := range want {
		if told[i] != want[i] {
			t.Errorf("told %v, want %v", told, want)
		}
	}
	if len(recorded) != 3 || recorded[0] != Denied || recorded[2] != BadHeader {
		t.Errorf("recorded %v", recorded)
	}
}

// A flow that nobody watches costs no allocation, and one that is recorded a few.
func TestNobodyListens(t *testing.T) {
	d := New(config(2), (&clock{}).now)
	c := &carrier{}
	if n := testing.AllocsPerRun(1000, func() { admitDone(d, from(1), c) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	cfg := config(2)
	cfg.Observer, cfg.Watch = NoObserver{}, WatchRecords
	d.Configure(cfg)
	if n := testing.AllocsPerRun(1000, func() { admitDone(d, from(1), c) }); n == 0 || n > 4 {
		t.Errorf("%v allocations of a flow that is recorded", n)
	}
}
