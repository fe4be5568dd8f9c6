//go:build !linux

package sock

import (
	"errors"
	"net"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

var masking sync.Mutex // the umask is the process's

// bindPrivate binds a Unix socket under a umask that leaves others nothing. A file
// that another goroutine makes meanwhile gets fewer permissions than it should, never
// more.
func bindPrivate(addr string) (goSocket, net.Addr, error) {
	masking.Lock()
	defer masking.Unlock()
	if strings.Contains(addr, "/") {
		defer unix.Umask(unix.Umask(0o177))
	}
	ln, at, err := bind(addr, func(int) error { return nil })
	if err == nil && strings.Contains(addr, "/") {
		if err = os.Chmod(addr, 0o600); err != nil {
			return nil, nil, errors.Join(err, ln.Close(), os.Remove(addr))
		}
	}
	return ln, at, err
}

// Peer returns who is on the other side of a connection.
func Peer(c net.Conn) string {
	if _, ok := c.(*net.UnixConn); ok {
		return "unix"
	}
	return c.RemoteAddr().String()
}
