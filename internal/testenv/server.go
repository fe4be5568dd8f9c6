package testenv

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// Loopback is an address for listeners: any free port of 127.0.0.1.
const Loopback = "127.0.0.1:0"

// A Listener is a listener whose connections the test accepts itself.
type Listener struct {
	net.Listener
}

// Listen listens until the end of the test: for "tcp" on an address such as Loopback,
// for "unix" on a path.
func Listen(t testing.TB, network, addr string) *Listener {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return &Listener{ln}
}

// Next accepts a connection. [Own] says when it is closed.
func (l *Listener) Next(t testing.TB) Conn {
	t.Helper()
	if err := l.Listener.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Now().Add(Limit)); err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatalf("no connection came: %v", err)
	}
	return Own(t, c)
}

// AddrPort returns the address of a TCP listener.
func (l *Listener) AddrPort() netip.AddrPort { return addrPort(l.Addr()) }

// Serve listens on Loopback and calls handle for every connection in a goroutine of its
// own. It closes the connection when handle returns. At the end of the test it closes
// all connections, and handle must return soon.
func Serve(t testing.TB, handle func(Conn)) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", Loopback)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{ln: ln, handle: handle, conns: map[Conn]bool{}}
	s.running.Go(s.accept)
	t.Cleanup(s.stop)
	return addrPort(ln.Addr())
}

// Echo serves connections by sending back what it receives.
func Echo(t testing.TB) netip.AddrPort {
	t.Helper()
	return Serve(t, func(c Conn) { io.Copy(writer{c}, reader{c}) })
}

// Sink serves connections by reading until they end.
func Sink(t testing.TB) netip.AddrPort {
	t.Helper()
	return Serve(t, func(c Conn) { io.Copy(io.Discard, reader{c}) })
}

// Source serves connections by sending a text and closing them.
func Source(t testing.TB, text string) netip.AddrPort {
	t.Helper()
	return Serve(t, func(c Conn) { io.WriteString(c, text) })
}

type server struct {
	ln      net.Listener
	handle  func(Conn)
	running sync.WaitGroup

	mu      sync.Mutex // guards the following
	conns   map[Conn]bool
	stopped bool
}

func (s *server) accept() {
	for {
		c, err := s.ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // the test has left the process without descriptors
			time.Sleep(10 * time.Millisecond)
			continue
		}
		s.running.Go(func() { s.serve(c.(Conn)) })
	}
}

func (s *server) serve(c Conn) {
	defer c.Close()
	s.mu.Lock()
	s.conns[c] = true
	stopped := s.stopped
	s.mu.Unlock()
	if !stopped {
		s.handle(c)
	}
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}

func (s *server) stop() {
	s.ln.Close()
	s.mu.Lock()
	s.stopped = true
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}

func addrPort(addr net.Addr) netip.AddrPort {
	ap := addr.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
