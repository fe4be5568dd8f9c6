package testenv

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestServers(t *testing.T) {
	CheckLeaks(t)
	echo := Dial(t, net.TCPAddrFromAddrPort(Echo(t)))
	Write(t, echo, "hello")
	WantBytes(t, echo, "hello")
	CloseWrite(t, echo)
	WantEnd(t, echo, 0)

	WantEnd(t, Dial(t, net.TCPAddrFromAddrPort(Source(t, "hello"))), 5)

	sink := Dial(t, net.TCPAddrFromAddrPort(Sink(t)))
	Write(t, sink, "hello")
	CloseWrite(t, sink)
	WantEnd(t, sink, 0)
}

// A server whose connection is open at the end of the test ends all the same.
func TestServerEndsWithTheTest(t *testing.T) {
	CheckLeaks(t)
	Dial(t, net.TCPAddrFromAddrPort(Echo(t)))
}

func TestReset(t *testing.T) {
	CheckLeaks(t)
	ln := Listen(t, "tcp", Loopback)
	a := Dial(t, ln.Addr())
	b := ln.Next(t)
	Write(t, a, "four")
	Eventually(t, "everything has arrived", func() bool { return Unsent(t, a) == 0 })
	Reset(t, a)
	WantReset(t, b, 4)

	a = Dial(t, ln.Addr())
	b = ln.Next(t)
	CloseWrite(t, a)
	WantEnd(t, b, 0)
	if err := Error(t, b); err != nil {
		t.Errorf("an error after an orderly end: %v", err)
	}
	Reset(t, a)
	Eventually(t, "an error is seen", func() bool { return Error(t, b) != nil })
}

func TestDeadAddresses(t *testing.T) {
	CheckLeaks(t)
	if _, err := net.Dial("tcp", Refused(t).String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial Refused: %v", err)
	}
	if connects(t, net.TCPAddrFromAddrPort(Blackhole(t)), 500*time.Millisecond) {
		t.Error("dial Blackhole: connected")
	}
}

func TestOpenedNamesWhatIsLeftOver(t *testing.T) {
	before := descriptors(t)
	if before == nil {
		t.Fatal("no list of descriptors in /proc/self/fd")
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	left := opened(before, descriptors(t))
	want := fmt.Sprintf("%d -> %s", f.Fd(), os.DevNull)
	if got := strings.Join(left, ", "); got != want {
		t.Errorf("left over %q, want %q", got, want)
	}
	f.Close()
	if left := opened(before, descriptors(t)); len(left) != 0 {
		t.Errorf("left over %q after it was closed", left)
	}
}
