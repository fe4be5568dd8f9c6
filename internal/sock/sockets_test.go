package sock

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"pen/internal/testenv"
)

// wantAnswer connects and is accepted.
func wantAnswer(t *testing.T, ln net.Listener) {
	t.Helper()
	switch a := ln.Addr().(type) {
	case *net.TCPAddr:
		answers(t, ln, a.AddrPort(), "")
	default:
		answers(t, ln, netip.AddrPort{}, a.String())
	}
}

// A socket stays open, and its file in place, as long as somebody has it on loan.
func TestLend(t *testing.T) {
	testenv.CheckLeaks(t)
	for _, addr := range []string{testenv.Loopback, socketPath(t)} {
		var all Sockets
		first, err := all.Listen(addr)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if first.IsShared() {
				t.Error("nobody else has it")
			}
			second := first.Lend()
			if !first.IsShared() || !second.IsShared() {
				t.Error("both have it")
			}
			ln, err := second.Connections()
			if err != nil {
				t.Fatal(err)
			}
			if err := first.Release(); err != nil {
				t.Error(err)
			}
			<-first.Released()
			wantAnswer(t, ln)
			first = second.Lend()
			if err := ln.Close(); err != nil {
				t.Error(err)
			}
			<-second.Released()
		}
		at := first.Addr()
		for range 2 {
			if err := first.Release(); err != nil {
				t.Error(err)
			}
		}
		if c, err := net.Dial(at.Network(), at.String()); err == nil {
			c.Close()
			t.Errorf("%s: the socket is open after the last release", addr)
		}
		if _, err := os.Lstat(addr); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, want no file", addr, err)
		}
		if len(all.open) != 0 {
			t.Errorf("%s: %v is left", addr, all.open)
		}
	}
}

// A socket that was inherited goes to the Listener for its address, which is bound
// otherwise.
func TestInherit(t *testing.T) {
	testenv.CheckLeaks(t)
	var old, all Sockets
	path := socketPath(t)
	for network, listen := range map[string][2]func(string) (*Listener, error){
		"tcp": {old.Listen, all.Listen}, "unix": {old.Listen, all.Listen},
		"udp": {old.ListenDatagram, all.ListenDatagram}, "unixgram": {old.ListenDatagram, all.ListenDatagram},
	} {
		address := testenv.Loopback
		if network == "unix" || network == "unixgram" {
			address = path
		}
		before, err := listen[0](address)
		if err != nil {
			t.Fatal(err)
		}
		if network == "tcp" || network == "udp" {
			address = before.Addr().String()
		}
		f := os.NewFile(uintptr(own(unix.FcntlInt(uintptr(before.FD()), unix.F_DUPFD_CLOEXEC, 0))), network)
		if err := all.Inherit(network, address, f); err != nil {
			t.Fatal(err)
		}
		f.Close()
		l, err := listen[1](address)
		if err != nil {
			t.Fatalf("%s: %v", network, err)
		}
		if got := l.Addr().String(); got != address || l.Addr().Network() != network {
			t.Errorf("bound to %s %s, want %s %s", l.Addr().Network(), got, network, address)
		}
		if l.IsDatagram() {
			c, err := l.Datagrams()
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
			l.Release()
		} else {
			ln, err := l.Connections()
			if err != nil {
				t.Fatal(err)
			}
			wantAnswer(t, ln)
			ln.Close()
		}
		before.Release()
	}
	if err := all.Inherit("tcp", "127.0.0.1:1", os.Stdin); err == nil {
		t.Error("what is no socket was inherited")
	}
}

func own[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestListenDatagramErrors(t *testing.T) {
	testenv.CheckLeaks(t)
	taken, err := net.ListenPacket("udp", testenv.Loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{taken.LocalAddr().String(): "can't bind local address", file: "not a socket"} {
		if _, err := new(Sockets).ListenDatagram(addr); err == nil || !hasError(err, want) {
			t.Errorf("%s: %v, want %q", addr, err, want)
		}
	}
}

// An address that is about to be free is waited for.
func TestListenWaits(t *testing.T) {
	testenv.CheckLeaks(t)
	var all Sockets
	path := socketPath(t)
	for _, listen := range []func(string) (*Listener, error){all.Listen, all.ListenDatagram} {
		for range 20 {
			first, err := listen(path)
			if err != nil {
				t.Fatal(err)
			}
			go first.Release()
			second, err := listen(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := second.Release(); err != nil {
				t.Error(err)
			}
		}
	}
	first, err := all.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Release()
	if _, err := all.Listen(path); !errors.Is(err, syscall.EADDRINUSE) || !hasError(err, path) {
		t.Errorf("an address that stays in use: %v", err)
	}
}

func TestAddrs(t *testing.T) {
	s := Addrs{netip.MustParseAddr("192.0.2.1"): true}
	for addr, want := range map[string]bool{"192.0.2.1": true, "192.0.2.2": false, "127.9.9.9": true, "::1": true, "0.0.0.0": true} {
		if s.Has(netip.MustParseAddr(addr)) != want {
			t.Errorf("%s: %v", addr, !want)
		}
	}
}
