package hardening_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pen/internal/testenv"
	"pen/test/internal/lab"
)

// Streams that other programs have misunderstood go through Pen to real servers. A
// server must see as many requests as Pen has understood, each with the address of its
// client and no other, and nothing of what Pen refused. The eager server accepts every
// request, even CONNECT, and goes on with HTTP.
func TestSmuggledRequests(t *testing.T) {
	itself := func(_ *testing.T, next string) *webServer { return &webServer{addr: next, end: func() {}} }
	for _, s := range []struct {
		name  string
		start func(t *testing.T, next string) *webServer
		eager bool // the recorder answers at once
	}{
		{"go", itself, false},
		{"eager", itself, true},
		{"nginx", nginxProxy, false},
		{"apache", apacheProxy, false},
	} {
		t.Run(s.name, func(t *testing.T) {
			r := newRecorder(t)
			r.eager = s.eager
			server := s.start(t, r.addr)
			all := attack(t, server.addr)
			server.end()
			whole, begun := r.end(t), server.begun()
			for _, o := range all {
				o.check(t, whole[o.client])
				if server.log != "" {
					o.checkBegun(t, begun[o.client])
				}
				delete(whole, o.client)
				delete(begun, o.client)
			}
			if len(whole) > 0 || len(begun) > 0 {
				t.Errorf("requests of others than the clients: whole %v, begun %v", whole, begun)
			}
		})
	}
}

// An onslaught is a stream that was sent, and its result.
type onslaught struct {
	testenv.Smuggling
	how     string // how it was sent
	client  string // its address, different for each onslaught
	answers []*http.Response
	err     error // from reading; nil is EOF
}

// attack sends all streams through Pen to a server: in one write, byte by byte, and by
// TLS.
func attack(t *testing.T, server string) (all []*onslaught) {
	dir := t.TempDir()
	ca := testenv.NewAuthority(t, "Pen's tests")
	testenv.WritePEM(t, filepath.Join(dir, "pem"), ca.Issue(t, "127.0.0.1"))
	plain, secure := testenv.Unused(t), testenv.Unused(t)
	lab.Start(t, plain, lab.Program(t, "pen"), "-f", "-r", "-H", plain, server)
	lab.Start(t, secure, lab.Program(t, "pen"), "-f", "-r", "-H", "-E", filepath.Join(dir, "pem"), secure, server)

	queue := make(chan func())
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for send := range queue {
				send()
			}
		})
	}
	for i, s := range testenv.Smugglings(t, filepath.Join(lab.Root(), "internal/wire/testdata/smuggling")) {
		for j, how := range []string{"at once", "byte by byte", "in TLS"} {
			if how == "byte by byte" && len(s.Stream) > 1000 {
				continue // only the length of these matters
			}
			o := &onslaught{Smuggling: s, how: how, client: fmt.Sprintf("127.%d.%d.%d", 20+j, i>>8, i&255)}
			all = append(all, o)
			queue <- func() { o.err = o.send(plain, secure) }
		}
	}
	close(queue)
	workers.Wait()
	return all
}

// send sends the stream and reads the answers. After the last expected answer the
// client closes its side, and no more may come.
func (o *onslaught) send(plain, secure string) error {
	to := plain
	if o.how == "in TLS" {
		to = secure
	}
	d := net.Dialer{Timeout: testenv.Limit, LocalAddr: &net.TCPAddr{IP: net.ParseIP(o.client)}}
	raw, err := d.Dial("tcp", to)
	if err != nil {
		return err
	}
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(testenv.Limit))
	c := raw.(interface {
		net.Conn
		CloseWrite() error
	})
	if to == secure {
		c = tls.Client(raw, &tls.Config{InsecureSkipVerify: true}) // the certificate is the test's own
	}
	piece := len(o.Stream)
	if o.how == "byte by byte" {
		piece = 1
	}
	for b := range slices.Chunk(o.Stream, piece) {
		if _, err := c.Write(b); err != nil {
			break // Pen may close before all is sent
		}
	}
	r := bufio.NewReader(c)
	for {
		if !o.Refused && len(o.answers) == o.Requests {
			c.CloseWrite()
		}
		answer, err := http.ReadResponse(r, nil)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			return err
		}
		if answer.StatusCode >= 200 {
			o.answers = append(o.answers, answer)
		}
	}
}

// byPen reports whether the only answer is Pen's own.
func (o *onslaught) byPen() bool {
	return len(o.answers) == 1 && o.answers[0].StatusCode >= 400 && o.answers[0].Header.Get("Date") == ""
}

// check compares the result with what was expected. whole is the number of whole
// requests that the server has seen.
func (o *onslaught) check(t *testing.T, whole int) {
	t.Helper()
	if whole != o.Requests {
		t.Errorf("%s, %s: %d whole requests have arrived, want %d", o.Name, o.how, whole, o.Requests)
	}
	switch answers := len(o.answers); {
	case errors.Is(o.err, os.ErrDeadlineExceeded), !o.Refused && o.err != nil:
		t.Errorf("%s, %s: the client has read %v", o.Name, o.how, o.err)
	case o.Refused && o.byPen():
	case o.Refused && answers > o.Requests+1, !o.Refused && answers != o.Requests:
		t.Errorf("%s, %s: %d answers have come, want %d", o.Name, o.how, answers, o.Requests)
	}
}

