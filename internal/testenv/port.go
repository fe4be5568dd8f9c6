package testenv

import (
	"net"
	"strconv"
	"testing"

	"pen/internal/freeport"
)

var ports = freeport.New(12000, 32000)

// Unused returns an address of 127.0.0.1 whose port is free for TCP and UDP on all
// addresses. No other test is given it, and systems give it to nobody unasked.
func Unused(t testing.TB) string {
	t.Helper()
	addr, err := UnusedAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// UnusedAddr is [Unused] for callers that have no test to fail.
func UnusedAddr() (string, error) {
	port, err := ports.Next()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
}
