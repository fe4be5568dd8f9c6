package planetest

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"pen/internal/dispatch"
	"pen/internal/pool"
	"pen/internal/testenv"
)

// Clients over a limit, and clients in the queue.
var limiting = []conformance{
	{"a client over a limit is reset", func(t *testing.T, build New) {
		cfg := config(testenv.Echo(t))
		cfg.Limits.ClientConns = 1
		s := start(t, build, testenv.Loopback, cfg)
		first := s.dial(t)
		echo(t, first)
		s.wantDialReset(t)
		s.wantRefused(t, dispatch.ClientConns, 1)
		first.Close()
		s.flows(t, 0)
		echo(t, s.dial(t))
	}},
	{"a client over a limit gets the abuse server", func(t *testing.T, build New) {
		cfg := config(testenv.Echo(t))
		cfg.Limits.ClientConns = 1
		cfg.Pool.Abuse = server(testenv.Source(t, "abuse"))
		s := start(t, build, testenv.Loopback, cfg)
		echo(t, s.dial(t))
		testenv.WantBytes(t, s.dial(t), "abuse")
		s.wantRefused(t, dispatch.Diverted, 1)
	}},
	{"a client that comes too early is held", func(t *testing.T, build New) {
		const rate, more = 20, 5
		cfg := config(testenv.Echo(t))
		cfg.Limits.ClientRate, cfg.Limits.Delay = rate, testenv.Limit
		s := start(t, build, testenv.Loopback, cfg)
		begin := time.Now()
		var clients []testenv.Conn
		for range rate + more {
			clients = append(clients, s.dial(t))
		}
		for _, client := range clients {
			echo(t, client)
		}
		if took := time.Since(begin); took < more*time.Second/rate {
			t.Errorf("%d clients in %v", rate+more, took)
		}
		if n := s.d.Status().Events[dispatch.Delayed]; n == 0 {
			t.Error("none was held")
		}
	}},
	{"the queue is first come first served", queueOrder},
	{"the queue ends after a time", func(t *testing.T, build New) {
		s, _ := fullServer(t, build, func(cfg *dispatch.Config) { cfg.QueueTime = 50 * time.Millisecond })
		testenv.WantClosed(t, s.dial(t))
		s.wantRefused(t, dispatch.QueueTime, 1)
	}},
	{"the queue ends at the emergency server", func(t *testing.T, build New) {
		s, _ := fullServer(t, build, func(cfg *dispatch.Config) {
			cfg.QueueTime = 50 * time.Millisecond
			cfg.Pool.Emergency = []pool.Config{server(testenv.Source(t, "emergency"))}
		})
		testenv.WantBytes(t, s.dial(t), "emergency")
	}},
	{"the queue is bounded", func(t *testing.T, build New) {
		s, _ := fullServer(t, build, func(cfg *dispatch.Config) { cfg.Queue = 1 })
		s.dial(t)
		s.waiting(t, 1)
		testenv.WantClosed(t, s.dial(t))
		s.wantRefused(t, dispatch.QueueFull, 1)
	}},
	{"reset while waiting", func(t *testing.T, build New) {
		s, held := fullServer(t, build, nil)
		client := s.dial(t)
		s.waiting(t, 1)
		testenv.Write(t, client, "are you there?")
		testenv.Reset(t, client)
		s.waiting(t, 0)
		held.Close()
		s.flows(t, 0)
	}},
	{"half-close while waiting", func(t *testing.T, build New) {
		s, held := fullServer(t, build, nil)
		client := s.dial(t)
		testenv.Write(t, client, "the last")
		testenv.CloseWrite(t, client)
		s.waiting(t, 1)
		held.Close()
		testenv.WantBytes(t, client, "the last")
		testenv.WantEnd(t, client, 0)
	}},
	{"kill while waiting", func(t *testing.T, build New) {
		s, held := fullServer(t, build, nil)
		client := s.dial(t)
		id := s.waiting(t, 1)[0].ID
		if !s.d.Kill(id) {
			t.Errorf("there is no flow %d to kill", id)
		}
		testenv.WantReset(t, client, 0)
		echo(t, held)
		s.flows(t, 1)
	}},
	{"stop while many wait", func(t *testing.T, build New) {
		const n = 100
		s, _ := fullServer(t, build, func(cfg *dispatch.Config) { cfg.Queue = n })
		for range n {
			s.dial(t)
		}
		s.waiting(t, n)
		s.stop(t)
	}},
	{"many go through the queue", func(t *testing.T, build New) {
		const n = 200
		s, held := fullServer(t, build, func(cfg *dispatch.Config) { cfg.Queue = n })
		var clients []testenv.Conn
		for range n {
			client := s.dial(t)
			testenv.Write(t, client, "echo")
			testenv.CloseWrite(t, client)
			clients = append(clients, client)
		}
		s.waiting(t, n)
		held.Close()
		for _, client := range clients {
			testenv.WantBytes(t, client, "echo")
			testenv.WantEnd(t, client, 0)
		}
		s.flows(t, 0)
	}},
	{"an early end is noticed", func(t *testing.T, build New) {
		ln := testenv.Listen(t, "tcp", testenv.Loopback)
		cfg := config(ln.AddrPort())
		cfg.EarlyEnd = time.Hour
		s := start(t, build, testenv.Loopback, cfg)
		for i, end := range []func(client, server testenv.Conn){
			func(_, server testenv.Conn) { testenv.Reset(t, server) },
			func(client, server testenv.Conn) {
				server.Close()
				testenv.WantEnd(t, client, 0)
				client.Close()
			},
		} {
			client, server := s.dial(t), ln.Next(t)
			s.flows(t, 1)
			end(client, server)
			s.flows(t, 0)
			if n := s.d.Status().Events[dispatch.EarlyEnd]; n != uint64(i+1) {
				t.Errorf("%d early ends, want %d", n, i+1)
			}
		}
		for _, end := range []func(client, server testenv.Conn){
			func(client, server testenv.Conn) { // the client speaks first
				testenv.CloseWrite(t, client)
				testenv.WantEnd(t, server, 0)
				server.Close()
			},
			func(client, _ testenv.Conn) { testenv.Reset(t, client) },
			func(client, server testenv.Conn) {
				exchange(t, client, server)
				testenv.Reset(t, server)
			},
		} {
			client, server := s.dial(t), ln.Next(t)
			s.flows(t, 1)
			end(client, server)
			s.flows(t, 0)
		}
		if n := s.d.Status().Events[dispatch.EarlyEnd]; n != 2 {
			t.Errorf("%d early ends, want 2", n)
		}
	}},
}

