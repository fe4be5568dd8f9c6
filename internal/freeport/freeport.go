// Package freeport finds ports of loopback for programs that must be told where to
// listen. Tests and the benchmark use it.
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

// A Range hands out ports. It should lie below the ephemeral ports, which systems give
// to connections and to listeners on port 0 (32768 and up with Linux): then no other
// program takes a port by chance before the one that it is for. A Range may be used
// concurrently.
type Range struct {
	first, end int // from first to end-1

	mu   sync.Mutex
	next int // under mu
}

// New returns a range of the ports from first to end-1. It starts at a random one,
// since several processes may use the same range.
func New(first, end int) *Range {
	return &Range{first: first, end: end, next: first + rand.IntN(end-first)}
}

// Next returns a port that is free for TCP and UDP on all addresses. It returns a port
// again only after all others.
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
// Closing it is not enough: a program that another goroutine starts has a copy of it
// between fork and exec.
func Refuse(ln net.Listener) error {
	raw, err := ln.(*net.TCPListener).SyscallConn()
	if err == nil {
		// Some systems can't shut down listeners; the error does not matter.
		err = raw.Control(func(fd uintptr) { syscall.Shutdown(int(fd), syscall.SHUT_RDWR) })
	}
	return errors.Join(err, ln.Close())
}
