package sock

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pen/internal/testenv"
)

// A private socket has its mode when it gets its name: a change afterwards would
// leave a moment for others, and undo what this odd umask takes away.
func TestListenPrivate(t *testing.T) {
	testenv.CheckLeaks(t)
	for umask, want := range map[int]fs.FileMode{0: 0o600, 0o22: 0o600, 0o200: 0o400} {
		path := filepath.Join(t.TempDir(), "ctl")
		before := unix.Umask(umask)
		ln, err := new(Sockets).ListenPrivate(path)
		unix.Umask(before)
		if err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(path)
		if err != nil || st.Mode().Perm() != want {
			t.Errorf("umask %04o: mode %v, %v, want %v", umask, st.Mode().Perm(), err, want)
		}
		ln.Release()
	}
}

func TestOnLoopback(t *testing.T) {
	for addr, want := range map[string]string{
		"8888": "127.0.0.1:8888", "http": "127.0.0.1:http", "0.0.0.0:8888": "0.0.0.0:8888", ":8888": ":8888", "[::1]:8888": "[::1]:8888", "./ctl": "./ctl",
	} {
		if got := OnLoopback(addr); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

// Of a client of a Unix socket the kernel says who it is.
func TestPeer(t *testing.T) {
	testenv.CheckLeaks(t)
	for addr, want := range map[string]string{filepath.Join(t.TempDir(), "ctl"): "unix uid=", "127.0.0.1:0": "127.0.0.1:"} {
		ln, err := listenAt(addr, 0)
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial(ln.Addr().Network(), ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		server, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if got := Peer(server); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q", addr, got)
		}
		server.Close()
		c.Close()
		ln.Close()
	}
}
