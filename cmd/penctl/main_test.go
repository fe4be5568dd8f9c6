package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// serve answers each connection by f until the test ends.
func serve(t *testing.T, network, address string, f func(net.Conn)) (at string) {
	t.Helper()
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan bool)
	t.Cleanup(func() {
		ln.Close()
		<-ended
	})
	go func() {
		defer close(ended)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conn.SetDeadline(time.Now().Add(30 * time.Second))
			f(conn)
			conn.Close()
		}
	}()
	return ln.Addr().String()
}

// echo replies with what it was told, twice.
func echo(conn net.Conn) {
	line, _ := bufio.NewReader(conn).ReadString('\n')
	io.WriteString(conn, line+line)
}

func penctl(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestReply(t *testing.T) {
	for _, c := range []struct{ network, address string }{
		{"tcp", "127.0.0.1:0"},
		{"unix", filepath.Join(t.TempDir(), "pen.ctl")},
	} {
		at := serve(t, c.network, c.address, echo)
		code, stdout, stderr := penctl(at, "server", "1", "weight  2", "")
		if want := "server 1 weight  2 \n"; code != 0 || stdout != want+want || stderr != "" {
			t.Errorf("%s: got %d, %q, %q", at, code, stdout, stderr)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"127.0.0.1:1"}} {
		if code, stdout, stderr := penctl(args...); code != 0 || stdout != usage+"\n" || stderr != "" {
			t.Errorf("%v: got %d, %q, %q", args, code, stdout, stderr)
		}
	}
}

func TestErrors(t *testing.T) {
	at := serve(t, "tcp", "127.0.0.1:0", echo)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"localhost", "servers"}, "no port given"},
		{[]string{"localhost:", "servers"}, "no port given"},
		{[]string{filepath.Join(t.TempDir(), "none"), "servers"}, "error connecting to server"},
		{[]string{"127.0.0.1:99999", "servers"}, "error connecting to server"},
		{[]string{"127.0.0.1:no-such-service", "servers"}, "error connecting to server"},
		{[]string{at, strings.Repeat("x", commandMax)}, "Overlong argument list"},
	} {
		code, stdout, stderr := penctl(c.args...)
		if code != 1 || stdout != "" || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: got %d, %q, %q", c.args, code, stdout, stderr)
		}
	}
	longest := strings.Repeat("x", commandMax-1)
	if code, stdout, _ := penctl(at, longest); code != 0 || stdout != longest+"\n"+longest+"\n" {
		t.Errorf("the longest command: got %d, %d bytes", code, len(stdout))
	}
}

func TestSplit(t *testing.T) {
	for _, c := range []struct{ in, network, address string }{
		{"localhost:8888", "tcp", "localhost:8888"},
		{"::1:8888", "tcp", "[::1]:8888"},
		{"[::1]:8888", "tcp", "[::1]:8888"},
		{":8888", "tcp", ":8888"},
		{"/run/pen.ctl", "unix", "/run/pen.ctl"},
		{"./pen:1", "unix", "./pen:1"},
	} {
		network, address, err := split(c.in)
		if network != c.network || address != c.address || err != nil {
			t.Errorf("%s: got %s, %s, %v", c.in, network, address, err)
		}
	}
}

// The server here says what it saw of our sending side while it replied.
func TestSendingSideStaysOpen(t *testing.T) {
	sawEnd := make(chan bool, 1)
	at := serve(t, "tcp", "127.0.0.1:0", func(conn net.Conn) {
		r := bufio.NewReader(conn)
		r.ReadString('\n')
		conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		_, err := r.ReadByte()
		sawEnd <- err == io.EOF
	})
	if code, _, stderr := penctl(at, "mode"); code != 0 {
		t.Fatal(stderr)
	}
	if <-sawEnd {
		t.Error("the sending side was closed")
	}
}

func TestLongReply(t *testing.T) {
	const size = 32 << 20
	at := serve(t, "tcp", "127.0.0.1:0", func(conn net.Conn) {
		bufio.NewReader(conn).ReadString('\n')
		io.CopyN(conn, zeros{}, size)
	})
	var n counter
	if err := ask(at, []string{"status"}, &n); err != nil || n != size {
		t.Errorf("got %d bytes, %v", n, err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

type counter int

func (n *counter) Write(b []byte) (int, error) { *n += counter(len(b)); return len(b), nil }

// A control port is shown the token in a file; a Unix socket wants none.
func TestToken(t *testing.T) {
	name := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(name, []byte("# of pen\n\n secret \nanother\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PENCTL_TOKEN_FILE", name)
	port := serve(t, "tcp", "127.0.0.1:0", echo)
	if _, stdout, stderr := penctl(port, "mode"); !strings.HasPrefix(stdout, "auth secret mode\n") {
		t.Errorf("%q, %q", stdout, stderr)
	}
	if _, stdout, stderr := penctl(serve(t, "unix", filepath.Join(t.TempDir(), "ctl"), echo), "mode"); !strings.HasPrefix(stdout, "mode\n") {
		t.Errorf("Unix socket: %q, %q", stdout, stderr)
	}
	for _, text := range []string{"", "# nothing\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, _, stderr := penctl(port, "mode"); code != 1 || !strings.Contains(stderr, "there is no token in") {
			t.Errorf("%q: %d, %q", text, code, stderr)
		}
	}
	t.Setenv("PENCTL_TOKEN_FILE", name+"/none")
	if code, _, stderr := penctl(port, "mode"); code != 1 || !strings.Contains(stderr, "PENCTL_TOKEN_FILE: ") {
		t.Errorf("%d, %q", code, stderr)
	}
}

// A client that may not ask is closed on, which resets the connection where
// some of the command was not read.
func TestClosedOn(t *testing.T) {
	at := serve(t, "tcp", "127.0.0.1:0", func(conn net.Conn) { conn.Read(make([]byte, 1)) })
	if code, stdout, stderr := penctl(at, "mode"); code != 0 || stdout != "" || stderr != "" {
		t.Errorf("got %d, %q, %q", code, stdout, stderr)
	}
}

func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		go func() {
			defer theirs.Close()
			bufio.NewReader(theirs).ReadString('\n')
			for range 3 { // slow is no silence
				time.Sleep(silence - time.Second)
				io.WriteString(theirs, "x")
			}
			io.Copy(io.Discard, theirs) // nothing more until the other one gives up
		}()
		var reply bytes.Buffer
		err := exchange(ours, "status\n", &reply)
		if err == nil || !strings.Contains(err.Error(), "within 1m0s") || reply.String() != "xxx" {
			t.Errorf("got %v, %q", err, reply.String())
		}
	})
}
