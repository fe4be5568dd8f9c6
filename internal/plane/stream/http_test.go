package stream

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/testenv"
)

// describe is what the server of these tests answers to a request: what it is,
// who it is from, and its body.
func describe(method, client, proto string, body []byte) string {
	return fmt.Sprintf("%s from %s by %s: %d bytes, %x", method, client, proto, len(body), sha256.Sum256(body))
}

// web serves HTTP, perhaps in TLS.
func (p *cast) web(t *testing.T, secure bool) netip.AddrPort {
	t.Helper()
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	addr := ln.AddrPort()
	var accepted net.Listener = ln
	if secure {
		accepted = tls.NewListener(ln, p.inside)
	}
	s := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, describe(r.Method, r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Proto"), body))
	})}
	over := make(chan struct{})
	go func() {
		defer close(over)
		s.Serve(accepted)
	}()
	t.Cleanup(func() {
		s.Close()
		<-over
	})
	return addr
}

// A script is requests on one connection, and what is answered to them.
type script struct {
	bytes.Buffer
	answers []string
}

// requests makes one without a body, and two with one of that size, the second
// of which comes in chunks.
func (s *script) requests(client, proto string, size int) {
	body := make([]byte, size)
	for i := range body {
		body[i] = byte(rand.Uint32())
	}
	s.WriteString("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.1\r\n\r\n")
	s.answers = append(s.answers, describe("GET", client, proto, nil))
	fmt.Fprintf(s, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", size, body)
	s.answers = append(s.answers, describe("PUT", client, proto, body))
	s.WriteString("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
	for rest := body; len(rest) > 0; {
		n := min(len(rest), 1+rand.IntN(len(body)))
		fmt.Fprintf(s, "%x;x=y\r\n%s\r\n", n, rest[:n])
		rest = rest[n:]
	}
	s.WriteString("0\r\n\r\n")
	s.answers = append(s.answers, describe("POST", client, proto, body))
}

// play sends a script in pieces, ends what it sends, and wants the answers and an
// orderly end.
func (s *script) play(t *testing.T, c end, piece int) {
	t.Helper()
	sent := make(chan error, 1)
	go func() {
		text := s.Bytes()
		for len(text) > 0 {
			n := min(piece, len(text))
			if _, err := c.Write(text[:n]); err != nil {
				sent <- err
				return
			}
			text = text[n:]
		}
		sent <- nil
	}()
	r := bufio.NewReader(c)
	for i, want := range s.answers {
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		got, err := io.ReadAll(answer.Body)
		if string(got) != want || err != nil {
			t.Fatalf("answer %d: %q, %v, want %q", i, got, err, want)
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	c.closeWrite(t)
	if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil {
		t.Errorf("then %q, %v", rest, err)
	}
}

// TestHTTP has requests with bodies of all kinds go through all kinds of
// connections, in pieces of any size, with and without what else there is.
func TestHTTP(t *testing.T) {
	people := newCast(t)
	for i := range 4 {
		secure, secureServer := i&1 != 0, i&2 != 0
		e, way := &Edge{HTTP: &HTTP{}}, edge.Way{}
		proto := "http"
		var ends func(*noting) *tls.Conn
		if secure {
			e.TLS, proto = people.server, "https"
			ends = func(n *noting) *tls.Conn { return tls.Client(n, people.outside) }
		}
		if secureServer {
			way.TLS = people.client
		}
		for name, tt := range map[string]struct {
			size, piece int
			set         func(*dispatch.Config)
		}{
			"bulk":      {2 << 20, 1 << 20, nil},
			"bytes":     {100, 1, nil},
			"bandwidth": {100 << 10, 1 << 20, func(c *dispatch.Config) { c.Limits.ConnBandwidth = 1 << 20 }},
			"slow":      {1 << 10, 7, func(c *dispatch.Config) { c.Limits.ConnBandwidth, c.Limits.Bandwidth = 64<<10, 64<<10 }},
		} {
			t.Run(fmt.Sprintf("%s, TLS %v and %v", name, secure, secureServer), func(t *testing.T) {
				testenv.CheckLeaks(t)
				cfg := config(way, people.web(t, secureServer))
				var mu sync.Mutex
				var fromClient bytes.Buffer
				if tt.size < 1<<20 {
					cfg.Log = func(_ netip.Addr, _ string, chunk []byte) {
						mu.Lock()
						defer mu.Unlock()
						fromClient.Write(chunk)
					}
				}
				if tt.set != nil {
					tt.set(&cfg)
				}
				s := serve(t, testenv.Loopback, e, endless, cfg)
				play := new(script)
				for range 2 {
					play.requests("127.0.0.1", proto, tt.size)
				}
				play.play(t, newEnd(s.dial(t, ""), ends), tt.piece)
				s.flows(t, 0)
				if cfg.Log != nil && !bytes.Equal(fromClient.Bytes(), play.Bytes()) {
					t.Errorf("logged %d bytes, not the %d that were sent", fromClient.Len(), play.Len())
				}
			})
		}
	}
}

// The word that a client gets last is not overtaken by a reset, which is what
// follows when a connection is closed with bytes unread.
func TestLastWordIsNotOvertaken(t *testing.T) {
	testenv.CheckLeaks(t)
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	s := serve(t, testenv.Loopback, &Edge{HTTP: &HTTP{}}, impatient, config(edge.Way{}, ln.AddrPort()))
	rest := strings.Repeat("x", 200<<10)
	bad := s.dial(t, "GET  / HTTP/1.1\r\n"+rest)
	ln.Next(t)
	refused := s.dial(t, upgrade+"Upgrade: x\r\nConnection: upgrade\r\n\r\n"+rest)
	server := ln.Next(t)
	testenv.Write(t, server, answer)
	testenv.CloseWrite(t, server)
	s.flows(t, 0)
	for c, want := range map[testenv.Conn]int{bad: len(refusal), refused: len(answer)} {
		testenv.WantEnd(t, c, int64(want))
		if err := testenv.Error(t, c); err != nil {
			t.Errorf("after %d bytes and the end: %v", want, err)
		}
	}
}

// plain makes connections of HTTP to a server that the test plays.
func plain(t *testing.T) (s *service, ln *testenv.Listener) {
	t.Helper()
	testenv.CheckLeaks(t)
	ln = testenv.Listen(t, "tcp", testenv.Loopback)
	return serve(t, testenv.Loopback, &Edge{HTTP: &HTTP{}}, endless, config(edge.Way{}, ln.AddrPort())), ln
}

const (
	refusal = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
	about   = "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n\r\n"
	answer  = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
)

// A server may answer before it has the body, and end, and still gets the body.
func TestAnswerBeforeTheBody(t *testing.T) {
	s, ln := plain(t)
	const size = 8 << 20
	head := fmt.Sprintf("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n", size)
	c := s.dial(t, head+"\r\n")
	server := ln.Next(t)
	testenv.WantBytes(t, server, head+about)
	testenv.Write(t, server, answer)
	testenv.CloseWrite(t, server)
	testenv.WantBytes(t, c, answer)
	testenv.WantEnd(t, c, 0)
	written := make(chan error, 1)
	go func() {
		_, err := c.Write(make([]byte, size))
		c.CloseWrite()
		written <- err
	}()
	testenv.WantEnd(t, server, size)
	if err := <-written; err != nil {
		t.Error(err)
	}
}

const upgrade = "GET / HTTP/1.1\r\nHost: a\r\n"

// What follows a request to leave HTTP passes when the server agrees, and nothing
// does otherwise; then all ends in order.
func TestUpgrade(t *testing.T) {
	const asks = "Upgrade: x\r\nConnection: upgrade\r\n"
	for _, early := range []string{"", "early\x00\r\n", strings.Repeat("x", 200<<10)} {
		s, ln := plain(t)
		begin := func() (c, server testenv.Conn) {
			t.Helper()
			c = s.dial(t, upgrade+asks+"\r\n")
			server = ln.Next(t)
			testenv.WantBytes(t, server, upgrade+asks+about)
			testenv.Write(t, c, early)
			return c, server
		}
		c, server := begin()
		const agreed = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
		pass(t, server, c, agreed[:3])
		pass(t, server, c, agreed[3:])
		testenv.WantBytes(t, server, early)
		pass(t, server, c, "\x00\xff")
		pass(t, c, server, "GET / HTTP/9\n")
		testenv.CloseWrite(t, c)
		testenv.WantEnd(t, server, 0)
		pass(t, server, c, "bye")
		testenv.CloseWrite(t, server)
		testenv.WantEnd(t, c, 0)

		c, server = begin()
		pass(t, server, c, answer)
		testenv.WantEnd(t, server, 0)
		testenv.CloseWrite(t, server)
		testenv.WantEnd(t, c, 0)
		c.Close()

		c, server = begin()
		server.Close()
		testenv.WantClosed(t, c)
	}
}

// A bad request is answered where nothing was handed on before, and the client
// gets that however much it sends. Later ones end all with a reset.
func TestBadRequest(t *testing.T) {
	for _, rest := range []string{"", "\r\n\r\n", strings.Repeat("x", 200<<10)} {
		s, ln := plain(t)
		c := s.dial(t, "GET  / HTTP/1.1"+rest)
		server := ln.Next(t)
		testenv.WantBytes(t, c, refusal)
		testenv.WantEnd(t, c, 0)
		testenv.WantEnd(t, server, 0)
		c.Close()
		s.refused(t, dispatch.BadRequest, 1)

		c = s.dial(t, upgrade+"\r\n")
		server = ln.Next(t)
		testenv.WantBytes(t, server, upgrade+about)
		testenv.Write(t, c, "\n"+rest)
		testenv.WantReset(t, c, 0)
		testenv.WantReset(t, server, 0)
		s.refused(t, dispatch.BadRequest, 2)
		s.flows(t, 0)
	}
}
