package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"pen/internal/acl"
	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/plane"
	"pen/internal/pool"
	"pen/internal/testenv"
	"pen/internal/tlsterm"
	"pen/internal/wire"
)

// A service is a plane that serves, and the policy that it asks.
type service struct {
	*Plane
	d    *dispatch.Dispatcher
	stop func()
}

// endless are timeouts that no test sees the end of.
var endless = timeouts{time.Hour, time.Hour, time.Hour, time.Hour}

// serve has a plane serve with an edge. At the end nothing may be left.
func serve(t *testing.T, addr string, e *edge.Ends, limits timeouts, cfg dispatch.Config) *service {
	t.Helper()
	s := &service{Plane: listen(t, addr), d: newDispatcher(cfg)}
	s.timeouts = limits
	if err := s.Configure(e); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		if err := s.Serve(ctx, s.d); err != nil {
			t.Errorf("Serve: %v", err)
		}
	}()
	ticking := make(chan struct{})
	go func() {
		defer close(ticking)
		plane.Tick(ctx, s.d)
	}()
	s.stop = func() {
		cancel()
		testenv.Eventually(t, "Serve returns", func() bool {
			s.d.KillAll()
			select {
			case <-over:
				return true
			default:
				return false
			}
		})
		<-ticking
		wantNothing(t, s.d)
	}
	t.Cleanup(s.stop)
	return s
}

// wantNothing checks that no flow is counted.
func wantNothing(t *testing.T, d *dispatch.Dispatcher) {
	t.Helper()
	st := d.Status()
	for _, server := range st.Servers {
		if server.Conns != 0 || len(st.Flows) != 0 {
			t.Errorf("left: %d flows, %d on server %d", len(st.Flows), server.Conns, server.Slot)
		}
	}
}

func newDispatcher(cfg dispatch.Config) *dispatch.Dispatcher {
	begin := time.Now()
	return dispatch.New(cfg, func() time.Duration { return time.Since(begin) })
}

// config has servers that are all reached in one way.
func config(preamble edge.Preamble, servers ...netip.AddrPort) dispatch.Config {
	cfg := dispatch.Config{ACLs: &acl.Lists{}, ClientsMax: 100, ConnMax: 5000, ConnectTimeout: testenv.Limit}
	cfg.Pool.Blacklist = time.Hour
	for _, addr := range servers {
		c := pool.Config{Addr: addr, Weight: 1}
		if preamble != (edge.Preamble{}) {
			c.Preamble = preamble
		}
		cfg.Pool.Servers = append(cfg.Pool.Servers, c)
	}
	return cfg
}

// dial connects a client that has sent something.
func (s *service) dial(t *testing.T, text string) testenv.Conn {
	t.Helper()
	c := testenv.Dial(t, s.Addr())
	testenv.Write(t, c, text)
	return c
}

// dialFrom is dial from an address of loopback.
// dialFrom connects from an address and says something. A client that is refused
// at once sees that when it writes or when it reads.
func (s *service) dialFrom(t *testing.T, from, text string) testenv.Conn {
	t.Helper()
	c := testenv.DialFrom(t, from, s.Addr())
	if _, err := io.WriteString(c, text); err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Fatal(err)
	}
	return c
}

// refused waits until clients were refused n times, for no reason but one.
func (s *service) refused(t *testing.T, why dispatch.Refusal, n uint64) {
	t.Helper()
	var want dispatch.Counts
	want.Refused[why] = n
	testenv.Eventually(t, fmt.Sprintf("%d times %v and nothing else", n, why), func() bool { return s.d.Status().Counts == want })
}

// flows waits until there are n flows, and returns their numbers.
func (s *service) flows(t *testing.T, n int) (ids []int) {
	t.Helper()
	testenv.Eventually(t, fmt.Sprintf("there are %d flows", n), func() bool {
		ids = ids[:0]
		for _, f := range s.d.Status().Flows {
			ids = append(ids, f.ID)
		}
		return len(ids) == n
	})
	return ids
}

// wantHeader reads a PROXY header and nothing else.
func wantHeader(t *testing.T, c io.Reader) wire.Header {
	t.Helper()
	var b []byte
	for {
		b = append(b, 0)
		if _, err := io.ReadFull(c, b[len(b)-1:]); err != nil {
			t.Fatalf("after %q: %v", b, err)
		}
		h, _, err := wire.ParseHeader(b)
		if err == nil {
			return h
		}
		if err != wire.ErrShort {
			t.Fatal(err)
		}
	}
}

// local and remote are the addresses of a connection.
func local(c net.Conn) netip.AddrPort  { return c.LocalAddr().(*net.TCPAddr).AddrPort() }
func remote(c net.Conn) netip.AddrPort { return c.RemoteAddr().(*net.TCPAddr).AddrPort() }

// networks reads prefixes.
func networks(all ...string) (p []netip.Prefix) {
	for _, n := range all {
		p = append(p, netip.MustParsePrefix(n))
	}
	return p
}

// A cast is who speaks TLS in a test, all with one certificate, for
// www.example.com.
type cast struct {
	server  *tlsterm.Server // of a service
	client  *tlsterm.Client // of a service, towards servers
	outside *tls.Config     // of clients
	inside  *tls.Config     // of servers
}

func newCast(t *testing.T) *cast {
	t.Helper()
	ca, dir := testenv.NewAuthority(t, "ca"), t.TempDir()
	cert := ca.Issue(t, "www.example.com")
	file, caFile := filepath.Join(dir, "both.pem"), filepath.Join(dir, "ca.pem")
	testenv.WritePEM(t, file, cert)
	ca.Write(t, caFile)
	c := &cast{
		outside: &tls.Config{ServerName: "www.example.com", RootCAs: ca.Pool(), CurvePreferences: []tls.CurveID{tls.X25519}},
		inside:  &tls.Config{Certificates: []tls.Certificate{cert}},
	}
	var err error
	if c.server, err = tlsterm.NewServer(tlsterm.ServerConfig{Certificates: []tlsterm.Pair{{Cert: file}}}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if c.client, err = tlsterm.NewClient(tlsterm.ClientConfig{Name: "www.example.com", CA: caFile}); err != nil {
		t.Fatal(err)
	}
	return c
}

// dial makes a client that speaks TLS.
func (c *cast) dial(t *testing.T, s *service) *tls.Conn {
	t.Helper()
	conn := tls.Client(testenv.Dial(t, s.Addr()), c.outside)
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	return conn
}

// pass sends a text from one end to the other one.
func pass(t *testing.T, from io.Writer, to io.Reader, text string) {
	t.Helper()
	if _, err := io.WriteString(from, text); err != nil {
		t.Fatal(err)
	}
	want(t, to, text)
}

// want reads a text.
func want(t *testing.T, from io.Reader, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if n, err := io.ReadFull(from, got); err != nil {
		t.Fatalf("read %q, then %v, want %.200q", got[:n], err, text)
	}
	if string(got) != text {
		t.Fatalf("read %.500q, want %.500q", got, text)
	}
}

// A reader is shown what is read.
type reader struct {
	dispatch.NoObserver
	read func(chunk []byte)
}

func (r reader) Read(_ netip.Addr, _ string, _ bool, chunk []byte) { r.read(chunk) }
