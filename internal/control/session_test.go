package control

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pen/internal/config"
	"pen/internal/testenv"
	"pen/internal/wire"
)

// A session ends at the first line that is no command; nothing behind it is
// run.
func TestEndsAtWhatIsNoCommand(t *testing.T) {
	const more = "blacklist 77\nclose 3\n"
	for _, first := range []string{
		"POST / HTTP/1.1\r\nHost: localhost:8888\r\nContent-Type: text/plain\r\n\r\nx=1\n",
		"GET /servers HTTP/1.0\n",
		"servers / HTTP/1.1\n", // a method that a page may choose
		"listen / HTTP/1.1\n",  // that takes any words
		"Host: localhost\n",
		"host: localhost\n",
		"nonsense\n",
		"no nonsense\n",
		"service web nonsense\n",
		"blacklist soon\n",
		"\n\nnonsense\n",
		"# comment\nnonsense\n",
		"mode\nnonsense\n",
		"\x16\x03\x01\x02\x00\x01\x00\n",
		"EHLO example.com\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
		"auth nonsense\n",
		strings.Repeat("x", 5000) + "\n",
		strings.Repeat("x", 5000),
	} {
		e := &fake{cfg: config.Default()}
		reply := ask(t, start(t, e), first+more)
		if c := e.Config(); c.Services[0].Blacklist != 30*time.Second || c.Services[0].Listen != "" || len(e.acted) > 0 {
			t.Errorf("%.40q: was run, or the commands behind it: blacklist %v, listen %q, actions %v", first, c.Services[0].Blacklist, c.Services[0].Listen, e.acted)
		}
		if reply == "" {
			t.Errorf("%.40q: no reply", first)
		}
	}
}

// A line that the client has not ended is never run, whether it pauses or ends.
func TestHalfALineIsNotRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := newPipes()
		e := &fake{cfg: config.Default()}
		serve(t, ln, e, Options{Level: config.Local})
		c := ln.dial()
		io.WriteString(c, "blacklist 1")
		time.Sleep(commandTime - time.Second)
		io.WriteString(c, "0\n")
		if got := readAll(t, c); got != "10\n" || e.Config().Services[0].Blacklist != 10*time.Second {
			t.Errorf("with a pause: %q, blacklist %v", got, e.Config().Services[0].Blacklist)
		}
		c = ln.dial()
		begun := time.Now()
		io.WriteString(c, "blacklist 2")
		if got := readAll(t, c); got != errPartial.Error()+"\n" || time.Since(begun) != commandTime {
			t.Errorf("without an end: %q after %v", got, time.Since(begun))
		}
		c = ln.dial()
		io.WriteString(c, "blacklist 3")
		c.Close()
		synctest.Wait()
		c = ln.dial()
		io.WriteString(c, "mode\nblacklist 4")
		if got := readAll(t, c); !strings.HasSuffix(got, "no prio\n"+errPartial.Error()+"\n") {
			t.Errorf("behind another command: %q", got)
		}
		if e.Config().Services[0].Blacklist != 10*time.Second {
			t.Errorf("half a line was run: blacklist %v", e.Config().Services[0].Blacklist)
		}
	})
	e := &fake{cfg: config.Default()}
	c := dial(t, start(t, e))
	io.WriteString(c, "blacklist 5")
	c.(*net.TCPConn).CloseWrite()
	if got := readAll(t, c); got != errPartial.Error()+"\n" || e.Config().Services[0].Blacklist != 30*time.Second {
		t.Errorf("the client's end: %q, blacklist %v", got, e.Config().Services[0].Blacklist)
	}
}

// Replies come whole to a client that has ended its own side.
func TestHalfClosedClient(t *testing.T) {
	e := &fake{cfg: config.Default(), servers: 1000}
	c := dial(t, start(t, e))
	io.WriteString(c, "servers\nblacklist 7\n")
	c.(*net.TCPConn).CloseWrite()
	if got := readAll(t, c); strings.Count(got, "\n") != 1001 || !strings.HasSuffix(got, "\n7\n") {
		t.Errorf("%d lines, %.40q", strings.Count(got, "\n"), got)
	}
}

