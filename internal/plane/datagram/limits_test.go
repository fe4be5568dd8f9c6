package datagram

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"pen/internal/dispatch"
	"pen/internal/plane"
	"pen/internal/testenv"
)

// startTicking is start with an owner that ends waits.
func startTicking(t *testing.T, cfg dispatch.Config) *service {
	t.Helper()
	s := start(t, "127.0.0.1:0", cfg)
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		plane.Tick(ctx, s.Dispatcher)
	}()
	t.Cleanup(func() {
		cancel()
		<-over
	})
	return s
}

func (s *service) waiting(t *testing.T, n int) (id int) {
	t.Helper()
	testenv.Eventually(t, fmt.Sprintf("%d flows wait", n), func() bool {
		got := 0
		for _, f := range s.Status().Flows {
			if f.Waiting {
				got++
				id = f.ID
			}
		}
		return got == n
	})
	return id
}

func TestOverLimitIsDropped(t *testing.T) {
	testenv.CheckLeaks(t)
	cfg := config(udp(t, "a").addr())
	cfg.Limits.ClientConns = 1
	s := start(t, "127.0.0.1:0", cfg)
	ask(t, dial(t, "127.0.0.1", s.addr), "x", "a")
	c := dial(t, "127.0.0.1", s.addr)
	send(t, c, "y")
	send(t, c, "z")
	s.refused(t, dispatch.ClientConns, 2)
	ask(t, dial(t, "127.0.0.2", s.addr), "x", "a")
}

// What a client sends while its flow waits is kept, in its order.
func TestQueue(t *testing.T) {
	testenv.CheckLeaks(t)
	cfg := config(udp(t, "a").addr())
	cfg.Pool.Servers[0].Max, cfg.Queue = 1, 2
	s := startTicking(t, cfg)
	first := dial(t, "127.0.0.1", s.addr)
	ask(t, first, "x", "a")
	holder := s.Status().Flows[0].ID
	second := dial(t, "127.0.0.2", s.addr)
	for _, text := range []string{"1", "2", "3"} {
		send(t, second, text)
	}
	s.waiting(t, 1)
	third := dial(t, "127.0.0.3", s.addr)
	send(t, third, "never")
	killed := s.waiting(t, 2)
	send(t, dial(t, "127.0.0.4", s.addr), "one too many")
	s.refused(t, dispatch.QueueFull, 1)
	s.Kill(killed)
	s.refused(t, dispatch.Overflow, 1) // what it has sent
	s.Kill(holder)
	for _, text := range []string{"1", "2", "3"} {
		want(t, second, "a "+text)
	}
	ask(t, second, "4", "a")
}

// What is kept is bounded, and all of it is counted where time is over.
func TestQueueIsBounded(t *testing.T) {
	testenv.CheckLeaks(t)
	cfg := config(udp(t, "a").addr())
	cfg.Pool.Servers[0].Max, cfg.Queue = 1, 1
	s := startTicking(t, cfg)
	ask(t, dial(t, "127.0.0.1", s.addr), "x", "a")
	c := dial(t, "127.0.0.2", s.addr)
	for range maxWaiting + 3 {
		send(t, c, "y")
	}
	s.refused(t, dispatch.Overflow, 3)
	cfg.QueueTime = time.Millisecond
	s.Configure(cfg)
	s.refused(t, dispatch.QueueTime, 1)
	s.refused(t, dispatch.Overflow, maxWaiting+3)
	if n := len(s.Status().Flows); n != 1 {
		t.Errorf("%d flows", n)
	}
}

func TestEarlyClientIsHeld(t *testing.T) {
	testenv.CheckLeaks(t)
	cfg := config(udp(t, "a").addr())
	cfg.Limits.ClientRate, cfg.Limits.Delay = 5, testenv.Limit
	s := startTicking(t, cfg)
	var all []net.Conn
	for range 7 {
		c := dial(t, "127.0.0.1", s.addr)
		send(t, c, "x")
		all = append(all, c)
	}
	for _, c := range all {
		want(t, c, "a x")
	}
	if n := s.count(dispatch.Delayed); n == 0 {
		t.Error("none was held")
	}
}

// Above the bandwidth datagrams are dropped, both ways, and counted.
func TestBandwidth(t *testing.T) {
	testenv.CheckLeaks(t)
	cfg := config(udp(t, "a").addr())
	cfg.Limits.ConnBandwidth = 1
	s := start(t, "127.0.0.1:0", cfg)
	c := dial(t, "127.0.0.1", s.addr)
	ask(t, c, "one datagram each way", "a") // from now on nothing passes
	send(t, c, "dropped")
	s.refused(t, dispatch.Bandwidth, 1)
	f := s.Status().Flows[0]
	if f.FromClient > 30 {
		t.Errorf("%d bytes passed", f.FromClient)
	}
}
