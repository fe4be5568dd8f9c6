package testenv

import (
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// Refused returns an address of loopback that refuses connections. It is bound until
// the end of the test, so that no other program listens there.
func Refused(t testing.TB) netip.AddrPort {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	syscall.CloseOnExec(fd)
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	in := name.(*syscall.SockaddrInet4)
	return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), uint16(in.Port))
}

// Blackhole returns an address of loopback where a connect is never answered. Its
// listener accepts nothing and its queue, the shortest possible, is full: the system
// drops further connects.
func Blackhole(t testing.TB) netip.AddrPort {
	t.Helper()
	ln, _ := FullListener(t)
	return ln.AddrPort()
}

// FullListener returns the listener of a [Blackhole], and the number of connections in
// its queue. Once they are accepted it is like any other listener.
func FullListener(t testing.TB) (ln *Listener, queued int) {
	t.Helper()
	const (
		answer = 100 * time.Millisecond // longer than a connect takes on loopback
		tries  = 100
	)
	ln = Listen(t, "tcp", Loopback)
	raw, err := ln.Listener.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if cerr := raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 0) }); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	// Two in a row without an answer: the queue is full and stays so.
	for range tries {
		if connects(t, ln.Addr(), answer) || connects(t, ln.Addr(), 3*answer) {
			queued++
			continue
		}
		return ln, queued
	}
	t.Fatalf("%v still answers after %d connections", ln.Addr(), tries)
	return nil, 0
}

// connects reports whether a connect is answered in time. The connection stays open
// until the end of the test.
func connects(t testing.TB, addr net.Addr, limit time.Duration) bool {
	t.Helper()
	c, err := net.DialTimeout(addr.Network(), addr.String(), limit)
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	Own(t, c)
	return true
}
