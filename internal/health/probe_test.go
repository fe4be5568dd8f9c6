package health

import (
	"bufio"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pen/internal/check"
	"pen/internal/testenv"
)

// wantOutcome makes a check. The reason begins with what is wanted.
func wantOutcome(t *testing.T, k Key, text string, v check.Verdict, reason string) Outcome {
	t.Helper()
	k.Spec = spec(t, text)
	start := time.Now()
	o := Probe(t.Context(), Target{Key: k, Subscribers: []Subscriber{{"web", "one"}, {"web", "two"}}})
	if o.Verdict != v || !strings.HasPrefix(o.Reason, reason) {
		t.Errorf("%s: verdict %d, %q, want %d, %q", text, o.Verdict, o.Reason, v, reason)
	}
	if all := time.Since(start); o.Duration <= 0 || o.Duration > all || o.Reason != check.Reason(o.Reason) {
		t.Errorf("%s: %v of %v, %q", text, o.Duration, all, o.Reason)
	}
	return o
}

// says serves: it reads once, then sends a text and waits for the client to go.
func says(t *testing.T, text string) netip.AddrPort {
	return testenv.Serve(t, func(c testenv.Conn) {
		c.Read(make([]byte, 4096))
		io.WriteString(c, text)
		io.Copy(io.Discard, c)
	})
}

// ends serves likewise, and then closes the connection.
func ends(t *testing.T, text string) netip.AddrPort {
	return testenv.Serve(t, func(c testenv.Conn) {
		c.Read(make([]byte, 4096))
		io.WriteString(c, text)
	})
}

// floods serves: it sends a text and then another one without end.
func floods(t *testing.T, begin, endless string) netip.AddrPort {
	return testenv.Serve(t, func(c testenv.Conn) {
		_, err := io.WriteString(c, begin)
		for endless = strings.Repeat(endless, 1000); err == nil; {
			_, err = io.WriteString(c, endless)
		}
	})
}

// drips serves: a byte at a time, slowly, without end.
func drips(t *testing.T, text string) netip.AddrPort {
	return testenv.Serve(t, func(c testenv.Conn) {
		slowly := time.NewTicker(20 * time.Millisecond)
		defer slowly.Stop()
		for i := 0; ; i++ {
			if _, err := c.Write([]byte{text[i%len(text)]}); err != nil {
				return
			}
			<-slowly.C
		}
	})
}

func TestStreams(t *testing.T) {
	testenv.CheckLeaks(t)
	for _, tt := range []struct {
		text   string
		addr   netip.AddrPort
		v      check.Verdict
		reason string
	}{
		{"tcp", testenv.Sink(t), check.Passed, "connected"},
		{"tcp", testenv.Refused(t), check.Failed, "connection refused"},
		{"tcp timeout 200ms", testenv.Blackhole(t), check.Failed, "timeout after 200ms"},
		{"send PING expect PING", testenv.Echo(t), check.Passed, `got "PING"`},
		{`send PING\r\n expect +PONG timeout 300ms`, says(t, "-LOADING data\r\n"), check.Failed, `expected "+PONG", got "-LOADING data\r\n"`},
		{`send PING\r\n expect +PONG timeout 300ms`, testenv.Sink(t), check.Failed, "timeout after 300ms"},
		{`expect \s2.0-`, testenv.Source(t, "SSH 2.0-x\r\n"), check.Passed, `got " 2.0-"`},
		{`expect 220`, testenv.Source(t, ""), check.Failed, "connection closed"},
		{`expect 220`, testenv.Source(t, "500 no"), check.Failed, `expected "220", got "500 no"`},
		{`expect 220 timeout 10`, floods(t, "", "x"), check.Failed, `expected "220", got "xxxxxxxx`},
		{`expect 220 timeout 10`, floods(t, "", "\x00\xff\n"), check.Failed, `expected "220", got "\x00\xff\n`},
		{`expect 220 timeout 300ms`, drips(t, "21"), check.Failed, `expected "220", got "2121`},
		{`expect 12345`, drips(t, "12345"), check.Passed, `got "12345"`},
		{"tls", testenv.Source(t, "220 hello\r\n"), check.Failed, "tls: first record does not look like a TLS handshake"},
		{"tls timeout 10", floods(t, "", "\x16\x03\x03\x40\x00"), check.Failed, ""},
		{"tls timeout 300ms", testenv.Sink(t), check.Failed, "timeout after 300ms"},
	} {
		wantOutcome(t, Key{Addr: tt.addr}, tt.text, tt.v, tt.reason)
	}
}

