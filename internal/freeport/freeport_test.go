package freeport_test

import (
	"errors"
	"net"
	"strconv"
	"syscall"
	"testing"

	"pen/internal/freeport"
	"pen/internal/testenv"
)

func at(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Each port is handed out once before any is again; those that somebody has, for
// TCP or for UDP, are left out; and what is handed out may be taken.
func TestNext(t *testing.T) {
	testenv.CheckLeaks(t)
	first, err := freeport.New(10000, 11900).Next()
	if err != nil {
		t.Fatal(err)
	}
	end := first + 6
	testenv.Listen(t, "tcp", at(first))
	c, err := net.ListenPacket("udp", at(first+1))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := freeport.New(first, end)
	seen := map[int]int{}
	for range 2 * (end - first - 2) {
		port, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		seen[port]++
	}
	for port := first; port < end; port++ {
		want := 2
		if port <= first+1 {
			want = 0
		}
		if seen[port] != want {
			t.Errorf("port %d was handed out %d times, want %d", port, seen[port], want)
		}
	}
	for port := range seen {
		testenv.Listen(t, "tcp", at(port))
	}
	if port, err := r.Next(); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("none is free: %d, %v", port, err)
	}
}

// A listener refuses although somebody has a copy of it.
func TestRefuse(t *testing.T) {
	ln, err := net.Listen("tcp", testenv.Loopback)
	if err != nil {
		t.Fatal(err)
	}
	held, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	testenv.Dial(t, ln.Addr())
	if err := freeport.Refuse(ln); err != nil {
		t.Error(err)
	}
	if _, err := net.DialTimeout("tcp", ln.Addr().String(), testenv.Limit); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connect: %v, want a refusal", err)
	}
}