func (s *service) wantRefused(t *testing.T, why dispatch.Reason, n uint64) {
	t.Helper()
	if st := s.d.Status(); st.Of(why) != n {
		t.Errorf("%v: %d, want %d", why, st.Of(why), n)
	}
}

// wantDialReset connects a client that is reset at once, perhaps before connect
// returns.
func (s *service) wantDialReset(t *testing.T) {
	t.Helper()
	c, err := net.Dial("tcp", s.ln.Addr().String())
	switch {
	case err == nil:
		testenv.WantReset(t, testenv.Own(t, c), 0)
	case !isReset(err):
		t.Error(err)
	}
}

// waiting waits until n flows wait, and returns them.
func (s *service) waiting(t *testing.T, n int) (waiting []dispatch.FlowStatus) {
	t.Helper()
	testenv.Eventually(t, "as many wait as should", func() bool {
		waiting = waiting[:0]
		for _, f := range s.d.Status().Flows {
			if f.Waiting {
				waiting = append(waiting, f)
			}
		}
		return len(waiting) == n
	})
	return waiting
}

// fullServer starts a service with a queue and one server, whose only place a client
// has taken.
func fullServer(t *testing.T, build New, change func(*dispatch.Config)) (s *service, held testenv.Conn) {
	t.Helper()
	cfg := oneAtATime(testenv.Echo(t))
	if change != nil {
		change(&cfg)
	}
	s = start(t, build, testenv.Loopback, cfg)
	held = s.dial(t)
	echo(t, held)
	return s, held
}

func oneAtATime(addr netip.AddrPort) dispatch.Config {
	cfg := config(addr)
	cfg.Pool.Servers[0].Max = 1
	cfg.Queue = 10
	return cfg
}

func queueOrder(t *testing.T, build New) {
	const n = 5
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	s := start(t, build, testenv.Loopback, oneAtATime(ln.AddrPort()))
	var clients []testenv.Conn
	for i := range n {
		clients = append(clients, s.dial(t))
		testenv.Eventually(t, "the client is there, and the first one has its server", func() bool {
			flows := s.d.Status().Flows
			return len(flows) == i+1 && flows[0].Server == 0
		})
		s.waiting(t, i)
	}
	for i, client := range clients {
		server := ln.Next(t)
		exchange(t, client, server)
		s.waiting(t, n-1-i)
		client.Close()
		server.Close()
	}
	s.flows(t, 0)
}
