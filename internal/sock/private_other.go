//go:build !linux

package sock

import (
	"net"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

var masking sync.Mutex // the umask is the process's

// listenPrivate binds a Unix socket under a umask that leaves others nothing.
// A file that another goroutine makes meanwhile gets less than it should, never
// more.
func listenPrivate(addr string) (net.Listener, error) {
	masking.Lock()
	defer masking.Unlock()
	if strings.Contains(addr, "/") {
		defer unix.Umask(unix.Umask(0o177))
	}
	ln, err := listenAt(addr, 0, func(int) error { return nil })
	if err == nil && strings.Contains(addr, "/") {
		if err = os.Chmod(addr, 0o600); err != nil {
			ln.Close()
			return nil, err
		}
	}
	return ln, err
}

// Peer says who is on the other side of a connection.
func Peer(c net.Conn) string {
	if _, ok := c.(*net.UnixConn); ok {
		return "unix"
	}
	return c.RemoteAddr().String()
}
