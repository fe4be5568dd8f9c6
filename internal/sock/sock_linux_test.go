package sock

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"pen/internal/testenv"
)

// onSocket reads something of a socket.
func onSocket[T any](t *testing.T, c any, f func(fd int) (T, error)) (v T) {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = control(raw, func(fd int) (err error) {
		v, err = f(fd)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestBacklog(t *testing.T) {
	testenv.CheckLeaks(t)
	text, err := os.ReadFile("/proc/sys/net/core/somaxconn")
	if err != nil {
		t.Fatal(err)
	}
	most, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for backlog, want := range map[int]int{0: most, 1: 1, 7: 7, 1 << 30: most} {
		ln, err := new(Sockets).Listen(testenv.Loopback)
		if err != nil {
			t.Fatal(err)
		}
		if err := ln.SetBacklog(backlog); err != nil {
			t.Fatal(err)
		}
		// TCP_INFO of a listener has the queue's limit where that of a connection has
		// the selectively acknowledged segments.
		info, err := unix.GetsockoptTCPInfo(ln.FD(), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			t.Fatal(err)
		}
		if got := int(info.Sacked); got != want {
			t.Errorf("backlog %d: the queue's limit is %d, want %d", backlog, got, want)
		}
		ln.Release()
	}
}

func TestAcceptedConnectionsAreProbed(t *testing.T) {
	testenv.CheckLeaks(t)
	var all Sockets
	l, err := all.Listen(testenv.Loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	for range 2 { // as package net has bound it, and as another user gets it
		ln, err := l.Lend().Connections()
		if err != nil {
			t.Fatal(err)
		}
		testenv.Dial(t, ln.Addr())
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		wantOptions(t, testenv.Own(t, c), 1)
		ln.Close()
	}
}

func TestServersAreProbedOnDemand(t *testing.T) {
	testenv.CheckLeaks(t)
	c, err := Dial(t.Context(), Target{Addr: testenv.Echo(t), Timeout: testenv.Limit, KeepAlive: true})
	if err != nil {
		t.Fatal(err)
	}
	wantOptions(t, testenv.Own(t, c), 1)
}

// A source address is used where it can be, and binds no port early.
func TestSource(t *testing.T) {
	testenv.CheckLeaks(t)
	for _, tt := range []struct{ source, want string }{
		{"127.0.0.9", "127.0.0.9"},
		{"::1", "127.0.0.1"}, // another family
	} {
		c, err := Dial(t.Context(), Target{
			Addr: testenv.Echo(t), Timeout: testenv.Limit, Source: netip.MustParseAddr(tt.source),
		})
		if err != nil {
			t.Fatal(err)
		}
		if host, _, _ := net.SplitHostPort(testenv.Own(t, c).LocalAddr().String()); host != tt.want {
			t.Errorf("source %s: connected from %s, want %s", tt.source, host, tt.want)
		}
	}
	_, err := Dial(t.Context(), Target{
		Addr: testenv.Echo(t), Timeout: testenv.Limit, Source: netip.MustParseAddr("192.0.2.77"),
	})
	if !errors.Is(err, syscall.EADDRNOTAVAIL) || !IsLocal(err) {
		t.Errorf("a source that is not ours: %v, want a local failure", err)
	}
}

func wantOptions(t *testing.T, c net.Conn, keepAlive int) {
	t.Helper()
	for _, o := range []struct {
		name             string
		level, opt, want int
	}{
		{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, keepAlive},
		{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 60},
		{"TCP_KEEPINTVL", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 10},
		{"TCP_KEEPCNT", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3},
		{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
	} {
		got := onSocket(t, c, func(fd int) (int, error) { return unix.GetsockoptInt(fd, o.level, o.opt) })
		if got != o.want {
			t.Errorf("%s is %d, want %d", o.name, got, o.want)
		}
	}
}
