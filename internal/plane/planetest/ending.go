package planetest

import (
	"net"
	"testing"
	"time"

	"pen/internal/dispatch"
	"pen/internal/plane/relay"
	"pen/internal/pool"
	"pen/internal/testenv"
)

// How flows and planes are stopped.
var ending = []conformance{
	{"kill one flow", killOne},
	{"drain", drain},
	{"the client's end is the end", func(t *testing.T, build New) {
		cfg := config()
		cfg.EndWithClient = true
		endsWith(t, build, cfg, func(client, server testenv.Conn) (first, second testenv.Conn) { return client, server })
	}},
	{"the server's end is the end", func(t *testing.T, build New) {
		cfg := config()
		cfg.EndWithServer = true
		endsWith(t, build, cfg, func(client, server testenv.Conn) (first, second testenv.Conn) { return server, client })
	}},
	{"a reset ends the wait for the last bytes", func(t *testing.T, build New) {
		client, s := drains(t, build, relay.Patience{Still: time.Hour, InAll: time.Hour})
		testenv.Reset(t, client)
		s.flows(t, 0)
	}},
	{"the wait for the last bytes is bounded", func(t *testing.T, build New) {
		_, s := drains(t, build, relay.Patience{Still: time.Hour, InAll: 10 * time.Millisecond})
		s.flows(t, 0)
	}},
	{"the wait for the last bytes ends without progress", func(t *testing.T, build New) {
		_, s := drains(t, build, relay.Patience{Still: 10 * time.Millisecond, InAll: time.Hour})
		s.flows(t, 0)
	}},
	{"idle", idle},
	{"stop with 1,000 connections", stopMany},
}

func killOne(t *testing.T, build New) {
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	s := start(t, build, testenv.Loopback, config(ln.AddrPort()))
	client1 := s.dial(t)
	server1 := ln.Next(t)
	id := s.flows(t, 1)[0].ID
	client2 := s.dial(t)
	server2 := ln.Next(t)
	if !s.d.Kill(id) {
		t.Errorf("there is no flow %d to kill", id)
	}
	testenv.WantReset(t, client1, 0)
	testenv.WantReset(t, server1, 0)
	s.flows(t, 1)
	exchange(t, client2, server2)
	if s.d.Kill(id) {
		t.Errorf("flow %d was killed twice", id)
	}
}

// When the context is done the listener is closed. Flows go on until they are killed.
func drain(t *testing.T, build New) {
	s, client, server := one(t, build)
	exchange(t, client, server)
	s.cancel()
	testenv.Eventually(t, "the listener is closed", func() bool {
		c, err := net.Dial("tcp", s.ln.Addr().String())
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	exchange(t, client, server)
	if s.isOver() {
		t.Fatal("Serve returned before its last flow had ended")
	}
	s.d.KillAll()
	testenv.WantReset(t, client, 0)
	testenv.WantReset(t, server, 0)
	testenv.Eventually(t, "Serve returns", s.isOver)
}

// endsWith closes a whole flow with one side, after the other side has got every byte.
func endsWith(t *testing.T, build New, cfg dispatch.Config, order func(client, server testenv.Conn) (first, second testenv.Conn)) {
	const size = 1 << 20
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	cfg.Pool.Servers = []pool.Config{server(ln.AddrPort())}
	s := start(t, build, testenv.Loopback, cfg)
	client := s.dial(t)
	first, second := order(client, ln.Next(t))
	exchange(t, first, second)
	written := make(chan error, 1)
	go func() {
		_, err := first.Write(make([]byte, size))
		first.CloseWrite()
		written <- err
	}()
	testenv.WantEnd(t, second, size)
	if err := <-written; err != nil {
		t.Error(err)
	}
	testenv.WantEnd(t, first, 0)
	s.flows(t, 0)
}

// drains resets a server's connection while the client has not read the last bytes yet.
func drains(t *testing.T, build New, patience relay.Patience) (client testenv.Conn, s *service) {
	const size = 100_000
	defer func(was relay.Patience) { relay.DrainTime = was }(relay.DrainTime)
	relay.DrainTime = patience
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	s = start(t, build, testenv.Loopback, config(ln.AddrPort()))
	client = s.dialSmall(t, 4096)
	server := ln.Next(t)
	s.flows(t, 1)
	if _, err := server.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "all bytes are on their way", func() bool { return s.d.Status().Flows[0].ToClient == size })
	testenv.Reset(t, server)
	return client, s
}

// idle flows are closed, others are not.
func idle(t *testing.T, build New) {
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	cfg := config(ln.AddrPort())
	cfg.IdleTimeout = time.Hour
	s := start(t, build, testenv.Loopback, cfg)
	client, server := s.dial(t), ln.Next(t)
	exchange(t, client, server)
	s.d.Sweep()
	exchange(t, client, server)

	cfg.IdleTimeout = time.Millisecond
	s.d.Configure(cfg)
	testenv.Eventually(t, "the idle flow is ended", func() bool {
		s.d.Sweep()
		return len(s.d.Status().Flows) == 0
	})
	testenv.WantReset(t, client, 0)
	testenv.WantReset(t, server, 0)
}

func stopMany(t *testing.T, build New) {
	const n = 1000
	testenv.NeedDescriptors(t, 4*n+100)
	s := start(t, build, testenv.Loopback, config(testenv.Echo(t)))
	var clients []testenv.Conn
	for range n {
		client := s.dial(t)
		testenv.Write(t, client, "echo")
		clients = append(clients, client)
	}
	for _, client := range clients {
		testenv.WantBytes(t, client, "echo")
	}
	s.flows(t, n)
	s.stop(t)
	for _, client := range clients {
		testenv.WantReset(t, client, 0)
	}
}