func TestHTTPAnswers(t *testing.T) {
	testenv.CheckLeaks(t)
	for _, tt := range []struct {
		text   string
		answer netip.AddrPort
		v      check.Verdict
		reason string
	}{
		{"http /", says(t, "HTTP/1.0 200 fine\r\n\r\n"), check.Passed, "status 200"},
		{"http /", says(t, "HTTP/1.1 399\r\n\r\n"), check.Passed, "status 399"},
		{"http /", says(t, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"), check.Passed, "status 204"},
		{"http /", says(t, "HTTP/1.1 101 Switching Protocols\r\n\r\n"), check.Failed, "status 101"},
		{"http /", says(t, "HTTP/1.1 503 no\r\n\r\n"), check.Failed, "status 503"},
		{"http / status 500-503", says(t, "HTTP/1.1 503 no\r\n\r\n"), check.Passed, "status 503"},
		{"http / status 204", says(t, "HTTP/1.1 200 OK\r\n\r\n"), check.Failed, "status 200"},
		{"http /", says(t, "HTTP/1.1 OK\r\n\r\n"), check.Failed, `malformed HTTP status code "OK"`},
		{"http /", says(t, "HTTP/1.1 999999999999999999999 x\r\n\r\n"), check.Failed, "malformed HTTP status code"},
		{"http /", says(t, "SSH-2.0-OpenSSH\r\n"), check.Failed, "malformed HTTP"},
		{"http /", says(t, "HTTP/1.1 200 OK\r\nno colon\r\n\r\n"), check.Failed, "malformed MIME header"},
		{"http /", ends(t, "HTTP/1.1 20"), check.Failed, "connection closed"},
		{"http / timeout 10", floods(t, "HTTP/1.1 200 OK\r\n", "X: y\r\n"), check.Failed, "more than 65536 bytes"},
		{"http / timeout 10", floods(t, "HTTP/1.1 200 OK\r\n", "x"), check.Failed, "more than 65536 bytes"},
		{"http / timeout 10", floods(t, "", "HTTP/1.1 100 Continue\r\n\r\n"), check.Failed, "more than 65536 bytes"},
		{"http / timeout 300ms", drips(t, "HTTP/1.1 200 OK\r\nX: y\r\n"), check.Failed, "timeout after 300ms"},
		{"http / expect all\\swell", says(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nall \r\n4\r\nwell\r\n0\r\n\r\n"), check.Passed, "status 200"},
		{"http / expect well timeout 300ms", says(t, "HTTP/1.1 200 OK\r\n\r\nill"), check.Failed, `expected "well", got "ill"`},
		{"http / expect well", ends(t, "HTTP/1.1 200 OK\r\nX: well\r\n\r\n"), check.Failed, "connection closed"},
		{"http / expect y timeout 10", floods(t, "HTTP/1.1 200 OK\r\n\r\n", "x"), check.Failed, `expected "y", got "xxxxxxxx`},
		{"http / method HEAD", says(t, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), check.Passed, "status 200"},
		// A body of a gigabyte, and one without end, are left alone.
		{"http / timeout 10", floods(t, "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", "x"), check.Passed, "status 200"},
		{"http / timeout 10", floods(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"), check.Passed, "status 200"},
	} {
		wantOutcome(t, Key{Addr: tt.answer}, tt.text, tt.v, tt.reason)
	}
}

// What a server of Go's library sees, and that redirections are not followed.
func TestHTTPRequests(t *testing.T) {
	testenv.CheckLeaks(t)
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	requests := make(chan string, 10)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- fmt.Sprintf("%s %s %s %t%s%s", r.Method, r.RequestURI, r.Host, r.Close, strings.TrimPrefix(r.Header.Get("Accept"), "*/*"), body)
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/gone", http.StatusFound)
		}
	})
	plain := httptest.NewServer(handler)
	defer plain.Close()
	at := netip.MustParseAddrPort(plain.Listener.Addr().String())
	wantOutcome(t, Key{Addr: at}, "http /a?b=%20 host www.example:81", check.Passed, "status 200")
	wantOutcome(t, Key{Addr: at}, "http /moved", check.Passed, "status 302")
	wantOutcome(t, Key{Addr: at}, "http /moved status 200", check.Failed, "status 302")
	other := Key{Addr: netip.AddrPortFrom(at.Addr(), 1)}
	wantOutcome(t, other, fmt.Sprintf("http / port %d", at.Port()), check.Passed, "status 200")
	wantOutcome(t, Key{Addr: at}, `http /p method POST header accept:\s.a\sb body {"c":1} host h`, check.Passed, "status 200")
	for _, w := range []string{
		"GET /a?b=%20 www.example:81 true", "GET /moved " + at.String() + " true", "GET /moved " + at.String() + " true", "GET / " + at.String() + " true",
		`POST /p h true.a b{"c":1}`,
	} {
		if got := <-requests; got != w {
			t.Errorf("request %q, want %q", got, w)
		}
	}
	if len(requests) > 0 {
		t.Errorf("one more request: %s", <-requests)
	}
}

func TestTLS(t *testing.T) {
	testenv.CheckLeaks(t)
	names := make(chan string, 10)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { names <- r.TLS.ServerName }))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	// The system's certificates are read once: before any other verification.
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", file)
	k := Key{Addr: netip.MustParseAddrPort(srv.Listener.Addr().String())}
	wantOutcome(t, k, "tls", check.Passed, "connected")
	wantOutcome(t, k, "tls verify", check.Passed, "connected") // the address is in the certificate
	wantOutcome(t, k, "tls verify host www.example.com", check.Passed, "connected")
	wantOutcome(t, k, "tls verify host wrong.test", check.Failed, "tls: failed to verify certificate: x509: certificate is valid for")
	wantOutcome(t, k, "tls host wrong.test", check.Passed, "connected")
	wantOutcome(t, k, "https / host example.com:443 verify", check.Passed, "status 200")
	wantOutcome(t, k, "https / host wrong.test", check.Passed, "status 200")
	wantOutcome(t, k, "http /", check.Failed, "status 400")
	for _, w := range []string{"example.com", "wrong.test"} {
		if got := <-names; got != w {
			t.Errorf("server name %q, want %q", got, w)
		}
	}
}

func TestUnixSockets(t *testing.T) {
	testenv.CheckLeaks(t)
	k := Key{Path: filepath.Join(t.TempDir(), "s")}
	wantOutcome(t, k, "tcp", check.Failed, "no such file or directory")
	ln, err := net.Listen("unix", k.Path)
	if err != nil {
		t.Fatal(err)
	}
	hosts := make(chan string, 10)
	srv := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { hosts <- r.Host })}
	served := make(chan error)
	go func() { served <- srv.Serve(ln) }()
	wantOutcome(t, k, "tcp", check.Passed, "connected")
	wantOutcome(t, k, "http / port 99", check.Passed, "status 200")
	wantOutcome(t, k, `send GET\s/\sHTTP/1.0\r\n\r\n expect 200\sOK`, check.Passed, "got")
	if got := <-hosts; got != "localhost" {
		t.Errorf("host %q", got)
	}
	srv.Close()
	<-served
}

