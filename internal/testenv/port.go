package testenv

import (
	"net"
	"strconv"
	"testing"

	"pen/internal/freeport"
)

var ports = freeport.New(12000, 32000)

// Unused returns an address of 127.0.0.1 whose port is free for TCP and UDP, on
// all addresses, and stays free until a program that is told so takes it.
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
	port, err := ports.Next()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
}
