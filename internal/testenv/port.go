package testenv

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"syscall"
	"testing"
)

// Ports for programs that are told where to listen: below those that any system
// gives to connections, and to listeners that ask for none in particular. Nobody
// comes by one meanwhile by chance, and a process gives none twice in a row.
const (
	firstPort = 12000
	endPort   = 32000
)

var ports = struct {
	sync.Mutex
	next int
}{next: firstPort + rand.IntN(endPort-firstPort)} // packages are tested side by side

// Unused returns an address of 127.0.0.1 whose port is free for TCP and UDP, on
// all addresses.
func Unused(t testing.TB) string {
	t.Helper()
	addr, err := UnusedAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// UnusedAddr is [Unused] where there is no test to fail.
func UnusedAddr() (string, error) {
	ports.Lock()
	defer ports.Unlock()
	var err error
	for range endPort - firstPort {
		port := strconv.Itoa(ports.next)
		if ports.next++; ports.next == endPort {
			ports.next = firstPort
		}
		if err = isFree(port); err == nil {
			return net.JoinHostPort("127.0.0.1", port), nil
		}
	}
	return "", fmt.Errorf("no port from %d to %d is free: %w", firstPort, endPort-1, err)
}

func isFree(port string) error {
	ln, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return err
	}
	defer Refuse(ln)
	c, err := net.ListenPacket("udp", ":"+port)
	if err != nil {
		return err
	}
	return c.Close()
}

// Refuse has a TCP listener refuse connections from now on, and frees its address.
// To close it does not do that: a program that another test starts has a copy of
// it, between fork and exec.
func Refuse(ln net.Listener) {
	if raw, err := ln.(*net.TCPListener).SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { syscall.Shutdown(int(fd), syscall.SHUT_RDWR) })
	}
	ln.Close()
}