// answering answers each datagram by those that answer returns.
func answering(t *testing.T, answer func([]byte) [][]byte) netip.AddrPort {
	c, err := net.ListenPacket("udp", testenv.Loopback)
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan bool)
	go func() {
		defer close(over)
		buf := make([]byte, 2048)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			for _, b := range answer(buf[:n]) {
				c.WriteTo(b, from)
			}
		}
	}()
	t.Cleanup(func() {
		c.Close()
		<-over
	})
	return netip.MustParseAddrPort(c.LocalAddr().String())
}

func TestUDP(t *testing.T) {
	testenv.CheckLeaks(t)
	nothing := answering(t, func([]byte) [][]byte { return nil })
	echo := answering(t, func(b []byte) [][]byte { return [][]byte{{}, []byte("no"), b} })
	flood := answering(t, func([]byte) [][]byte { return slicesOf([]byte(strings.Repeat("x", 1000)), 200) })
	wantOutcome(t, Key{Addr: echo}, "udp send ping expect ping", check.Passed, `got "ping"`)
	wantOutcome(t, Key{Addr: echo}, "udp send ping expect pong timeout 200ms", check.Failed, `expected "pong", got "ping"`)
	wantOutcome(t, Key{Addr: nothing}, "udp send ping expect pong timeout 200ms", check.Failed, "timeout after 200ms")
	wantOutcome(t, Key{Addr: testenv.Refused(t)}, "udp send ping expect pong", check.Failed, "connection refused")
	wantOutcome(t, Key{Addr: flood}, "udp send ping expect pong timeout 500ms", check.Failed, `expected "pong", got "xxx`)
}

func slicesOf(b []byte, n int) (all [][]byte) {
	for range n {
		all = append(all, b)
	}
	return all
}