// However many come at once, no more stay than there may be, and the newest do.
func TestSessionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct{ set, want int }{{0, 128}, {7, 7}, {1000, 128}} {
			ln := newPipes()
			s := serve(t, ln, &fake{cfg: config.Default()}, Options{Level: config.Local, Sessions: tt.set})
			var all []net.Conn
			for range 400 {
				all = append(all, ln.dial())
			}
			synctest.Wait()
			s.mu.Lock()
			n := len(s.sessions)
			s.mu.Unlock()
			if n != tt.want {
				t.Errorf("%d sessions, want %d", n, tt.want)
			}
			for i, c := range all {
				_, err := io.WriteString(c, "blacklist\n")
				if stays := i >= len(all)-tt.want; (err == nil) != stays {
					t.Errorf("client %d of %d: %v", i, len(all), err)
				}
				c.Close()
			}
		}
	})
}

// A client that does not take its reply is ended when the time for it is over,
// and so is one that says nothing.
func TestSlowClientsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := newPipes()
		s := serve(t, ln, &fake{cfg: config.Default(), servers: 10}, Options{Level: config.Local})
		left := func() int {
			synctest.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(s.sessions)
		}
		reads, silent := ln.dial(), ln.dial()
		defer reads.Close()
		defer silent.Close()
		io.WriteString(reads, "servers\n")
		time.Sleep(11 * time.Second)
		if n := left(); n != 1 {
			t.Errorf("after 11 s: %d sessions, want that of the client that reads nothing", n)
		}
		time.Sleep(20 * time.Second)
		if n := left(); n != 0 {
			t.Errorf("after 31 s: %d sessions are left", n)
		}
	})
}

const secretA, secretO = "admin-0123456789abcdef", "operate-0123456789abcdef"

// tokens are those of two levels.
func tokens(t *testing.T) Tokens {
	t.Helper()
	a, err := ParseTokens(config.Admin, "# comment\n\n"+secretA+"\n")
	if err != nil {
		t.Fatal(err)
	}
	o, err := ParseTokens(config.Operate, secretO+"\nanother-0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	return append(a, o...)
}

func TestLevels(t *testing.T) {
	for _, tt := range []struct {
		level  config.Level
		tokens bool
		send   string
		want   string
	}{
		{config.View, false, "blacklist\n", "30\n"},
		{config.View, false, "blacklist 5\nblacklist\n", "blacklist: needs level operate, this client has level view; see control_level and control_token\n"},
		{config.Operate, false, "blacklist 5\n", "5\n"},
		{config.Operate, false, "client_acl 1\n", "client_acl: needs level admin, this client has level operate; see control_level and control_token\n"},
		{config.Operate, false, "server 0 address 10.0.0.1\n", "server: needs level admin, this client has level operate; see control_level and control_token\n"},
		{config.Admin, false, "client_acl 1\n", "1\n"},
		{config.Admin, false, "write\n", "write: only by a Unix control socket, or in the configuration file\n"},
		{config.Admin, false, "check exec /bin/sh\n", "check: only by a Unix control socket, or in the configuration file\n"},
		{config.Local, false, "write\n", "write: the disk is full\n"},
		{config.Operate, false, "auth " + secretA + " mode\n", "auth: this control socket has no tokens; control_token sets them\n"},

		{0, true, "pid\n", "pid: want a token first: auth TOKEN\n"},
		{0, true, "auth wrong\nblacklist\n", "auth: wrong token\n"},
		{0, true, "auth\n", "auth: wrong token\n"},
		{0, true, "auth " + secretO + " blacklist 5\n", "5\n"},
		{0, true, "auth " + secretO + "\nblacklist 5\nblacklist\n", "5\n5\n"},
		{0, true, " auth\tanother-0123456789abcdef\tblacklist 5\n", "5\n"},
		{0, true, "auth " + secretO + " client_acl 1\n", "client_acl: needs a token of level admin, this client has level operate\n"},
		{0, true, "auth " + secretA + " client_acl 1\n", "1\n"},
		{0, true, "auth " + secretA + " write\n", "write: only by a Unix control socket, or in the configuration file\n"},
		{config.View, true, "blacklist\n", "30\n"},
		{config.Local, true, "auth " + secretO + " write\n", "write: the disk is full\n"}, // a token takes nothing away
	} {
		o := Options{Level: tt.level}
		if tt.tokens {
			o.Tokens = tokens(t)
		}
		if got := ask(t, startWith(t, &fake{cfg: config.Default()}, o), tt.send); got != tt.want {
			t.Errorf("%v, %q:\n got %q\nwant %q", tt.level, tt.send, got, tt.want)
		}
	}
}

// A client that has shown a token is given time for its command.
func TestTimeAfterToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := newPipes()
		serve(t, ln, &fake{cfg: config.Default()}, Options{Tokens: tokens(t)})
		c := ln.dial()
		io.WriteString(c, "auth "+secretA+"\n")
		time.Sleep(commandTime / 2)
		io.WriteString(c, "blacklist\n")
		if got := readAll(t, c); got != "30\n" {
			t.Errorf("%q", got)
		}
	})
}