// checkBegun checks how many requests the server knows of, whole or not. A request
// whose body Pen refused may have started.
func (o *onslaught) checkBegun(t *testing.T, begun int) {
	t.Helper()
	most := o.Requests
	if o.Refused && bytes.Contains(bytes.ToLower(o.Stream), []byte("chunked")) {
		most++
	}
	if begun < o.Requests || begun > most {
		t.Errorf("%s, %s: %d requests have begun, want %d", o.Name, o.how, begun, o.Requests)
	}
}

// A recorder is a Go server that counts whole requests by the client that their headers
// name.
type recorder struct {
	addr   string
	server *httptest.Server
	eager  bool // it sends interim answers, and answers before it has read the body
	mu     sync.Mutex
	whole  map[string]int
}

func newRecorder(t *testing.T) *recorder {
	r := &recorder{whole: map[string]int{}}
	r.server = httptest.NewServer(r)
	t.Cleanup(r.server.Close)
	r.addr = r.server.Listener.Addr().String()
	return r
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	// The client of this test reads HEAD like GET, and Go closes a connection when a
	// body comes that was not expected.
	eager := r.eager && req.Method != "HEAD" && req.Header.Get("Expect") == ""
	if eager {
		const text = "HTTP/1.1 101 Switching Protocols\r\n\r\n"
		if !req.ProtoAtLeast(1, 1) {
			w.Header().Set("Content-Length", fmt.Sprint(len(text))) // otherwise the end of the connection ends it
		}
		c := http.NewResponseController(w)
		c.EnableFullDuplex()
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
		w.WriteHeader(http.StatusOK)
		io.WriteString(w, text)
		c.Flush()
	}
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		return
	}
	var clients []string
	for name, values := range req.Header {
		switch strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(name)) {
		case "x-forwarded-for", "forwarded", "x-real-ip":
			clients = append(clients, values...)
		}
	}
	r.mu.Lock()
	r.whole[strings.Join(clients, " and ")]++
	r.mu.Unlock()
	if !eager {
		w.WriteHeader(http.StatusNoContent)
	}
}

// end waits for requests that are under way, and returns the numbers of whole requests.
func (r *recorder) end(t *testing.T) map[string]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testenv.Limit)
	defer cancel()
	if err := r.server.Config.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	return r.whole
}

// A webServer is a proxy in front of the recorder, or the recorder itself.
type webServer struct {
	addr string
	log  string // has the X-Forwarded-For of each request that has started, one a line
	end  func() // stops it gracefully
}

// begun counts the lines of the log.
func (s *webServer) begun() map[string]int {
	n := map[string]int{}
	for line := range strings.Lines(lab.ReadFile(s.log)) {
		n[strings.TrimSpace(line)]++
	}
	return n
}

// webProgram starts a program with a configuration, in a folder of its own. In
// arguments and configuration DIR is the folder, PORT the program's port, and NEXT that
// of the next server.
func webProgram(t *testing.T, next, config string, end os.Signal, program string, args ...string) *webServer {
	t.Helper()
	dir, addr := t.TempDir(), testenv.Unused(t)
	_, port, _ := strings.Cut(addr, ":")
	_, nextPort, _ := strings.Cut(next, ":")
	words := strings.NewReplacer("DIR", dir, "PORT", port, "NEXT", nextPort)
	lab.WriteFile(t, filepath.Join(dir, "conf"), words.Replace(config))
	for i := range args {
		args[i] = words.Replace(args[i])
	}
	cmd := lab.Start(t, addr, program, args...)
	return &webServer{addr: addr, log: filepath.Join(dir, "log"), end: func() {
		cmd.Process.Signal(end)
		cmd.Wait()
	}}
}

func nginxProxy(t *testing.T, next string) *webServer {
	return webProgram(t, next, `daemon off; user root; worker_processes 1; pid DIR/pid; error_log DIR/error.log;
events { worker_connections 1024; }
http {
	log_format client "$http_x_forwarded_for";
	access_log DIR/log client;
	underscores_in_headers on;
	ignore_invalid_headers off;
	proxy_ignore_client_abort on;
	proxy_http_version 1.1;
	server { listen 127.0.0.1:PORT; location / { proxy_pass http://127.0.0.1:NEXT; } }
}
`, syscall.SIGQUIT, "nginx", "-p", "DIR", "-e", "DIR/error.log", "-c", "DIR/conf")
}

func apacheProxy(t *testing.T, next string) *webServer {
	var modules strings.Builder
	for _, m := range []string{"mpm_event", "authz_core", "proxy", "proxy_http"} {
		fmt.Fprintf(&modules, "LoadModule %s_module /usr/lib/apache2/modules/mod_%[1]s.so\n", m)
	}
	return webProgram(t, next, modules.String()+`ServerRoot DIR
DefaultRuntimeDir DIR
PidFile DIR/pid
ServerName localhost
User nobody
Group nogroup
Listen 127.0.0.1:PORT
ErrorLog DIR/error.log
LogFormat "%{X-Forwarded-For}i" client
CustomLog DIR/log client
ProxyAddHeaders Off
ProxyPass / http://127.0.0.1:NEXT/
`, syscall.SIGWINCH, "apache2", "-D", "FOREGROUND", "-f", "DIR/conf")
}
