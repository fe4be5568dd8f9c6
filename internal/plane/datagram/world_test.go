package datagram

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pen/internal/acl"
	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/pool"
	"pen/internal/sock"
	"pen/internal/testenv"
)

// A service is a plane that serves, and the policy that it asks.
type service struct {
	*dispatch.Dispatcher
	plane  *Plane
	addr   string
	cancel context.CancelFunc
	over   chan struct{}
	clock  atomic.Int64 // added to the time since the start
}

// start serves on an address. At the end nothing may be left.
func start(t *testing.T, addr string, cfg dispatch.Config) *service {
	t.Helper()
	p := listen(t, addr, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})))
	begin := time.Now()
	ctx, cancel := context.WithCancel(context.Background())
	s := &service{plane: p, addr: p.ln.Addr().String(), cancel: cancel, over: make(chan struct{})}
	s.Dispatcher = dispatch.New(cfg, func() time.Duration { return time.Since(begin) + time.Duration(s.clock.Load()) })
	go func() {
		defer close(s.over)
		if err := p.Serve(ctx, s.Dispatcher); err != nil {
			t.Errorf("Serve: %v", err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		testenv.Eventually(t, "Serve returns", func() bool {
			s.KillAll()
			return s.isOver()
		})
		st := s.Status()
		for _, sv := range st.Servers {
			if sv.Conns != 0 || len(st.Flows) != 0 {
				t.Errorf("left: %d flows, %d on server %d", len(st.Flows), sv.Conns, sv.Slot)
			}
		}
	})
	return s
}

func listen(t *testing.T, addr string, log *slog.Logger) *Plane {
	t.Helper()
	ln, err := new(sock.Sockets).ListenDatagram(addr)
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(ln, log)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (s *service) configure(t *testing.T, e edge.Ends) {
	t.Helper()
	if err := s.plane.Configure(&e); err != nil {
		t.Fatal(err)
	}
}

func (s *service) isOver() bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}

func (s *service) count(r dispatch.Reason) uint64 {
	st := s.Status()
	return st.Of(r)
}

// refused waits until something was refused n times for a reason.
func (s *service) refused(t *testing.T, r dispatch.Reason, n uint64) {
	t.Helper()
	testenv.Eventually(t, fmt.Sprintf("%d times %v", n, r), func() bool { return s.count(r) == n })
}

func config(servers ...string) dispatch.Config {
	cfg := dispatch.Config{ACLs: &acl.Lists{}, ClientsMax: 100, ConnMax: 100, ConnectTimeout: time.Second}
	cfg.Pool.Blacklist = time.Hour
	for _, s := range servers {
		cfg.Pool.Servers = append(cfg.Pool.Servers, server(s))
	}
	return cfg
}

func server(addr string) pool.Config {
	if strings.Contains(addr, "/") {
		return pool.Config{Path: addr, Weight: 1}
	}
	return pool.Config{Addr: netip.MustParseAddrPort(addr), Weight: 1}
}

// A host is a server that answers each datagram with its name and what it got, or
// not at all if it has no name.
type host struct {
	net.PacketConn
	name string
	got  atomic.Int64
}

func serve(t *testing.T, name, network, addr string) *host {
	t.Helper()
	c, err := net.ListenPacket(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	h := &host{PacketConn: c, name: name}
	over := make(chan struct{})
	go func() {
		defer close(over)
		buf := make([]byte, maxDatagram)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			h.got.Add(1)
			if from != nil && name != "" {
				c.WriteTo(append([]byte(name+" "), buf[:n]...), from)
			}
		}
	}()
	t.Cleanup(func() {
		c.Close()
		<-over
	})
	return h
}

func (h *host) addr() string { return h.LocalAddr().String() }

func udp(t *testing.T, name string) *host { return serve(t, name, "udp", "127.0.0.1:0") }

// dead is an address that refuses datagrams. It is held by a socket that is
// connected elsewhere, so that nobody else gets it.
func dead(t *testing.T) string {
	t.Helper()
	c, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.LocalAddr().String()
}

// dial makes a client, from a given address if that is not empty. Unix clients
// have a name.
func dial(t *testing.T, from, to string) net.Conn {
	t.Helper()
	d := net.Dialer{}
	network := "udp"
	if strings.Contains(to, "/") {
		network = "unixgram"
		d.LocalAddr = &net.UnixAddr{Net: network, Name: filepath.Join(t.TempDir(), "c")}
	} else if from != "" {
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0))
	}
	c, err := d.Dial(network, to)
	if err != nil {
		t.Fatal(err)
	}
	return testenv.OwnPacket(t, c)
}

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// want reads an answer.
func want(t *testing.T, c net.Conn, text string) {
	t.Helper()
	buf := make([]byte, maxDatagram)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatalf("no answer, want %.40q: %v", text, err)
	}
	if string(buf[:n]) != text {
		t.Fatalf("answer %.40q of %d bytes, want %.40q of %d", buf[:n], n, text, len(text))
	}
}

// ask sends a text, and wants the answer to come from a server of that name.
func ask(t *testing.T, c net.Conn, text, name string) {
	t.Helper()
	send(t, c, text)
	want(t, c, name+" "+text)
}
