package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/testenv"
)

// short are timeouts for tests that wait for its end.
const short = time.Second

var impatient = timeouts{short, short, short, short}

var errStalls = errors.New("the client stalls")

// A stalling connection sends so many bytes, and no more.
type stalling struct {
	net.Conn
	left int
	sent int
}

func (s *stalling) Write(b []byte) (int, error) {
	n, err := s.Conn.Write(b[:min(len(b), s.left)])
	s.left -= n
	s.sent += n
	if err == nil && n < len(b) {
		err = errStalls
	}
	return n, err
}

// A talk is what a client says at the begin of a connection. It returns what
// writing or reading has.
type talk func(c net.Conn) error

func says(text string) talk {
	return func(c net.Conn) error {
		_, err := io.WriteString(c, text)
		return err
	}
}

func handshakes(cfg *tls.Config, version uint16) talk {
	cfg = cfg.Clone()
	cfg.MinVersion, cfg.MaxVersion = version, version
	return func(c net.Conn) error { return tls.Client(c, cfg).Handshake() }
}

// recorded is what a client says when nobody answers.
func recorded(t *testing.T, say talk) string {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	said := make(chan string, 1)
	go func() {
		defer b.Close()
		buf := make([]byte, 64<<10)
		n, _ := b.Read(buf)
		said <- string(buf[:n])
	}()
	if err := say(a); err == nil {
		t.Fatal("nobody answered, and that was no error")
	}
	return <-said
}

// inPieces puts each byte of a TLS record into a record of its own.
func inPieces(record string) string {
	var b strings.Builder
	for _, c := range []byte(record[5:]) {
		b.WriteString(record[:3] + "\x00\x01" + string([]byte{c}))
	}
	return b.String()
}

// stallsAt has a client stop after n bytes. Its connection has to end when its
// time is over, and not before.
func stallsAt(s *service, say talk, n int) error {
	begin := time.Now()
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(begin.Add(2 * testenv.Limit))
	c := &stalling{Conn: conn, left: n}
	if say(c) == nil {
		return fmt.Errorf("did not stop after %d bytes", n)
	} // else it stalls, or waits for an answer until its time is over
	_, err = io.Copy(io.Discard, struct{ io.Reader }{conn})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("stopped after %d bytes and is still there", n)
	}
	if took := time.Since(begin); took < short {
		return fmt.Errorf("stopped after %d bytes and was ended after %v, want %v", n, took, short)
	}
	return nil
}

// TestStall has clients stop at every byte of what they say first. Each ends when
// its time is over, all of it is given back, and it is counted; meanwhile others
// are served.
func TestStall(t *testing.T) {
	testenv.CheckLeaks(t)
	testenv.NeedDescriptors(t, 8000)
	people := newCast(t)
	hello := recorded(t, handshakes(people.outside, tls.VersionTLS13))
	routes := new(edge.Routes[edge.Service])
	routes.Add("sni", "none.example.com", edge.Service{})
	get := "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n"
	chunk := "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5;x=\"y\"\r\n"
	for _, tt := range []struct {
		name        string
		edge        *edge.Ends
		say         talk
		first, last int // bytes to stop after
		step        int
		why         dispatch.Refusal
	}{
		{"PROXY header of version 1", fromLoopback, says(line), 0, len(line) - 1, 1, dispatch.BadHeader},
		{"PROXY header of version 2", fromLoopback, says(block(told)), 0, len(block(told)) - 1, 1, dispatch.BadHeader},
		{"hello", &edge.Ends{Routes: routes}, says(hello), 0, len(hello) - 1, 1, dispatch.BadHello},
		{"hello in pieces", &edge.Ends{Routes: routes}, says(inPieces(hello)), 0, 6*(len(hello)-5) - 1, 7, dispatch.BadHello},
		{"hello after a header", &edge.Ends{Proxies: fromLoopback.Proxies, Routes: routes}, says(line + hello), len(line), len(line+hello) - 1, 5, dispatch.BadHello},
		{"handshake after a header", &edge.Ends{Proxies: fromLoopback.Proxies, TLS: people.server}, says(line + hello), len(line), len(line+hello) - 1, 5, dispatch.BadHello},
		{"handshake of TLS 1.2", &edge.Ends{TLS: people.server}, handshakes(people.outside, tls.VersionTLS12), 0, 0, 3, dispatch.BadHello},
		{"handshake of TLS 1.3", &edge.Ends{TLS: people.server}, handshakes(people.outside, tls.VersionTLS13), 0, 0, 3, dispatch.BadHello},
		{"head", &edge.Ends{HTTP: &edge.HTTP{}}, says(get + "\r\n"), 1, len(get) + 1, 1, dispatch.BadRequest},
		{"second head", &edge.Ends{HTTP: &edge.HTTP{}}, says(get + "\r\n" + get + "\r\n"), len(get) + 3, 2*len(get) + 3, 1, dispatch.BadRequest},
		{"chunk", &edge.Ends{HTTP: &edge.HTTP{}}, says(chunk), len(chunk) - 8, len(chunk) - 1, 1, dispatch.BadRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, testenv.Loopback, tt.edge, impatient, config(edge.Preamble{}, testenv.Echo(t)))
			if tt.last == 0 {
				tt.last = whole(t, s, tt.say) - 1
			}
			n := uint64(0)
			var all sync.WaitGroup
			for at := tt.first; at <= tt.last; at += tt.step {
				n++
				all.Go(func() {
					if err := stallsAt(s, tt.say, at); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			s.flows(t, 0)
			s.refused(t, tt.why, n)
		})
	}
}

// whole returns how many bytes a client says that does not stall.
func whole(t *testing.T, s *service, say talk) int {
	t.Helper()
	c := testenv.Dial(t, s.Addr())
	counting := &stalling{Conn: c, left: 1 << 20}
	if err := say(counting); err != nil {
		t.Fatal(err)
	}
	c.Close()
	s.flows(t, 0)
	return counting.sent
}

// A deadline is not put off by who sends on slowly.
func TestTrickle(t *testing.T) {
	testenv.CheckLeaks(t)
	people := newCast(t)
	long := told
	long.Authority = string(make([]byte, 3000))
	hello := recorded(t, handshakes(people.outside, tls.VersionTLS13))
	routes := new(edge.Routes[edge.Service])
	routes.Add("sni", "none.example.com", edge.Service{})
	for name, tt := range map[string]struct {
		edge *edge.Ends
		text string
		why  dispatch.Refusal
	}{
		"header":    {fromLoopback, block(long), dispatch.BadHeader},
		"hello":     {&edge.Ends{Routes: routes}, inPieces(hello), dispatch.BadHello},
		"handshake": {&edge.Ends{TLS: people.server}, inPieces(hello), dispatch.BadHello},
		"head":      {&edge.Ends{HTTP: &edge.HTTP{}}, "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 3000), dispatch.BadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, testenv.Loopback, tt.edge, impatient, config(edge.Preamble{}, testenv.Sink(t)))
			c := testenv.Dial(t, s.Addr())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				io.Copy(io.Discard, struct{ io.Reader }{c})
			}()
			beat := time.NewTicker(100 * time.Millisecond)
			defer beat.Stop()
			for i := range tt.text { // takes minutes
				select {
				case <-beat.C:
					io.WriteString(c, tt.text[i:i+1])
					continue
				case <-ended:
				}
				break
			}
			<-ended
			s.refused(t, tt.why, 1)
			s.flows(t, 0)
		})
	}
}

