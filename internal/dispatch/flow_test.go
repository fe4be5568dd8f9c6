package dispatch

import (
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"
	"unsafe"

	"pen/internal/pool"
)

// There may be a million flows: what few of them have is behind pointers.
func TestFlowIsSmall(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		return // sizes are those of amd64
	}
	if n := unsafe.Sizeof(Flow{}); n > 160 {
		t.Errorf("a flow has %d bytes, want 160 at most", n)
	}
}

func TestEndpoint(t *testing.T) {
	for _, a := range []string{"192.0.2.1:80", "[2001:db8::1]:443", "[::]:0"} {
		want := netip.MustParseAddrPort(a)
		if got := endpointOf(want).addrPort(); got != want {
			t.Errorf("%v became %v", want, got)
		}
	}
	if got := endpointOf(netip.AddrPort{}).addrPort(); got.IsValid() {
		t.Errorf("no address became %v", got)
	}
}

// TestPhases takes flows through their phases and looks at what counts them, and at how
// long their records say that they waited.
func TestPhases(t *testing.T) {
	clk := &clock{}
	cfg := config(1)
	cfg.Pool.Servers[0].Max = 1
	cfg.Queue, cfg.Limits.Rate, cfg.Limits.Delay = 1, 1, time.Minute
	var records []*Record
	cfg.Observer, cfg.Watch = observer{ended: func(r *Record) { records = append(records, r) }}, WatchRecords
	d := New(cfg, clk.now)
	want := func(f *Flow, p phase, pending, unidentified int) {
		t.Helper()
		if f.phase != p || int(d.pending.Load()) != pending || len(d.unidentified) != unidentified {
			t.Errorf("phase %d, %d pending, %d unidentified; want %d, %d, %d", f.phase, d.pending.Load(), len(d.unidentified), p, pending, unidentified)
		}
	}
	next := func(f *Flow) bool {
		_, ok := f.Next()
		return ok
	}
	place, _ := d.Reserve()
	first := place.Open(&carrier{})
	want(first, reserved, 0, 0)
	if err := first.Admit(from(1)); err != nil {
		t.Fatal(err)
	}
	want(first, identifying, 0, 1)
	if first.Dummy() || !next(first) {
		t.Fatal("no server")
	}
	want(first, offered, 1, 0)
	first.Up()
	want(first, up, 0, 0)

	second, err := d.Admit(from(2), &carrier{})
	if err != nil {
		t.Fatal(err)
	}
	want(second, choosing, 1, 0)
	if next(second) || !second.Wait(func() {}) {
		t.Fatal("it came too early, and does not wait")
	}
	want(second, delayed, 0, 0)
	clk.t += time.Second
	d.Tick()
	want(second, woken, 1, 0)
	if next(second) || !second.Wait(func() {}) {
		t.Fatal("the server is full, and it does not wait")
	}
	want(second, queued, 0, 0)
	clk.t += 2 * time.Second
	first.Done(ByClient)
	want(second, woken, 1, 0)
	if second.server == nil || !next(second) {
		t.Fatal("no place was kept")
	}
	want(second, offered, 1, 0)
	second.Failed(errRefused)
	want(second, choosing, 1, 0)
	second.Done(Refused)
	want(second, free, 0, 0)
	if len(records) != 2 || records[0].Delayed != 0 || records[1].Delayed != time.Second || records[1].Queued != 2*time.Second {
		t.Errorf("records %+v", records)
	}
}

// TestRoute has a route taken to its end, each server failing or not admitting.
func TestRoute(t *testing.T) {
	const emergency = pool.EmergencySlot
	for _, c := range []struct {
		name   string
		change func(*Config)
		from   route
		want   []int
	}{
		{"from the remembered one, once around", nil, route{remembered: 1}, []int{1, 2, 3, 0, emergency}},
		{"not tracked", func(c *Config) { c.NoTracking = true }, route{remembered: 1}, []int{0, 1, 2, 3, emergency}},
		{"preferred", nil, route{remembered: 1, first: 2, stage: stagePreferred}, []int{2, 3, 0, 1, emergency}},
		{"preferred, and not there", nil, route{remembered: 1, first: 9, stage: stagePreferred}, []int{1, 2, 3, 0, emergency}},
		{"the remembered one is gone", nil, route{remembered: 9}, []int{0, 1, 2, 3, emergency}},
		{"stubborn", func(c *Config) { c.Stubborn = true }, route{remembered: 1}, []int{1}},
		{"abuse", nil, route{remembered: 1, stage: stageAbuse}, []int{pool.AbuseSlot}},
		{"no emergency server", func(c *Config) { c.Pool.Emergency = nil }, route{remembered: 3}, []int{3, 0, 1, 2}},
		{"gaps", func(c *Config) { c.Pool.Servers[2] = pool.Config{} }, route{remembered: 1}, []int{1, 3, 0, emergency}},
	} {
		cfg := config(4)
		cfg.Pool.Algorithm = pool.RoundRobin
		cfg.Pool.Emergency = []pool.Config{server("192.0.2.2:1")}
		cfg.Pool.Abuse = server("192.0.2.3:1")
		if c.change != nil {
			c.change(&cfg)
		}
		d := New(cfg, (&clock{}).now)
		f := &Flow{d: d, route: c.from, phase: choosing}
		var got []int
		for f.stage != stageEnd {
			switch f.stage {
			case stageQueue, stageStubborn:
				f.stage++ // no queue
				continue
			}
			if s := f.next(f, 0); s != nil {
				got = append(got, s.Slot)
				f.exclude(s)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
