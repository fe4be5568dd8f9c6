package planetest

import (
	"io"
	"sync"
	"testing"
	"time"

	"pen/internal/dispatch"
	"pen/internal/testenv"
)

// Limited traffic takes time. Only the minimum is checked: the maximum depends on the
// machine.
var metering = []conformance{
	{"a client's bandwidth is limited", func(t *testing.T, build New) {
		_, client, server := limited(t, build, dispatch.Limits{ConnBandwidth: bandwidth})
		takesTime(t, func() { send(t, client, server, bandwidth) })
	}},
	{"a server's bandwidth is limited", func(t *testing.T, build New) {
		_, client, server := limited(t, build, dispatch.Limits{ConnBandwidth: bandwidth})
		takesTime(t, func() { send(t, server, client, bandwidth) })
	}},
	{"bandwidth is of both ways together", func(t *testing.T, build New) {
		_, client, server := limited(t, build, dispatch.Limits{ConnBandwidth: bandwidth})
		takesTime(t, func() { bothWays(t, client, server, bandwidth/2) })
	}},
	{"bandwidth is of all connections together", func(t *testing.T, build New) {
		s, client, server := limited(t, build, dispatch.Limits{Bandwidth: bandwidth})
		client2 := s.dial(t)
		server2 := s.next(t)
		takesTime(t, func() {
			var all sync.WaitGroup
			all.Go(func() { bothWays(t, client, server, bandwidth/4) })
			all.Go(func() { bothWays(t, client2, server2, bandwidth/4) })
			all.Wait()
		})
	}},
	{"small messages are limited", func(t *testing.T, build New) {
		const slow = 64 << 10
		_, client, server := limited(t, build, dispatch.Limits{ConnBandwidth: slow})
		begin := time.Now()
		for range 8 { // a tenth of a second is free
			send(t, client, server, 4<<10)
			send(t, server, client, 100)
		}
		if took := time.Since(begin); took < 200*time.Millisecond {
			t.Errorf("32 KiB at 64 KiB a second took %v", took)
		}
	}},
	{"the first bytes are limited as well", func(t *testing.T, build New) {
		const slow, n = 10_000, 5_000
		_, client, server := limited(t, build, dispatch.Limits{ConnBandwidth: slow})
		begin := time.Now()
		send(t, server, client, n)
		if took := time.Since(begin); took < 300*time.Millisecond {
			t.Errorf("%d bytes at %d a second took %v", n, slow, took)
		}
	}},
	{"bytes that were held back arrive", func(t *testing.T, build New) {
		_, client, server := limited(t, build, dispatch.Limits{ConnBandwidth: bandwidth})
		var all sync.WaitGroup
		var sent, got digest
		all.Go(func() { sent = sendRandom(t, client, bandwidth, 1) })
		all.Go(func() { got = receive(t, server, bandwidth, 2) })
		all.Wait()
		if sent != got {
			t.Error("the server got other bytes than the client sent")
		}
	}},
	{"kill while paused", func(t *testing.T, build New) {
		s, client, server := limited(t, build, dispatch.Limits{ConnBandwidth: 1})
		testenv.Write(t, client, string(make([]byte, 128<<10)))
		if _, err := io.ReadFull(server, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		s.d.KillAll()
		testenv.WantReset(t, client, 0)
		s.flows(t, 0)
	}},
	{"what is paused is not idle", func(t *testing.T, build New) {
		s, client, server := limited(t, build, dispatch.Limits{ConnBandwidth: 1})
		testenv.Write(t, client, string(make([]byte, 128<<10)))
		if _, err := io.ReadFull(server, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		paused := s.d.Status().Flows[0].ID
		cfg := config(s.ln.AddrPort())
		cfg.IdleTimeout = time.Second // longer than the plane pauses
		cfg.Limits.ConnBandwidth = 1
		s.d.Configure(cfg)
		s.dial(t)
		s.next(t)
		s.flows(t, 2)
		testenv.Eventually(t, "what is idle ends", func() bool {
			s.d.Sweep()
			return len(s.d.Status().Flows) < 2
		})
		if f := s.d.Status().Flows; len(f) != 1 || f[0].ID != paused {
			t.Errorf("there are %+v, want only flow %d", f, paused)
		}
	}},
}

// bandwidth sends what takes a second, less a burst of a tenth and the last piece.
const bandwidth = 4 << 20

func takesTime(t *testing.T, f func()) {
	t.Helper()
	begin := time.Now()
	f()
	if took := time.Since(begin); took < 700*time.Millisecond {
		t.Errorf("what takes a second took %v", took)
	}
}

// A limitedService has its server's listener.
type limitedService struct {
	*service
	ln *testenv.Listener
}

func (s limitedService) next(t *testing.T) testenv.Conn { return s.ln.Next(t) }

// limited starts a service with limits and connects through it.
func limited(t *testing.T, build New, limits dispatch.Limits) (s limitedService, client, server testenv.Conn) {
	t.Helper()
	s.ln = testenv.Listen(t, "tcp", testenv.Loopback)
	cfg := config(s.ln.AddrPort())
	cfg.Limits = limits
	s.service = start(t, build, testenv.Loopback, cfg)
	client = s.dial(t)
	server = s.next(t)
	s.flows(t, 1)
	return s, client, server
}

// bothWays sends n bytes in each direction at the same time.
func bothWays(t *testing.T, a, b testenv.Conn, n int) {
	var all sync.WaitGroup
	for _, way := range [][2]testenv.Conn{{a, b}, {b, a}} {
		all.Go(func() {
			if _, err := way[0].Write(make([]byte, n)); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() {
			if got, err := io.ReadFull(way[1], make([]byte, n)); err != nil {
				t.Errorf("got %d bytes of %d: %v", got, n, err)
			}
		})
	}
	all.Wait()
}
