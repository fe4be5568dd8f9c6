// Package freeport finds ports of loopback for programs that have to be told where
// to listen, for tests and for the benchmark.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"syscall"
)

// A Range hands out ports. It should be below those that systems give to
// connections, and to listeners that ask for none in particular (32768 and more
// with Linux): then nobody takes a port by chance before its program does. It may
// be used by several goroutines.
type Range struct {
	first, end int // from first to end-1

	mu   sync.Mutex
	next int // under mu
}

// New returns a range of the ports from first to end-1. It begins anywhere in it,
// since several processes may have the same one.
func New(first, end int) *Range {
	return &Range{first: first, end: end, next: first + rand.IntN(end-first)}
}

// Next returns a port that is free for TCP and UDP on all addresses. No port is
// returned again before all others were.
func (r *Range) Next() (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var err error
	for range r.end - r.first {
		port := r.next
		if r.next++; r.next == r.end {
			r.next = r.first
		}
		if err = try(port); err == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no port from %d to %d is free: %w", r.first, r.end-1, err)
}

// try listens on a port for a moment.
func try(port int) error {
	addr := ":" + strconv.Itoa(port)
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	c, err := net.ListenPacket("udp", addr)
	if err == nil {
		err = c.Close()
	}
	return errors.Join(err, Refuse(ln))
}

// Refuse has a TCP listener refuse connections from now on, and frees its address.
// To close it does not do that: a program that another goroutine starts has a copy
// of it, between fork and exec.
func Refuse(ln net.Listener) error {
	raw, err := ln.(*net.TCPListener).SyscallConn()
	if err == nil {
		// Not every system knows this for listeners; the error says no more.
		err = raw.Control(func(fd uintptr) { syscall.Shutdown(int(fd), syscall.SHUT_RDWR) })
	}
	return errors.Join(err, ln.Close())
}
