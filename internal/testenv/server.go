package testenv

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// Loopback is an address for listeners: a port of 127.0.0.1 that is free.
const Loopback = "127.0.0.1:0"

// A Listener is where a test accepts the connections itself.
type Listener struct {
	net.Listener
}

// Listen listens: for "tcp" on an address such as Loopback, for "unix" on a
// path.
func Listen(t testing.TB, network, addr string) *Listener {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return &Listener{ln}
}

// Next accepts a connection. See [Own] for its end.
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

// AddrPort is the address of a TCP listener.
func (l *Listener) AddrPort() netip.AddrPort { return addrPort(l.Addr()) }

// Serve listens on Loopback and calls handle for every connection, each in a
// goroutine of its own; afterwards the connection is closed. At the end of the
// test all connections are closed, and handle must return soon.
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

// Echo serves: it sends back what it gets.
func Echo(t testing.TB) netip.AddrPort {
	t.Helper()
	return Serve(t, func(c Conn) { io.Copy(writer{c}, reader{c}) })
}

// Sink serves: it reads and sends nothing.
func Sink(t testing.TB) netip.AddrPort {
	t.Helper()
	return Serve(t, func(c Conn) { io.Copy(io.Discard, reader{c}) })
}

// Source serves: it sends a text and ends.
func Source(t testing.TB, text string) netip.AddrPort {
	t.Helper()
	return Serve(t, func(c Conn) { io.WriteString(c, text) })
}

type server struct {
	ln      net.Listener
	handle  func(Conn)
	running sync.WaitGroup

	mu      sync.Mutex // guards all below
	conns   map[Conn]bool
	stopped bool
}

func (s *server) accept() {
	for {
		c, err := s.ln.Accept()
		if err != nil {
			return
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
