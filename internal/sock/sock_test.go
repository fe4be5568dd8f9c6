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

// listenAt binds an address, for one user only.
func listenAt(addr string, backlog int) (net.Listener, error) {
	l, err := new(Sockets).Listen(addr)
	if err != nil {
		return nil, err
	}
	if err := l.SetBacklog(backlog); err != nil {
		return nil, errors.Join(err, l.Release())
	}
	return l.Connections()
}

// listen is listenAt, until the end of the test.
func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	ln, err := listenAt(addr, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// answers connects by Dial and accepts.
func answers(t *testing.T, ln net.Listener, addr netip.AddrPort, path string) {
	t.Helper()
	c, err := Dial(t.Context(), Target{Addr: addr, Path: path, Timeout: testenv.Limit})
	if err != nil {
		t.Fatal(err)
	}
	client := testenv.Own(t, c)
	c, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server := testenv.Own(t, c)
	testenv.Write(t, client, "hello")
	testenv.WantBytes(t, server, "hello")
}

func TestListenFamilies(t *testing.T) {
	testenv.CheckLeaks(t)
	const v4, v6 = "127.0.0.1", "::1"
	for _, tt := range []struct {
		addr    string
		answer  []string
		refuses string // where not empty
	}{
		{addr: "0", answer: []string{v4}, refuses: v6},
		{addr: "127.0.0.1:0", answer: []string{v4}, refuses: v6},
		{addr: "[::1]:0", answer: []string{v6}, refuses: v4},
		{addr: "[::]:0", answer: []string{v4, v6}},
		{addr: ":::0", answer: []string{v4, v6}},
		{addr: ":0", answer: []string{v4, v6}},
	} {
		t.Run(tt.addr, func(t *testing.T) {
			if probe, err := net.Listen("tcp6", "[::1]:0"); err != nil {
				t.Fatalf("this test needs IPv6 on the loopback interface: %v", err)
			} else {
				probe.Close()
			}
			ln := listen(t, tt.addr)
			at := func(host string) netip.AddrPort {
				return netip.AddrPortFrom(netip.MustParseAddr(host), ln.Addr().(*net.TCPAddr).AddrPort().Port())
			}
			for _, host := range tt.answer {
				answers(t, ln, at(host), "")
			}
			if tt.refuses == "" {
				return
			}
			if c, err := Dial(t.Context(), Target{Addr: at(tt.refuses), Timeout: testenv.Limit}); !errors.Is(err, syscall.ECONNREFUSED) {
				if err == nil {
					c.Close()
				}
				t.Errorf("dial %s: %v, want connection refused", tt.refuses, err)
			}
		})
	}
}

func TestListenErrors(t *testing.T) {
	testenv.CheckLeaks(t)
	taken := listen(t, testenv.Loopback).Addr().String()
	for _, tt := range []struct{ addr, err string }{
		{taken, "can't bind local address " + taken + ": address already in use"},
		{"192.0.2.77:0", "can't bind local address 192.0.2.77:0: "},
		{"127.0.0.1:nosuchservice", "unknown port"},
		{filepath.Join(t.TempDir(), "none", "sock"), "no such file or directory"},
		{"/" + strings.Repeat("x", 200), "can't bind local address /xx"},
	} {
		ln, err := listenAt(tt.addr, 0)
		if err == nil {
			ln.Close()
		}
		if err == nil || !hasError(err, tt.err) {
			t.Errorf("Listen(%q): %v, want %q", tt.addr, err, tt.err)
		}
	}
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

func TestListenUnix(t *testing.T) {
	testenv.CheckLeaks(t)
	path := socketPath(t)
	ln := listen(t, path)
	answers(t, ln, netip.AddrPort{}, path)
	ln.Close()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket after Close: %v", err)
	}
}

func TestListenReplacesStaleSocket(t *testing.T) {
	testenv.CheckLeaks(t)
	path := socketPath(t)
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	answers(t, listen(t, path), netip.AddrPort{}, path)
}

func TestListenLeavesLiveSocketAlone(t *testing.T) {
	testenv.CheckLeaks(t)
	path := socketPath(t)
	live := listen(t, path)
	if _, err := listenAt(path, 0); !hasError(err, "can't bind local address "+path+": another program listens there") || err == nil {
		t.Errorf("Listen on a live socket: %v", err)
	}
	// The connection by which it was found out.
	c, err := live.Accept()
	if err != nil {
		t.Fatal(err)
	}
	testenv.WantClosed(t, testenv.Own(t, c))
	answers(t, live, netip.AddrPort{}, path)
}

// A program that is too busy to take another connection is alive.
func TestListenLeavesBusySocketAlone(t *testing.T) {
	testenv.CheckLeaks(t)
	path := socketPath(t)
	busy, err := listenAt(path, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for queued := 0; ; queued++ {
		c, err := net.Dial("unix", path)
		if errors.Is(err, syscall.EAGAIN) {
			break
		}
		if err != nil || queued > 10 {
			t.Fatalf("%d connections are queued: %v", queued, err)
		}
		testenv.Own(t, c)
	}
	if ln, err := listenAt(path, 0); err == nil {
		ln.Close()
		t.Error("a live socket was replaced")
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the live socket is gone: %v", err)
	}
}

func TestListenLeavesFilesAlone(t *testing.T) {
	testenv.CheckLeaks(t)
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link, dir} {
		if _, err := listenAt(path, 0); err == nil || !hasError(err, "listen "+path+": the file exists and is not a socket") {
			t.Errorf("Listen(%s): %v", path, err)
		}
	}
	if got, err := os.ReadFile(link); err != nil || string(got) != "precious" {
		t.Errorf("the file is now %q, %v", got, err)
	}
}

// What is not a stream socket cannot be told to be stale.
func TestListenLeavesOtherSocketsAlone(t *testing.T) {
	testenv.CheckLeaks(t)
	path := socketPath(t)
	datagram, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer datagram.Close()
	if _, err := listenAt(path, 0); err == nil || !hasError(err, "can't bind local address "+path+": ") {
		t.Errorf("Listen on a datagram socket: %v", err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the socket is gone: %v", err)
	}
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
