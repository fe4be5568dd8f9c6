package sock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pen/internal/testenv"
)

func TestSplit(t *testing.T) {
	for _, tt := range []struct {
		addr, network, address string
		err                    string // part of it
	}{
		{addr: "8080", network: "tcp4", address: "0.0.0.0:8080"},
		{addr: "0", network: "tcp4", address: "0.0.0.0:0"},
		{addr: "http", network: "tcp4", address: "0.0.0.0:80"},
		{addr: "127.0.0.1:8080", network: "tcp4", address: "127.0.0.1:8080"},
		{addr: "127.0.0.1:https", network: "tcp4", address: "127.0.0.1:443"},
		{addr: "localhost:8080", network: "tcp", address: "localhost:8080"},
		{addr: ":8080", network: "tcp", address: ":8080"},
		{addr: "::1:2222", network: "tcp", address: "[::1]:2222"},
		{addr: ":::80", network: "tcp", address: "[::]:80"},
		{addr: "[::1]:2222", network: "tcp", address: "[::1]:2222"},
		{addr: "[::]:80", network: "tcp", address: "[::]:80"},
		{addr: "/run/pen.sock", network: "unix", address: "/run/pen.sock"},
		{addr: "./a:80", network: "unix", address: "./a:80"},
		{addr: "", err: "unknown port"},
		{addr: "localhost:", err: "unknown port"},
		{addr: "localhost:65536", err: "out of range"},
		{addr: "localhost:-1", err: "out of range"},
		{addr: "localhost:nosuchservice", err: `address "localhost:nosuchservice": unknown port "nosuchservice"`},
	} {
		network, address, err := Split(tt.addr)
		if !hasError(err, tt.err) || network != tt.network || address != tt.address {
			t.Errorf("Split(%q) = %q, %q, %v; want %q, %q, %q",
				tt.addr, network, address, err, tt.network, tt.address, tt.err)
		}
	}
}

func TestLookupPort(t *testing.T) {
	for _, tt := range []struct {
		port string
		want int
		err  string
	}{
		{port: "0", want: 0},
		{port: "1", want: 1},
		{port: "65535", want: 65535},
		{port: "http", want: 80},
		{port: "65536", err: "port 65536 out of range"},
		{port: "-1", err: "port -1 out of range"},
		{port: "99999999999999999999", err: "unknown port"},
		{port: "", err: "unknown port"},
		{port: "80x", err: "unknown port"},
		{port: "nosuchservice", err: "unknown port"},
	} {
		if got, err := LookupPort(tt.port); got != tt.want || !hasError(err, tt.err) {
			t.Errorf("LookupPort(%q) = %d, %v; want %d, %q", tt.port, got, err, tt.want, tt.err)
		}
	}
}

// hasError reports whether err has text in it, and is nil where that is empty.
func hasError(err error, text string) bool {
	if err == nil || text == "" {
		return err == nil && text == ""
	}
	return strings.Contains(err.Error(), text) && !strings.Contains(err.Error(), "\n")
}

// socketPath is short: a Unix socket's path has at most some 100 bytes.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pen")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "sock")
}

func TestLocal(t *testing.T) {
	for _, tt := range []struct {
		source, server string
		want           bool
		transparent    bool // and what is wanted then
	}{
		{"192.0.2.1", "198.51.100.1:80", true, true},
		{"2001:db8::1", "[2001:db8::2]:80", true, true},
		{"192.0.2.1", "[2001:db8::2]:80", false, false},
		{"2001:db8::1", "198.51.100.1:80", false, false},
		{"127.0.0.1", "127.0.0.2:80", true, true},
		{"127.0.0.1", "198.51.100.1:80", true, false},
		{"::1", "[::1]:80", true, true},
		{"::1", "[2001:db8::2]:80", true, false},
		{"fe80::1", "[fe80::2%eth0]:80", true, false},
		{"169.254.0.1", "198.51.100.1:80", true, true},
	} {
		for transparent, want := range map[bool]bool{false: tt.want, true: tt.transparent} {
			target := Target{Addr: netip.MustParseAddrPort(tt.server), Source: netip.MustParseAddr(tt.source), Transparent: transparent}
			if got, ok := target.local(); ok != want || ok && got != target.Source {
				t.Errorf("from %s to %s, transparent %v: %v, %v, want %v", tt.source, tt.server, transparent, got, ok, want)
			}
		}
	}
	if got, ok := (Target{Addr: netip.MustParseAddrPort("198.51.100.1:80")}).local(); ok {
		t.Errorf("without a source: %v", got)
	}
}

func TestDialErrors(t *testing.T) {
	testenv.CheckLeaks(t)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name    string
		ctx     context.Context
		addr    netip.AddrPort
		path    string
		timeout time.Duration
		want    error
		local   bool
	}{
		{"refused", t.Context(), testenv.Refused(t), "", testenv.Limit, syscall.ECONNREFUSED, false},
		{"no answer", t.Context(), testenv.Blackhole(t), "", 200 * time.Millisecond, os.ErrDeadlineExceeded, false},
		{"multicast", t.Context(), netip.MustParseAddrPort("224.0.0.1:1"), "", testenv.Limit, syscall.ENETUNREACH, false},
		{"no socket", t.Context(), netip.AddrPort{}, filepath.Join(t.TempDir(), "none"), testenv.Limit, syscall.ENOENT, false},
		{"canceled", canceled, testenv.Blackhole(t), "", testenv.Limit, context.Canceled, true},
	} {
		c, err := Dial(tt.ctx, Target{Addr: tt.addr, Path: tt.path, Timeout: tt.timeout})
		if err == nil {
			c.Close()
		}
		if !errors.Is(err, tt.want) || IsLocal(err) != tt.local {
			t.Errorf("%s: %v (local %v), want %v (local %v)", tt.name, err, IsLocal(err), tt.want, tt.local)
		}
	}
}

// A connect that is under way ends with its context.
func TestDialCancel(t *testing.T) {
	testenv.CheckLeaks(t)
	hole := testenv.Blackhole(t)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		_, err := Dial(ctx, Target{Addr: hole, Timeout: time.Hour})
		result <- err
	}()
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) || !IsLocal(err) {
		t.Errorf("Dial: %v (local %v), want it canceled", err, IsLocal(err))
	}
}

func TestIsLocal(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{syscall.EMFILE, true},
		{syscall.ENFILE, true},
		{syscall.ENOBUFS, true},
		{syscall.ENOMEM, true},
		{syscall.EADDRNOTAVAIL, true},
		{context.Canceled, true},
		{net.ErrClosed, true},
		{fmt.Errorf("dial: %w", syscall.EMFILE), true},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)}, true},
		{nil, false},
		{errors.New("too many open files"), false},
		{syscall.ECONNREFUSED, false},
		{syscall.ECONNRESET, false},
		{syscall.ETIMEDOUT, false},
		{syscall.EHOSTUNREACH, false},
		{syscall.ENETUNREACH, false},
		{syscall.EACCES, false},
		{syscall.EINVAL, false},
		{syscall.ENOENT, false},
		{os.ErrDeadlineExceeded, false},
		{context.DeadlineExceeded, false},
	} {
		if got := IsLocal(tt.err); got != tt.want {
			t.Errorf("IsLocal(%v) = %v, want %v", tt.err, got, tt.want)
		}
	}
}
