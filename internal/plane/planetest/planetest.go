// Package planetest is the suite that every data plane must pass: what clients and
// servers see, over real sockets on loopback, and that nothing leaks.
package planetest

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"pen/internal/acl"
	"pen/internal/dispatch"
	"pen/internal/plane"
	"pen/internal/pool"
	"pen/internal/sock"
	"pen/internal/testenv"
)

// A New returns the plane under test for a listener, or fails the test.
type New func(t *testing.T, ln *sock.Listener) plane.Plane

// Run runs the suite as sub-tests of t.
func Run(t *testing.T, build New) {
	for _, group := range [][]conformance{closing, failing, misbehaving, admitting, addressing, ending, moving, keeping, limiting, metering, standing, lending, configuring, recording} {
		for _, c := range group {
			t.Run(c.name, func(t *testing.T) {
				testenv.CheckLeaks(t)
				c.run(t, build)
			})
		}
	}
}

// A conformance is one sub-test.
type conformance struct {
	name string
	run  func(*testing.T, New)
}

// A service is a plane that serves, and its policy.
type service struct {
	ln     *sock.Listener
	plane  plane.Plane
	d      *dispatch.Dispatcher
	cancel context.CancelFunc
	over   chan struct{} // closed when Serve has returned
	err    error         // what it returned
}

// start serves on an address in Pen's notation. It stops the service at the end of the
// test, when no connection may be counted any more.
func start(t *testing.T, build New, addr string, cfg dispatch.Config) *service {
	t.Helper()
	begin := time.Now()
	ctx, cancel := context.WithCancel(context.Background())
	s := &service{
		ln: bind(t, addr), cancel: cancel, over: make(chan struct{}),
		d: dispatch.New(cfg, func() time.Duration { return time.Since(begin) }),
	}
	s.plane = build(t, s.ln)
	ticking, endTicks := context.WithCancel(context.Background())
	ticks := make(chan struct{})
	go func() {
		defer close(ticks)
		plane.Tick(ticking, s.d)
	}()
	go func() {
		defer close(s.over)
		s.err = s.plane.Serve(ctx, s.d)
		endTicks()
		<-ticks
	}()
	t.Cleanup(func() { s.stop(t) })
	return s
}

// bind returns a listener on an address in Pen's notation.
func bind(t *testing.T, addr string) *sock.Listener {
	t.Helper()
	ln, err := new(sock.Sockets).Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// join has another plane serve with the same policy until the end of the test, and
// returns its address.
func (s *service) join(t *testing.T, build New, addr string) net.Addr {
	t.Helper()
	ln := bind(t, addr)
	s.serve(t, build(t, ln))
	return ln.Addr()
}

// serve has another plane serve with the same policy, until the test or its context
// ends.
func (s *service) serve(t *testing.T, p plane.Plane) (retire context.CancelFunc) {
	ctx, retire := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- p.Serve(ctx, s.d) }()
	t.Cleanup(func() {
		retire()
		testenv.Eventually(t, "the other Serve returns", func() bool {
			s.d.KillAll()
			return len(over) > 0
		})
		if err := <-over; err != nil {
			t.Errorf("the other Serve: %v", err)
		}
	})
	return retire
}

// stop ends the service and all its flows.
func (s *service) stop(t *testing.T) {
	t.Helper()
	s.cancel()
	testenv.Eventually(t, "Serve returns", func() bool {
		s.d.KillAll()
		return s.isOver()
	})
	if s.err != nil {
		t.Errorf("Serve: %v", s.err)
	}
	st := s.d.Status()
	if len(st.Flows) != 0 {
		t.Errorf("flows after Serve: %+v", st.Flows)
	}
	for _, server := range st.Servers {
		if server.Conns != 0 {
			t.Errorf("server %d has %d connections after Serve", server.Slot, server.Conns)
		}
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

// dial connects a client to the service.
func (s *service) dial(t *testing.T) testenv.Conn {
	t.Helper()
	return testenv.Dial(t, s.ln.Addr())
}

// flows waits until n flows are up, and returns them.
func (s *service) flows(t *testing.T, n int) []dispatch.FlowStatus {
	t.Helper()
	var flows []dispatch.FlowStatus
	testenv.Eventually(t, "all flows are up", func() bool {
		flows = s.d.Status().Flows
		for _, f := range flows {
			if !f.Up {
				return false
			}
		}
		return len(flows) == n
	})
	return flows
}

// wantFailed checks to which servers connects have failed.
func (s *service) wantFailed(t *testing.T, want ...bool) {
	t.Helper()
	for i, server := range s.d.Servers() {
		if server.Failed != want[i] {
			t.Errorf("server %d failed: %v, want %v", i, server.Failed, want[i])
		}
	}
}

// config returns a policy with servers at TCP addresses, all alike.
func config(servers ...netip.AddrPort) dispatch.Config {
	cfg := dispatch.Config{
		ACLs: &acl.Lists{}, ClientsMax: 100, ConnMax: 2000, ConnectTimeout: testenv.Limit,
	}
	cfg.Pool.Blacklist = time.Hour
	for _, addr := range servers {
		cfg.Pool.Servers = append(cfg.Pool.Servers, server(addr))
	}
	return cfg
}

func server(addr netip.AddrPort) pool.Config { return pool.Config{Addr: addr, Weight: 1} }

// one starts a service with one server, whose connections the test accepts itself, and
// connects through it. It waits until the flow is up: a server that resets earlier
// counts as one that refuses.
func one(t *testing.T, build New) (s *service, client, server testenv.Conn) {
	t.Helper()
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	s = start(t, build, testenv.Loopback, config(ln.AddrPort()))
	client = s.dial(t)
	server = ln.Next(t)
	s.flows(t, 1)
	return s, client, server
}

// exchange sends a message each way.
func exchange(t *testing.T, client, server testenv.Conn) {
	t.Helper()
	testenv.Write(t, client, "from the client")
	testenv.WantBytes(t, server, "from the client")
	testenv.Write(t, server, "from the server")
	testenv.WantBytes(t, client, "from the server")
}

// echo sends a message to an echo server and reads it back.
func echo(t *testing.T, client testenv.Conn) {
	t.Helper()
	testenv.Write(t, client, "echo")
	testenv.WantBytes(t, client, "echo")
}

// port returns the TCP address with this address's port on another address of loopback.
func port(addr net.Addr, host string) *net.TCPAddr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(host), addr.(*net.TCPAddr).AddrPort().Port()))
}
