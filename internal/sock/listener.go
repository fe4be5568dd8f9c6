package sock

import (
	"math"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Listener is a listening socket on loan from Sockets. Its user takes clients by one
// of FD, Connections and Datagrams, and calls Release when it takes no more.
type Listener struct {
	socket   *socket
	once     sync.Once
	released chan struct{}
	err      error // of Release
}

// Addr is the bound address.
func (l *Listener) Addr() net.Addr { return l.socket.addr }

// Lend returns another Listener on the same socket, for the user that takes the place
// of this one.
func (l *Listener) Lend() *Listener {
	l.socket.owner.mu.Lock()
	defer l.socket.owner.mu.Unlock()
	return l.socket.lend()
}

// IsShared reports whether somebody else has the socket on loan: clients that wait to
// be accepted are theirs.
func (l *Listener) IsShared() bool {
	l.socket.owner.mu.Lock()
	defer l.socket.owner.mu.Unlock()
	return l.socket.loans > 1
}

// Release ends the loan. When the last one ends, the socket is closed, and the file of
// a Unix socket removed. Further calls return what the first did.
func (l *Listener) Release() error {
	l.once.Do(func() {
		l.err = l.socket.giveBack()
		close(l.released)
	})
	return l.err
}

// Released is closed when the loan has ended.
func (l *Listener) Released() <-chan struct{} { return l.released }

// IsDatagram reports whether the socket is for datagrams.
func (l *Listener) IsDatagram() bool {
	return l.socket.place.network == "udp" || l.socket.place.network == "unixgram"
}

// SetBacklog changes how many connections may wait to be accepted; 0 is as many as the
// kernel allows.
func (l *Listener) SetBacklog(n int) error {
	if n == 0 {
		n = math.MaxInt32
	}
	return syscall.Listen(l.socket.fd, n)
}

// FD returns the socket's descriptor, which does not block and is good until Release.
// Go's scheduler does not watch it. Options that accepted connections inherit are set:
// probes for clients that are gone, and no delay of small packets.
func (l *Listener) FD() int {
	if c := l.socket.takeBound(); c != nil {
		c.Close() // it would have every client wake Go's scheduler
	}
	return l.socket.fd
}

// Connections returns package net's view of the socket, with a descriptor of its own.
// Close releases the Listener; it may be called again.
func (l *Listener) Connections() (net.Listener, error) {
	if ln, ok := l.socket.takeBound().(net.Listener); ok {
		return &listener{Listener: ln, loan: l}, nil
	}
	c, err := l.again()
	if err != nil {
		return nil, err
	}
	return &listener{Listener: c.(net.Listener), loan: l, foreign: true}, nil
}

// Datagrams returns package net's view of the socket, with a descriptor of its own: a
// *net.UDPConn or a *net.UnixConn, which the caller closes.
func (l *Listener) Datagrams() (net.PacketConn, error) {
	if c, ok := l.socket.takeBound().(net.PacketConn); ok {
		return c, nil
	}
	c, err := l.again()
	if err != nil {
		return nil, err
	}
	return c.(net.PacketConn), nil
}

// again makes another view of the socket for package net.
func (l *Listener) again() (goSocket, error) {
	fd, err := unix.FcntlInt(uintptr(l.socket.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("dup", err)
	}
	f := os.NewFile(uintptr(fd), l.Addr().String())
	defer f.Close()
	c, _, err := fromFile(l.socket.place.network, f)
	return c, err
}

// fromFile makes package net's view of a listening socket.
func fromFile(network string, f *os.File) (goSocket, net.Addr, error) {
	if network == "udp" || network == "unixgram" {
		c, err := net.FilePacketConn(f)
		if err != nil {
			return nil, nil, err
		}
		return c.(goSocket), c.LocalAddr(), nil
	}
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, nil, err
	}
	return ln.(goSocket), ln.Addr(), nil
}

// A listener is package net's, and gives the loan back when it is closed.
type listener struct {
	net.Listener
	loan    *Listener
	foreign bool // it was not bound by this package: it has Go's own idea of keep-alive
}

// Accept implements [net.Listener].
func (ln *listener) Accept() (net.Conn, error) {
	c, err := ln.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok && ln.foreign {
		tcp.SetKeepAliveConfig(keepAlive) // a client that is gone is noticed later
	}
	return c, err
}

// Close implements [net.Listener].
func (ln *listener) Close() error {
	ln.Listener.Close()
	return ln.loan.Release()
}
