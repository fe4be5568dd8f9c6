package stream

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/testenv"
)

// An end is one side of a connection through a service, with or without TLS.
type end struct {
	io.ReadWriter
	under *noting
	tls   *tls.Conn // or nil
}

// A noting connection notes that it has ended.
type noting struct {
	testenv.Conn
	ended bool
}

func (n *noting) Read(b []byte) (int, error) {
	m, err := n.Conn.Read(b)
	n.ended = n.ended || err == io.EOF
	return m, err
}

func newEnd(c testenv.Conn, secure func(*noting) *tls.Conn) end {
	n := &noting{Conn: c}
	if secure == nil {
		return end{ReadWriter: n, under: n}
	}
	t := secure(n)
	return end{t, n, t}
}

// closeWrite says that no more will be sent, as is proper.
func (e end) closeWrite(t *testing.T) {
	t.Helper()
	if e.tls != nil {
		if err := e.tls.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	testenv.CloseWrite(t, e.under.Conn)
}

// wantEnd reads a text and then a proper end.
func (e end) wantEnd(t *testing.T, text string) {
	t.Helper()
	got, err := io.ReadAll(e)
	if string(got) != text || err != nil || e.tls != nil && e.under.ended {
		t.Fatalf("read %.200q, then %v (without a word: %v), want %.200q and an orderly end", got, err, e.under.ended, text)
	}
}

// wantReset reads a text and then a reset.
func (e end) wantReset(t *testing.T, text string) {
	t.Helper()
	if got, err := io.ReadAll(e); string(got) != text || !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("read %.200q, then %v, want %.200q and a reset", got, err, text)
	}
}

// pair makes a connection through a service.
func (p *cast) pair(t *testing.T, clientTLS, serverTLS bool) (client, server end) {
	t.Helper()
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	e, preamble := &edge.Ends{}, edge.Preamble{}
	var secureClient, secureServer func(*noting) *tls.Conn
	if clientTLS {
		e.TLS, secureClient = p.server, func(n *noting) *tls.Conn { return tls.Client(n, p.outside) }
	}
	if serverTLS {
		preamble.TLS, secureServer = p.client, func(n *noting) *tls.Conn { return tls.Server(n, p.inside) }
	}
	s := serve(t, testenv.Loopback, e, endless, config(preamble, ln.AddrPort()))
	client = newEnd(s.dial(t, ""), secureClient)
	begun := make(chan error, 1)
	go func() {
		_, err := io.WriteString(client, "hello")
		begun <- err
	}()
	server = newEnd(ln.Next(t), secureServer)
	want(t, server, "hello")
	if err := <-begun; err != nil {
		t.Fatal(err)
	}
	pass(t, server, client, "welcome")
	return client, server
}

// TestSecureEnds has each side end what it sends: that alone ends, and properly
// on the other side. Where a server's TLS misses its last word (close_notify)
// somebody may have cut the stream, and the client must see that too. A client's
// end is one in any case, and its server's answer is delivered.
func TestSecureEnds(t *testing.T) {
	people := newCast(t)
	for i := range 8 {
		clientTLS, serverTLS, fromClient := i&1 != 0, i&2 != 0, i&4 != 0
		t.Run(fmt.Sprintf("client %v, server %v, client first %v", clientTLS, serverTLS, fromClient), func(t *testing.T) {
			testenv.CheckLeaks(t)
			ends := func() (first, second end) {
				first, second = people.pair(t, clientTLS, serverTLS)
				if !fromClient {
					first, second = second, first
				}
				return first, second
			}
			first, second := ends()
			pass(t, first, second, "last words")
			first.closeWrite(t)
			second.wantEnd(t, "")
			pass(t, second, first, "an answer")
			second.closeWrite(t)
			first.wantEnd(t, "")

			first, second = ends()
			if _, err := io.WriteString(first, "cut he"); err != nil {
				t.Fatal(err)
			}
			switch {
			case first.tls != nil && fromClient:
				testenv.CloseWrite(t, first.under.Conn)
				second.wantEnd(t, "cut he")
				answer := strings.Repeat("x", 1_000_000)
				answered := make(chan error, 1)
				go func() {
					_, err := io.WriteString(second, answer)
					if second.tls != nil {
						err = errors.Join(err, second.tls.CloseWrite())
					}
					answered <- errors.Join(err, second.under.CloseWrite())
				}()
				first.wantEnd(t, answer)
				if err := <-answered; err != nil {
					t.Error(err)
				}
				return
			case first.tls != nil:
				testenv.CloseWrite(t, first.under.Conn)
			default:
				want(t, second, "cut he")
				testenv.Reset(t, first.under.Conn)
				second.wantReset(t, "")
				return
			}
			second.wantReset(t, "cut he")
			first.wantReset(t, "")
		})
	}
}