func TestDNSAnswers(t *testing.T) {
	testenv.CheckLeaks(t)
	packed := func(m *dns.Msg) []byte {
		b, err := m.Pack()
		if err != nil {
			t.Error(err)
		}
		return b
	}
	reply := func(code int) func(*dns.Msg) [][]byte {
		return func(q *dns.Msg) [][]byte { return [][]byte{packed(new(dns.Msg).SetRcode(q, code))} }
	}
	for _, tt := range []struct {
		name   string
		answer func(q *dns.Msg) [][]byte
		v      check.Verdict
		reason string
	}{
		{"good", reply(dns.RcodeSuccess), check.Passed, "answer NOERROR"},
		{"no such name", reply(dns.RcodeNameError), check.Failed, "answer NXDOMAIN"},
		{"broken", reply(dns.RcodeServerFailure), check.Failed, "answer SERVFAIL"},
		{"unheard of", reply(15), check.Failed, "answer code 15"},
		{"forged, then good", func(q *dns.Msg) [][]byte {
			otherID, otherName, noAnswer := q.Copy(), q.Copy(), q.Copy()
			otherID.Id++
			otherID.Response, otherName.Response = true, true
			otherName.Question[0].Name = "other.test."
			q.Question[0].Name = strings.ToUpper(q.Question[0].Name)
			return [][]byte{packed(otherID), packed(otherName), packed(noAnswer), packed(new(dns.Msg).SetReply(q))}
		}, check.Passed, "answer NOERROR"},
		{"forged only", func(q *dns.Msg) [][]byte {
			q.Id++
			return reply(dns.RcodeSuccess)(q)
		}, check.Failed, "timeout after 300ms"},
		{"junk", func(*dns.Msg) [][]byte { return [][]byte{[]byte("junk")} }, check.Failed, "bad DNS message"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			at := answering(t, func(b []byte) [][]byte {
				var q dns.Msg
				if err := q.Unpack(b); err != nil || len(q.Question) != 1 || q.Question[0].Name != "who.test." || q.Question[0].Qtype != dns.TypeA {
					t.Errorf("question %v, %v", &q, err)
				}
				return tt.answer(&q)
			})
			wantOutcome(t, Key{Addr: at}, "dns who.test timeout 300ms", tt.v, tt.reason)
		})
	}
}

func TestAgents(t *testing.T) {
	testenv.CheckLeaks(t)
	asked := testenv.Serve(t, func(c testenv.Conn) {
		line, err := bufio.NewReader(c).ReadString('\n')
		if err == nil && line == "load?\n" {
			io.WriteString(c, "up 30%\nand more\n")
		}
	})
	for _, tt := range []struct {
		text   string
		addr   netip.AddrPort
		v      check.Verdict
		reason string
		report bool
	}{
		{`agent send load?\n`, asked, check.Passed, "up 30%", true},
		{"agent", testenv.Source(t, "down#disk full\n"), check.Failed, "down #disk full", true},
		{"agent", testenv.Source(t, "drain"), check.Silent, "drain", true},
		{"agent", testenv.Source(t, "hello\n"), check.Silent, "nothing in the agent's line is known", false},
		{"agent", testenv.Source(t, ""), check.Silent, "connection closed", false},
		{"agent", testenv.Refused(t), check.Silent, "connection refused", false},
		{"agent timeout 300ms", testenv.Sink(t), check.Silent, "timeout after 300ms", false},
		{"agent timeout 10", floods(t, "up ", "x"), check.Silent, "a line of more than 1024 bytes", false},
	} {
		o := wantOutcome(t, Key{Addr: netip.AddrPortFrom(tt.addr.Addr(), 1)}, fmt.Sprintf("%s port %d", tt.text, tt.addr.Port()), tt.v, tt.reason)
		if (o.Report != nil) != tt.report {
			t.Errorf("%s: report %v", tt.reason, o.Report)
		}
	}
}

// What this machine lacks is not the server's failure.
func TestLocalFailures(t *testing.T) {
	for err, want := range map[error]bool{
		os.NewSyscallError("socket", syscall.EMFILE): true,
		syscall.EADDRNOTAVAIL:                        true,
		syscall.ENETDOWN:                             true,
		syscall.ENOBUFS:                              true,
		syscall.ECONNREFUSED:                         false,
		syscall.ENETUNREACH:                          false,
		syscall.EAGAIN:                               false, // the queue of a Unix socket is full
		io.EOF:                                       false,
	} {
		if got := isLocal(fmt.Errorf("dial: %w", err), check.TCP); got != want {
			t.Errorf("%v: %t", err, got)
		}
	}
	if !isLocal(syscall.EAGAIN, check.Exec) {
		t.Error("a lack of processes is the server's failure")
	}
}

// A check that is broken off ends at once, whatever it waits for.
func TestBrokenOff(t *testing.T) {
	testenv.CheckLeaks(t)
	began := make(chan bool, 1)
	sink := testenv.Serve(t, func(c testenv.Conn) {
		began <- true
		io.Copy(io.Discard, c)
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan Outcome)
	go func() { ended <- Probe(ctx, Target{Key: Key{Addr: sink, Spec: spec(t, "expect x timeout 1h")}}) }()
	<-began
	cancel()
	<-ended
}
