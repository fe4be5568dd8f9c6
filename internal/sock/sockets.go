package sock

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Sockets owns the sockets that a process listens on. They are bound, inherited and
// closed here and nowhere else, and the files of Unix sockets are removed here. Data
// planes and servers get a Listener on loan. The zero value is ready. All methods may
// be called concurrently.
type Sockets struct {
	mu   sync.Mutex // guards all below, and parts of each socket
	open map[place]*socket
}

// A place is where a socket is bound. The network is tcp, udp, unix or unixgram.
type place struct{ network, address string }

// A socket that Sockets owns.
type socket struct {
	owner *Sockets
	place place
	addr  net.Addr
	fd    int           // does not block, and Go's scheduler does not watch it
	gone  chan struct{} // closed after the socket
	loans int           // Listeners that are not released; guarded by owner.mu
	bound goSocket      // what package net has bound, until its first use; guarded by owner.mu
}

// A goSocket is a listening socket of package net.
type goSocket interface {
	syscall.Conn
	Close() error
}

// Listen returns a Listener for connections to an address (see Split), on the socket
// inherited for it or on a new one. A Unix socket left behind by a program that is gone
// is replaced; any other file is an error.
//
// Listen may block while a host name is looked up. Where the address is still in use
// by this process it waits for a second.
func (s *Sockets) Listen(addr string) (*Listener, error) {
	return s.listen(addr, "tcp", func() (goSocket, net.Addr, error) {
		return bind(addr, func(int) error { return nil })
	})
}

// ListenPrivate is Listen with a Unix socket to which only its owner may connect, from
// its first moment on, whatever the umask.
func (s *Sockets) ListenPrivate(addr string) (*Listener, error) {
	return s.listen(addr, "tcp", func() (goSocket, net.Addr, error) { return bindPrivate(addr) })
}

// ListenDatagram is Listen for UDP, or for datagrams to a Unix socket where the address
// is a path. A UDP socket on all addresses of the machine reports the destination of
// each datagram; see [ParseControl].
func (s *Sockets) ListenDatagram(addr string) (*Listener, error) {
	return s.listen(addr, "udp", func() (goSocket, net.Addr, error) { return bindDatagram(addr) })
}

// Inherit takes over a listening socket of another process. The next Listener for that
// network (tcp, udp, unix or unixgram) and address, as Split returns it, gets it. The
// caller closes f.
func (s *Sockets) Inherit(network, address string, f *os.File) error {
	c, addr, err := fromFile(network, f)
	if err != nil {
		return fmt.Errorf("inherit %s: %w", address, err)
	}
	defer c.Close()
	_, err = s.add(place{network, address}, c, addr)
	return err
}

// listen returns a Listener on an inherited socket, or binds one. network is that of
// addresses that are not paths.
func (s *Sockets) listen(addr, network string, bind func() (goSocket, net.Addr, error)) (*Listener, error) {
	kind, address, err := Split(addr)
	if err != nil {
		return nil, err
	}
	at := place{network, address}
	if kind == "unix" {
		at.network = map[string]string{"tcp": "unix", "udp": "unixgram"}[network]
	}
	if k, err := s.inherited(at); k != nil || err != nil {
		return k, err
	}
	c, local, err := bind()
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(address, ":0") {
		at.address = local.String()
	}
	k, err := s.add(at, c, local)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k.bound = c
	return k.lend(), nil
}

// closeTime is how long Listen waits for a socket at the same place that is being
// closed.
const closeTime = time.Second

// inherited returns a Listener on the open socket at a place, or nil. It waits for one
// that is in use.
func (s *Sockets) inherited(at place) (*Listener, error) {
	s.mu.Lock()
	k := s.open[at]
	if k == nil || k.loans == 0 {
		defer s.mu.Unlock()
		return k.lend(), nil
	}
	s.mu.Unlock()
	select {
	case <-k.gone:
		return nil, nil
	case <-time.After(closeTime):
		return nil, fmt.Errorf("can't bind local address %s: %w", at.address, syscall.EADDRINUSE)
	}
}

// add makes a socket of a descriptor of c.
func (s *Sockets) add(at place, c goSocket, addr net.Addr) (*socket, error) {
	fd, err := dup(c)
	if err != nil {
		return nil, fmt.Errorf("listen %s: %w", at.address, err)
	}
	k := &socket{owner: s, place: at, addr: addr, fd: fd, gone: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[place]*socket{}
	}
	s.open[at] = k
	return k, nil
}

// lend returns a Listener, or nil where k is nil. owner.mu is held.
func (k *socket) lend() *Listener {
	if k == nil {
		return nil
	}
	k.loans++
	return &Listener{socket: k, released: make(chan struct{})}
}

// giveBack takes one loan back. The last one closes the socket, after removing its
// file: from then on another socket may have both.
func (k *socket) giveBack() error {
	k.owner.mu.Lock()
	defer k.owner.mu.Unlock()
	if k.loans--; k.loans > 0 {
		return nil
	}
	delete(k.owner.open, k.place)
	defer close(k.gone)
	var err error
	if k.place.network == "unix" || k.place.network == "unixgram" {
		if err = os.Remove(k.addr.String()); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if k.bound != nil {
		err = errors.Join(err, k.bound.Close())
	}
	return errors.Join(err, unix.Close(k.fd))
}

// takeBound returns what package net has bound, once, and then nil.
func (k *socket) takeBound() goSocket {
	k.owner.mu.Lock()
	defer k.owner.mu.Unlock()
	c := k.bound
	k.bound = nil
	return c
}

// dup returns another descriptor of a socket.
func dup(c syscall.Conn) (fd int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	err = control(raw, func(n int) (err error) {
		fd, err = unix.FcntlInt(uintptr(n), unix.F_DUPFD_CLOEXEC, 0)
		return err
	})
	return fd, err
}
