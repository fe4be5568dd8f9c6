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
	"runtime"
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
		e, preamble := &edge.Ends{HTTP: &edge.HTTP{}}, edge.Preamble{}
		proto := "http"
		var ends func(*noting) *tls.Conn
		if secure {
			e.TLS, proto = people.server, "https"
			ends = func(n *noting) *tls.Conn { return tls.Client(n, people.outside) }
		}
		if secureServer {
			preamble.TLS = people.client
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
				cfg := config(preamble, people.web(t, secureServer))
				var mu sync.Mutex
				var fromClient bytes.Buffer
				if tt.size < 1<<20 {
					cfg.Watch = dispatch.WatchClients
					cfg.Observer = reader{read: func(chunk []byte) {
						mu.Lock()
						defer mu.Unlock()
						fromClient.Write(chunk)
					}}
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
				if cfg.Watch != 0 && !bytes.Equal(fromClient.Bytes(), play.Bytes()) {
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
	s := serve(t, testenv.Loopback, &edge.Ends{HTTP: &edge.HTTP{}}, impatient, config(edge.Preamble{}, ln.AddrPort()))
	rest := strings.Repeat("x", 200<<10)
	bad := s.dial(t, "GET  / HTTP/1.1\r\n"+rest)
	ln.Next(t)
	refused := s.dial(t, upgrade+"Upgrade: x\r\nConnection: upgrade\r\n\r\n"+rest)
	server := ln.Next(t)
	// Behind this one nothing is owed, not even why the rest is no request.
	last := strings.Replace(answer, "\r\n", "\r\nConnection: close\r\n", 1)
	testenv.Write(t, server, last)
	testenv.CloseWrite(t, server)
	s.flows(t, 0)
	for c, want := range map[testenv.Conn]int{bad: len(refusal), refused: len(last)} {
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
	return serve(t, testenv.Loopback, &edge.Ends{HTTP: &edge.HTTP{}}, endless, config(edge.Preamble{}, ln.AddrPort())), ln
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

// What follows a request to leave HTTP passes when the server agrees; otherwise it
// is HTTP, which goes on.
func TestUpgrade(t *testing.T) {
	const asks = "Upgrade: x\r\nConnection: upgrade\r\n"
	for _, early := range []string{"", "early\x00\r\n", strings.Repeat("\x00", 200<<10)} {
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
		pass(t, server, c, switches[:3])
		pass(t, server, c, switches[3:])
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
		if early == "" {
			testenv.Write(t, c, "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
			testenv.WantBytes(t, server, "GET /2 HTTP/1.1\r\nHost: a\r\n"+about)
			testenv.CloseWrite(t, server)
		} else {
			testenv.WantBytes(t, c, refusal)
		}
		testenv.WantEnd(t, c, 0)
		c.Close()

		c, server = begin()
		server.Close()
		testenv.WantClosed(t, c)
	}
}

const switches = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"

// interim is an answer that is not the last word.
func interim(status int) string { return fmt.Sprintf("HTTP/1.1 %d Wait\r\nLink: </a>\r\n\r\n", status) }

// A request to leave HTTP waits for the answers to all before it, and the one
// behind these is to it, however many interim ones it has.
func TestLaterUpgrade(t *testing.T) {
	const asks = upgrade + "Connection: keep-alive, Upgrade\r\nUpgrade: x\r\n"
	for _, before := range []int{1, 2, 70} {
		for _, way := range []string{"", interim(103), interim(100) + interim(102) + interim(103)} {
			s, ln := plain(t)
			c := s.dial(t, strings.Repeat(upgrade+"\r\n", before)+asks+"\r\nearly")
			server := ln.Next(t)
			for range before {
				testenv.WantBytes(t, server, upgrade+about)
				pass(t, server, c, interim(103)+"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\nHTTP/1.1 101 Switching")
				pass(t, server, c, " Protocols\r\n\r\n....")
			}
			testenv.WantBytes(t, server, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: keep-alive, Upgrade\r\n"+about)
			pass(t, server, c, way+switches)
			testenv.WantBytes(t, server, "early")
			pass(t, c, server, "GET /\n")
			pass(t, server, c, "\x00\n")
			testenv.CloseWrite(t, c)
			testenv.WantEnd(t, server, 0)
			testenv.CloseWrite(t, server)
			testenv.WantEnd(t, c, 0)
		}
	}
}

// Where it can't be known which answer is to which request, a request that is
// not the first loses its Upgrade, and the server can't switch unasked.
func TestUpgradeBehindOddAnswers(t *testing.T) {
	const asks = upgrade + "Connection: Upgrade\r\nUpgrade: x\r\n\r\n"
	for name, odd := range map[string]string{
		"to the end":  "HTTP/1.1 200 OK\r\n\r\n",
		"two lengths": "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
		"both":        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"two answers": "HTTP/1.1 204 No Content\r\n\r\n" + switches,
		"LF":          "HTTP/1.1 204 No Content\n\n",
		"unasked":     switches,
		"no HTTP":     "220 smtp\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s, ln := plain(t)
			c := s.dial(t, upgrade+"\r\n")
			server := ln.Next(t)
			testenv.WantBytes(t, server, upgrade+about)
			pass(t, server, c, odd)
			testenv.Write(t, c, asks+"GET /b HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: b\r\n\r\n")
			testenv.WantBytes(t, server, upgrade+about+"GET /b HTTP/1.1\r\nHost: a\r\n"+about)
			pass(t, server, c, switches)
			testenv.Write(t, c, upgrade+"\r\n")
			testenv.WantBytes(t, server, upgrade+about)
			c.Close()
			server.Close()
		})
	}
}

// A client that is gone while its Upgrade waits for an answer keeps nothing.
func TestGoneWhileItUpgrades(t *testing.T) {
	testenv.CheckLeaks(t)
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	s := serve(t, testenv.Loopback, &edge.Ends{HTTP: &edge.HTTP{}}, impatient, config(edge.Preamble{}, ln.AddrPort()))
	for _, rest := range []string{"", "frame"} {
		for _, reset := range []bool{false, true} {
			for _, before := range []string{"", upgrade + "\r\n"} {
				c := s.dial(t, before+upgrade+"Connection: Upgrade\r\nUpgrade: x\r\n\r\n"+rest)
				server := ln.Next(t)
				testenv.WantBytes(t, server, "GET / HTTP/1.1\r\n")
				if reset {
					testenv.Reset(t, c)
				} else {
					c.Close()
				}
				if !reset && before != "" { // the server is told the end, as without Upgrade
					io.Copy(io.Discard, server)
					server.Close()
				}
				s.flows(t, 0)
			}
		}
	}
}

// A client that sends no more gets the answer to the Upgrade that it has sent,
// if it comes soon.
func TestUpgradeAndNoMore(t *testing.T) {
	s, ln := plain(t)
	for _, early := range []string{"", "early"} {
		c := s.dial(t, upgrade+"Connection: Upgrade\r\nUpgrade: x\r\n\r\n"+early)
		testenv.CloseWrite(t, c)
		server := ln.Next(t)
		testenv.WantBytes(t, server, upgrade+"Upgrade: x\r\nConnection: Upgrade\r\n"+about)
		pass(t, server, c, switches)
		testenv.WantBytes(t, server, early)
		testenv.WantEnd(t, server, 0)
		pass(t, server, c, "bye")
		testenv.CloseWrite(t, server)
		testenv.WantEnd(t, c, 0)
	}
}

// What comes behind the last request, or is none, costs no answer that is owed:
// these come whole, then perhaps why, and then the end.
func TestOwedAnswers(t *testing.T) {
	const (
		get   = "GET / HTTP/1.1\r\nHost: a\r\n"
		post  = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nq=42"
		old   = "POST / HTTP/1.0\r\nContent-Length: 4\r\n\r\nq=42"
		tries = "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
	)
	large := strings.Repeat("x", 3<<20)
	bulk := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(large), large)
	chunks := fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n3;x\r\nabc\r\n0\r\nX: y\r\n\r\n", len(large), large)
	for name, tt := range map[string]struct {
		sent string
		owed int
		last string
	}{
		"close, then LF":             {get + "Connection: close\r\n\r\n\n", 1, ""},
		"close, then a request":      {get + "Connection: close\r\n\r\n" + get + "\r\n", 1, ""},
		"close, then garbage":        {get + "Connection: close\r\n\r\ngarbage\r\n" + large, 1, ""},
		"HTTP/1.0, then LF":          {old + "\n", 1, ""},
		"body, then LF":              {post + "\n", 1, refusal},
		"body, then CRLF and LF":     {post + "\r\n\n", 1, refusal},
		"no host":                    {get + "\r\nGET /b HTTP/1.1\r\n\r\n", 1, refusal},
		"several, then garbage":      {get + "\r\n" + post + get + "\r\n" + "\x00" + large, 3, refusal},
		"several, then the last":     {get + "\r\n" + post + get + "Connection: close\r\n\r\n" + large, 3, ""},
		"CONNECT":                    {get + "\r\nCONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n" + get + "\r\n", 1, tries},
		"more than wait at a time":   {strings.Repeat(get+"\r\n", 200) + "\n", 200, refusal},
		"a body that is none, first": {post + "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx", 1, refusal},
	} {
		for kind, a := range map[string]string{"short": answer, "bulk": bulk, "chunks": chunks, "103": interim(103) + answer} {
			if tt.owed > 5 && a != answer {
				continue
			}
			t.Run(name+", "+kind, func(t *testing.T) {
				s, ln := plain(t)
				c := s.dial(t, "")
				written := make(chan struct{})
				go func() {
					defer close(written)
					io.WriteString(c, tt.sent)
				}()
				server := ln.Next(t)
				requests := bufio.NewReader(server)
				for range tt.owed {
					r, err := http.ReadRequest(requests)
					if err != nil {
						t.Fatal(err)
					}
					io.Copy(io.Discard, r.Body)
					go io.WriteString(server, a)
					want(t, c, a)
				}
				testenv.WantBytes(t, c, tt.last)
				testenv.WantEnd(t, c, 0)
				<-written
				if err := testenv.Error(t, c); err != nil {
					t.Errorf("then %v", err)
				}
				c.Close()
				server.Close()
				s.flows(t, 0)
			})
		}
	}
}

// A request of which the server has a part is refused: the server sees that it is
// cut, and the client gets why, or the answer that is there already.
func TestCutRequest(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
	for _, early := range []string{"", interim(100), answer} {
		s, ln := plain(t)
		c := s.dial(t, head+"\r\n2\r\nab\r\n")
		server := ln.Next(t)
		testenv.WantBytes(t, server, head+about+"2\r\nab\r\n")
		pass(t, server, c, early)
		testenv.Write(t, c, "x")
		if early != answer {
			testenv.WantBytes(t, c, refusal)
		}
		testenv.WantEnd(t, c, 0)
		c.Close()
		testenv.WantReset(t, server, 0)
		s.flows(t, 0)
	}
}

// A server that has begun to answer such a request is told that it is cut, and
// ends.
func TestStarvedServer(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
	s, ln := plain(t)
	c := s.dial(t, upgrade+"\r\n"+head+"\r\n2\r\nab\r\n")
	server := ln.Next(t)
	testenv.WantBytes(t, server, upgrade+about+head+about+"2\r\nab\r\n")
	testenv.Write(t, c, "x")
	s.refused(t, dispatch.BadRequest, 1)
	pass(t, server, c, answer+answer[:30])
	testenv.WantEnd(t, server, 0)
	pass(t, server, c, answer[30:])
	testenv.WantEnd(t, c, 0)
}

// An answer may be begun when the next request turns out to be none.
func TestRefusedAmidAnAnswer(t *testing.T) {
	s, ln := plain(t)
	c := s.dial(t, upgrade+"\r\n")
	server := ln.Next(t)
	testenv.WantBytes(t, server, upgrade+about)
	pass(t, server, c, answer[:20])
	testenv.Write(t, c, "\n")
	s.refused(t, dispatch.BadRequest, 1)
	pass(t, server, c, answer[20:])
	testenv.WantBytes(t, c, refusal)
	testenv.WantEnd(t, c, 0)
}

// A server whose answers nobody understands is told the end, and its end is the
// client's.
func TestRefusedBehindOddAnswers(t *testing.T) {
	s, ln := plain(t)
	c := s.dial(t, upgrade+"\r\n")
	server := ln.Next(t)
	testenv.WantBytes(t, server, upgrade+about)
	pass(t, server, c, "HTTP/1.1 200 OK\nContent-Length: 6\n\n")
	testenv.Write(t, c, "\n"+strings.Repeat("x", 200<<10))
	testenv.WantEnd(t, server, 0)
	pass(t, server, c, "answer")
	testenv.CloseWrite(t, server)
	testenv.WantEnd(t, c, 0)
	if err := testenv.Error(t, c); err != nil {
		t.Errorf("then %v", err)
	}
}

// A server that was asked to close, and does not, does not keep the client.
func TestServerThatStays(t *testing.T) {
	testenv.CheckLeaks(t)
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	s := serve(t, testenv.Loopback, &edge.Ends{HTTP: &edge.HTTP{}}, impatient, config(edge.Preamble{}, ln.AddrPort()))
	c := s.dial(t, upgrade+"Connection: close\r\n\r\n")
	server := ln.Next(t)
	testenv.WantBytes(t, server, upgrade+"Connection: close\r\n"+about)
	pass(t, server, c, answer)
	testenv.WantEnd(t, c, 0)
	testenv.WantEnd(t, server, 0)
	s.flows(t, 0)
}

// The rest of a head that does not come is waited for in vain, and not at the cost
// of an answer.
func TestLateHead(t *testing.T) {
	testenv.CheckLeaks(t)
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	s := serve(t, testenv.Loopback, &edge.Ends{HTTP: &edge.HTTP{}}, impatient, config(edge.Preamble{}, ln.AddrPort()))
	c := s.dial(t, upgrade+"\r\nGET")
	server := ln.Next(t)
	testenv.WantBytes(t, server, upgrade+about)
	s.refused(t, dispatch.BadRequest, 1)
	pass(t, server, c, answer)
	testenv.WantBytes(t, c, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	testenv.WantEnd(t, c, 0)
}

// A bad request is answered, and the client gets that however much it sends.
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
		s.flows(t, 0)
	}
}

// A connection between requests keeps no buffer, whatever pieces a head came in.
func TestIdleConnectionsAreSmall(t *testing.T) {
	s, ln := plain(t)
	const conns = 200
	head := upgrade + "X: " + strings.Repeat("x", 15<<10) + "\r\n\r\n"
	inUse := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // what is pooled goes at the second one
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	var clients, servers []testenv.Conn
	for range conns {
		clients = append(clients, s.dial(t, head[:100]))
		servers = append(servers, ln.Next(t))
	}
	before := inUse()
	for i, c := range clients {
		testenv.Write(t, c, head[100:])
		io.ReadFull(servers[i], make([]byte, len(head)))
		pass(t, servers[i], c, answer)
	}
	if more := (inUse() - before) / conns; more > 4<<10 {
		t.Errorf("each connection keeps %d bytes after a head in two pieces", more)
	}
}