// TestServerBreaks has servers end TLS before a byte, each in its preamble: all are
// signs of ill health, as they are without TLS.
func TestServerBreaks(t *testing.T) {
	people := newCast(t)
	demands := people.inside.Clone() // a certificate; that there is none it tells when the client thinks that all is done
	demands.ClientAuth = tls.RequireAnyClientCert
	for name, breaks := range map[string]func(testenv.Conn){
		"in order": func(c testenv.Conn) {
			s := tls.Server(c, people.inside)
			s.Handshake()
			s.CloseWrite()
		},
		"without a word": func(c testenv.Conn) { tls.Server(c, people.inside).Handshake() },
		"with an alert":  func(c testenv.Conn) { tls.Server(c, demands).Handshake() },
		"with a reset": func(c testenv.Conn) {
			tls.Server(c, people.inside).Handshake()
			testenv.Reset(t, c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			testenv.CheckLeaks(t)
			cfg := config(edge.Preamble{TLS: people.client}, testenv.Serve(t, breaks))
			cfg.EarlyEnd = time.Hour
			s := serve(t, testenv.Loopback, &edge.Ends{}, endless, cfg)
			if c, err := net.Dial("tcp", s.Addr().String()); err == nil { // it may be reset at once
				io.Copy(io.Discard, testenv.Own(t, c))
				c.Close()
			}
			testenv.Eventually(t, "the early end is counted", func() bool { return s.d.Status().Events[dispatch.EarlyEnd] == 1 })
		})
	}
}

// A server that does not speak TLS as it should is left for the next one.
func TestServerWithoutTLS(t *testing.T) {
	people := newCast(t)
	good := testenv.Serve(t, func(c testenv.Conn) {
		s := tls.Server(c, people.inside)
		io.WriteString(s, "good")
		io.Copy(io.Discard, s) // else the client is reset, since it has got no close_notify
	})
	talks := func(text string) netip.AddrPort {
		return testenv.Serve(t, func(c testenv.Conn) {
			io.WriteString(c, text)
			io.Copy(io.Discard, struct{ io.Reader }{c})
		})
	}
	other := newCast(t)
	for name, bad := range map[string]netip.AddrPort{
		"talks":     talks("220 ready\r\n"),
		"lies":      talks("\x16\x03\x03\x00\x04\x0e\x00\x00\x00good"), // a message of the handshake, but not the first
		"says data": talks("\x17\x03\x03\x00\x04good"),
		"ends":      testenv.Source(t, ""),
		"stalls":    testenv.Sink(t),
		"stranger":  testenv.Serve(t, func(c testenv.Conn) { tls.Server(c, other.inside).Handshake() }),
	} {
		t.Run(name, func(t *testing.T) {
			testenv.CheckLeaks(t)
			cfg := config(edge.Preamble{TLS: people.client}, bad, good)
			if name == "stalls" {
				cfg.ConnectTimeout = time.Second
			}
			s := serve(t, testenv.Loopback, &edge.Ends{}, endless, cfg)
			for range 2 {
				testenv.WantBytes(t, s.dial(t, ""), "good")
			}
			if servers := s.d.Servers(); !servers[0].Failed || servers[1].Failed {
				t.Errorf("failed: %v and %v, want the first one only", servers[0].Failed, servers[1].Failed)
			}
		})
	}
}

// TestKill ends connections whatever they are doing: both sides get a reset, and
// nobody is blamed.
func TestKill(t *testing.T) {
	people := newCast(t)
	hello := recorded(t, handshakes(people.outside, tls.VersionTLS13))
	routes := new(edge.Routes[edge.Service])
	const upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
	for name, tt := range map[string]struct {
		edge     *edge.Ends
		preamble edge.Preamble
		text     string
	}{
		"header":         {edge: fromLoopback, text: line[:20]},
		"hello":          {edge: &edge.Ends{Routes: routes}, text: hello[:20]},
		"handshake":      {edge: &edge.Ends{TLS: people.server}, text: hello[:20]},
		"late handshake": {edge: &edge.Ends{TLS: people.server}, text: hello},
		"server":         {edge: &edge.Ends{}, preamble: edge.Preamble{Header: 2, TLS: people.client}},
		"nothing said":   {edge: &edge.Ends{HTTP: &edge.HTTP{}}},
		"head":           {edge: &edge.Ends{HTTP: &edge.HTTP{}}, text: upgrade[:20]},
		"body":           {edge: &edge.Ends{HTTP: &edge.HTTP{}}, text: "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello"},
		"answer awaited": {edge: &edge.Ends{HTTP: &edge.HTTP{}}, text: upgrade},
	} {
		t.Run(name, func(t *testing.T) {
			testenv.CheckLeaks(t)
			s := serve(t, testenv.Loopback, tt.edge, endless, config(tt.preamble, testenv.Sink(t)))
			c := s.dial(t, tt.text)
			ids := s.flows(t, 1)
			if name == "late handshake" { // the service has said its part
				if _, err := io.ReadFull(c, make([]byte, 100)); err != nil {
					t.Fatal(err)
				}
			}
			if !s.d.Kill(ids[0]) {
				t.Errorf("there is no flow %d", ids[0])
			}
			if _, err := io.Copy(io.Discard, struct{ io.Reader }{c}); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the client sees %v, want a reset", err)
			}
			s.flows(t, 0)
			s.refused(t, dispatch.BadHeader, 0)
			if s.d.Servers()[0].Failed {
				t.Error("the server is blamed")
			}
		})
	}
}

// A client's silence is known, and that it is gone.
func TestSilence(t *testing.T) {
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	c := testenv.Dial(t, ln.Addr())
	server := ln.Next(t).(conn)
	testenv.Write(t, c, "x")
	testenv.WantBytes(t, server.(testenv.Conn), "x")
	testenv.Eventually(t, "it has been silent for a while", func() bool {
		silent, gone := silence(server)
		return silent > 20*time.Millisecond && !gone
	})
	testenv.CloseWrite(t, c)
	testenv.Eventually(t, "it is gone", func() bool {
		_, gone := silence(server)
		return gone
	})
}