// Nothing is left of the deadlines of the begin: a connection that is older than
// they last is still there.
func TestNoDeadlineIsLeft(t *testing.T) {
	testenv.CheckLeaks(t)
	people := newCast(t)
	routes := new(edge.Routes[edge.Service])
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	cfg := config(edge.Preamble{Header: 2, TLS: people.client}, ln.AddrPort())
	cfg.ConnectTimeout = short
	s := serve(t, testenv.Loopback, &edge.Ends{Proxies: fromLoopback.Proxies, Routes: routes, TLS: people.server, HTTP: &edge.HTTP{}}, impatient, cfg)
	conn := s.dial(t, line)
	c := tls.Client(conn, people.outside)
	server := make(chan net.Conn, 1)
	go func() {
		accepted := ln.Next(t)
		wantHeader(t, accepted)
		server <- tls.Server(accepted, people.inside)
	}()
	const head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	for _, piece := range []string{head[:5], head[5:]} {
		if _, err := io.WriteString(c, piece); err != nil {
			t.Fatal(err)
		}
	}
	other := <-server
	const seen = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n\r\n"
	want(t, other, seen)
	if err := stallsAt(s, says(line), len(line)-1); err != nil { // takes as long as all deadlines do
		t.Fatal(err)
	}
	for range 2 {
		pass(t, other, c, "answer")
		if _, err := io.WriteString(c, head); err != nil {
			t.Fatal(err)
		}
		want(t, other, seen)
	}
}

// Handshakes that stall keep out nobody, and those who are in go on, also where
// no more than one connection may be under way to servers.
func TestStalledHandshakesKeepNobodyOut(t *testing.T) {
	testenv.CheckLeaks(t)
	const n = 200
	people := newCast(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cfg := config(edge.Preamble{}, testenv.Echo(t))
	cfg.PendingMax = 1
	s := serve(t, testenv.Loopback, &edge.Ends{TLS: people.server}, endless, cfg)
	early := people.dial(t, s)
	pass(t, early, early, "early")
	var stalls sync.WaitGroup
	for i := range n {
		c := testenv.Dial(t, s.Addr())
		stalls.Go(func() {
			// Half of them stop within the hello, the others before they finish.
			tls.Client(&stalling{Conn: c, left: 100 + i%2*400}, people.outside).HandshakeContext(ctx)
		})
	}
	s.flows(t, n+1)
	for range 5 {
		late := people.dial(t, s)
		pass(t, late, late, "late")
		pass(t, early, early, strings.Repeat("x", 100<<10))
	}
	s.stop()
	stalls.Wait()
}
