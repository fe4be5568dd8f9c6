package sock

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pen/internal/testenv"
)

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
