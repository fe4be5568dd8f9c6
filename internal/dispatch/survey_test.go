package dispatch

import (
	"testing"
	"time"
)

// Bytes count once, wherever in a survey their flow ends or comes, and nobody
// waits for all flows: the lock is free between slices.
func TestSurveyCountsOnce(t *testing.T) {
	const n = 5000
	cfg := config(2)
	cfg.ConnMax = 2 * n
	d := New(cfg, (&clock{}).now)
	var all []*Flow
	open := func() {
		c := &carrier{}
		c.moved.FromClient, c.moved.FromServer = 1, 2
		f, err := d.Admit(from(len(all)), c)
		if err != nil {
			t.Fatal(err)
		}
		f.Next()
		f.Up()
		all = append(all, f)
	}
	for range n {
		open()
	}
	slices := 0
	s := d.newSurvey(2)
	d.inSlices(s.count, func() {
		// In each pause end one that was counted, one that was not yet, and begin
		// one in the place of the former.
		slices++
		if slices < n/2 && slices*64 < n {
			all[slices].Done(ByClient)
			all[n-slices].Done(ByClient)
			open()
		}
	})
	servers := s.servers()
	if slices < 4 {
		t.Errorf("the lock was given back %d times for %d flows", slices, n)
	}
	// Some that began in a pause may be too late for this survey, and none is
	// counted twice.
	ended := 2 * (len(all) - n)
	got, sent := servers[0].Sent+servers[1].Sent, servers[0].Received+servers[1].Received
	if least, most := uint64(n), uint64(n+ended/2); got < least || got > most || sent != 2*got {
		t.Errorf("%d bytes sent and %d received, want %d to %d, and twice as many", got, sent, least, most)
	}
	if len(d.surveys) != 0 {
		t.Errorf("%d surveys are left", len(d.surveys))
	}
	total := func() (n uint64) {
		for _, s := range d.Servers() {
			n += s.Sent
		}
		return n
	}
	if got, want := total(), uint64(len(all)); got != want {
		t.Errorf("afterwards %d bytes, want %d", got, want)
	}
}

// A sweep gives the lock back as well, and stops where the configuration changes.
func TestSweepInSlices(t *testing.T) {
	const n = 3000
	clk := &clock{}
	cfg := config(1)
	cfg.ConnMax, cfg.IdleTimeout = n, time.Second
	d := New(cfg, clk.now)
	carriers := make([]*carrier, n)
	for i := range n {
		carriers[i] = &carrier{}
		f, err := d.Admit(from(i), carriers[i])
		if err != nil {
			t.Fatal(err)
		}
		f.Next()
		f.Up()
	}
	killed := func() (n int) {
		for _, c := range carriers {
			if c.killed {
				n++
			}
		}
		return n
	}
	clk.t = 2 * time.Second
	s := &sweep{d: d}
	if !s.start() {
		t.Fatal("there is nothing to look at")
	}
	first := true
	d.inSlices(s.visit, func() {
		s.apply()
		if first {
			first = false
			cfg.IdleTimeout = time.Hour
			d.Configure(cfg)
		}
	})
	if got := killed(); got == 0 || got == n {
		t.Errorf("%d of %d flows ended, want those of the first slice", got, n)
	}
	cfg.IdleTimeout = time.Second
	d.Configure(cfg)
	d.Sweep()
	if got := killed(); got != n {
		t.Errorf("%d of %d flows ended", got, n)
	}
}
