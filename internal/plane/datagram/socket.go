package datagram

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"

	"pen/internal/sock"
)

// A socket is a listener. One goroutine reads, any may write.
type socket interface {
	// read waits for a datagram. lost is how many there were since the last one
	// for which the system had no room.
	read(b []byte) (n int, from peer, lost int, err error)
	// write sends a datagram, with control data made by sock.FromAsked. It waits
	// for the system, but not for the receiver, whose full queue is EAGAIN.
	write(b []byte, to peer, control []byte) error
	descriptor() int
	close() error
}

func newSocket(c net.PacketConn) (socket, error) {
	switch c := c.(type) {
	case *net.UDPConn:
		fd, _, err := raw(c)
		return &udpSocket{c: c, fd: fd}, err
	case *net.UnixConn:
		fd, raw, err := raw(c)
		return &unixSocket{c: c, fd: fd, raw: raw}, err
	}
	return nil, fmt.Errorf("%T is no socket for datagrams", c)
}

func raw(c net.Conn) (fd int, raw syscall.RawConn, err error) {
	raw, err = sock.Raw(c)
	if err == nil {
		err = raw.Control(func(n uintptr) { fd = int(n) })
	}
	return fd, raw, err
}

type udpSocket struct {
	c       *net.UDPConn
	fd      int
	control [sock.ControlSize]byte // of the reader
	lost    uint32                 // datagrams, as last seen
}

func (s *udpSocket) read(b []byte) (int, peer, int, error) {
	n, oob, _, addr, err := s.c.ReadMsgUDPAddrPort(b, s.control[:])
	if err != nil {
		return 0, peer{}, 0, err
	}
	asked, total := sock.ParseControl(s.control[:oob])
	lost := total - s.lost
	s.lost = total
	return n, peer{addr: addr, asked: asked}, int(lost), nil
}

func (s *udpSocket) write(b []byte, to peer, control []byte) error {
	_, _, err := s.c.WriteMsgUDPAddrPort(b, control, to.addr)
	return err
}

func (s *udpSocket) descriptor() int { return s.fd }
func (s *udpSocket) close() error    { return s.c.Close() }

type unixSocket struct {
	c   *net.UnixConn
	fd  int
	raw syscall.RawConn
}

func (s *unixSocket) read(b []byte) (int, peer, int, error) {
	n, addr, err := s.c.ReadFromUnix(b)
	if err != nil {
		return 0, peer{}, 0, err
	}
	from := peer{}
	if addr != nil {
		from.path = addr.Name
	}
	return n, from, 0, nil
}

// errNoName says that a client can't be answered.
var errNoName = errors.New("the client's socket has no name")

func (s *unixSocket) write(b []byte, to peer, _ []byte) error {
	if to.path == "" {
		return errNoName
	}
	var err error
	// Go would wait here for this socket, which is always ready.
	if werr := s.raw.Write(func(fd uintptr) bool {
		err = unix.Sendto(int(fd), b, unix.MSG_DONTWAIT, &unix.SockaddrUnix{Name: to.path})
		return true
	}); werr != nil {
		return werr
	}
	return err
}

func (s *unixSocket) descriptor() int { return s.fd }
func (s *unixSocket) close() error    { return s.c.Close() }