func TestParseTokens(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "Hash\n", secretA + "\nHash with spaces 0123456789\n", strings.Repeat("Hash", 100), "Hash0123456789abcdef\x00"} {
		if _, err := ParseTokens(config.Admin, text); err == nil || strings.Contains(err.Error(), "Hash") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What changes something, or touches files, is logged with who did it; tokens
// are not.
func TestLog(t *testing.T) {
	testenv.CheckLeaks(t)
	var log lockedBuffer
	o := Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Level: config.Local, Tokens: tokens(t)}
	addr := startWith(t, &fake{cfg: config.Default()}, o)
	ask(t, addr, "auth "+secretA+" blacklist 5\nplan /etc/shadow\nwrite\nblacklist\nmode\n")
	for _, want := range []string{
		`msg="control command" client=127.0.0.1:`, `command="blacklist 5"` + "\n", `command="plan /etc/shadow"` + "\n", `command=write error="write: the disk is full"`,
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s is not in the log:\n%s", want, log.String())
		}
	}
	for _, bad := range []string{"<nil>", secretA, "command=mode", "command=blacklist\n"} {
		if strings.Contains(log.String(), bad) {
			t.Errorf("%s is in the log:\n%s", bad, log.String())
		}
	}
}

// A lockedBuffer may be written and read at the same time.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func readAll(t *testing.T, c net.Conn) string {
	t.Helper()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("%q, %v", b, err)
	}
	return string(b)
}

// pipes is a listener for bubbles, which sockets are not part of.
type pipes struct {
	conns  chan net.Conn
	closed chan bool
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan bool)} }

func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return nil }

// A script is a connection whose client has said all that it will say.
type script struct {
	net.Conn // nil: what is not below is not used
	io.Reader
	reply bytes.Buffer
}

func (s *script) Read(b []byte) (int, error)  { return s.Reader.Read(b) }
func (s *script) Write(b []byte) (int, error) { return s.reply.Write(b) }
func (s *script) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.1:1"))
}
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }
func (s *script) Close() error                     { return nil }

// Whatever comes, only whole lines are run, up to the first that is no command,
// and only those that the client's level allows.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		"servers\n", "blacklist 5\nwrite\n", "POST / HTTP/1.1\r\nHost: x\r\n\r\nclose 1\n", "close 1", "auth " + secretA + " close 1\nrollback\n",
		"service web close 1\n", "no http\nclose\n", "debug 3\nclose\n", "# x\n\nclose\r\n", "close\rclose\n",
	} {
		for level := range uint8(5) {
			f.Add([]byte(seed), level)
		}
	}
	secrets := Tokens{{level: config.Operate}}
	f.Fuzz(func(t *testing.T, input []byte, level uint8) {
		e := &fake{cfg: config.Default()}
		s := New(nil, e, Options{Log: slog.New(slog.DiscardHandler), Level: config.Level(level % 5), Tokens: secrets})
		c := &script{Reader: bytes.NewReader(input)}
		newSession(s, c).serve()
		var may []string
		lines := strings.SplitAfter(string(input), "\n")
		for _, line := range lines {
			whole, ok := strings.CutSuffix(line, "\n")
			if !ok {
				break
			}
			whole, _, _ = strings.Cut(whole, "\r")
			cmd, err := config.ParseLine(whole)
			if err != nil || wire.IsHTTPLine(whole) || cmd.Verb != nil && cmd.Level() > s.opt.Level {
				break
			}
			if cmd.Verb != nil && cmd.Kind() == config.Action {
				may = append(may, cmd.Verb.Name)
			}
		}
		if len(e.acted) > len(may) || fmt.Sprint(e.acted) != fmt.Sprint(may[:len(e.acted)]) {
			t.Errorf("%q at level %v: has run %v, of which it may run %v", input, s.opt.Level, e.acted, may)
		}
		if s.opt.Level < config.Operate && fmt.Sprint(e.Config()) != fmt.Sprint(config.Default()) {
			t.Errorf("%q at level %v: has changed the configuration", input, s.opt.Level)
		}
	})
}
