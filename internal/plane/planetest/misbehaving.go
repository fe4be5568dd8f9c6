package planetest

import (
	"io"
	"net"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"pen/internal/dispatch"
	"pen/internal/pool"
	"pen/internal/testenv"
)

// Servers on Unix sockets can do what is impossible by TCP.
var misbehaving = []conformance{
	{"a server stops reading and answers", func(t *testing.T, build New) { stopsReading(t, build, 0) }},
	{"a server stops reading and answers a slow reader", func(t *testing.T, build New) { stopsReading(t, build, 32<<10) }},
	{"a server closes with bytes unread", closesUnread},
	{"a server whose queue is full is waited for", busyServer},
	{"a server whose queue stays full is not blamed", busyForLong},
}

// unixServer starts a service with one server on a Unix socket.
func unixServer(t *testing.T, build New) (*service, *testenv.Listener) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "server")
	ln := testenv.Listen(t, "unix", path)
	cfg := config()
	cfg.Pool.Servers = []pool.Config{{Path: path, Weight: 1}}
	return start(t, build, testenv.Loopback, cfg), ln
}

// closeRead closes a server's connection for reading.
func closeRead(t *testing.T, c testenv.Conn) {
	t.Helper()
	if err := c.(*net.UnixConn).CloseRead(); err != nil {
		t.Fatal(err)
	}
}

// wasted waits until the plane has read n bytes from the client that it can't pass on.
func (s *service) wasted(t *testing.T, n uint64) {
	t.Helper()
	testenv.Eventually(t, "the server does not take what the client sends", func() bool {
		f := s.d.Status().Flows
		return len(f) == 1 && f[0].FromClient == f[0].ToServer+n
	})
}

// dialSmall connects a client with a receive buffer of some bytes; 0 is the system's
// default.
func (s *service) dialSmall(t *testing.T, size int) testenv.Conn {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if size > 0 {
			c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, size) })
		}
		return err
	}}
	c, err := d.Dial("tcp", s.ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return testenv.Own(t, c)
}

// stopsReading has a server stop reading while its client goes on, and answer:
// the client gets all of it, and then the end, since nothing is missing.
func stopsReading(t *testing.T, build New, receiveBuffer int) {
	const size = 1 << 20
	s, ln := unixServer(t, build)
	client, server := s.dialSmall(t, receiveBuffer), ln.Next(t)
	exchange(t, client, server)
	closeRead(t, server)
	testenv.Write(t, client, "more")
	s.wasted(t, uint64(len("more")))
	testenv.Write(t, client, "and more")
	var sent sync.WaitGroup
	sent.Go(func() {
		if _, err := server.Write(make([]byte, size)); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	testenv.WantEnd(t, client, size)
	sent.Wait()
	s.flows(t, 0)
}

// closesUnread has a server close while it has not read all bytes of the client.
func closesUnread(t *testing.T, build New) {
	s, ln := unixServer(t, build)
	client, server := s.dial(t), ln.Next(t)
	exchange(t, client, server)
	testenv.Write(t, client, "unread")
	testenv.Eventually(t, "the server has the bytes", func() bool {
		f := s.d.Status().Flows
		return len(f) == 1 && f[0].ToServer == uint64(len("from the client")+len("unread"))
	})
	testenv.Write(t, server, "answer")
	server.Close()
	testenv.WantReset(t, client, int64(len("answer")))
	s.flows(t, 0)
}

// fullQueue starts a server on a Unix socket with the shortest possible queue, which is
// full. It returns the number of connections in the queue.
func fullQueue(t *testing.T, path string) (ln *testenv.Listener, queued int) {
	t.Helper()
	ln = testenv.Listen(t, "unix", path)
	raw, err := ln.Listener.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if cerr := raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 0) }); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	for {
		c, err := net.Dial("unix", path)
		if err != nil {
			return ln, queued
		}
		testenv.Own(t, c)
		queued++
	}
}

// busyServer has several clients wait for a server that accepts late.
func busyServer(t *testing.T, build New) {
	const n = 5
	path := filepath.Join(t.TempDir(), "server")
	ln, queued := fullQueue(t, path)
	cfg := config()
	cfg.Pool.Servers = []pool.Config{{Path: path, Weight: 1}}
	s := start(t, build, testenv.Loopback, cfg)
	var clients []testenv.Conn
	for range n {
		clients = append(clients, s.dial(t))
	}
	leaves := s.dial(t)
	s.connecting(t, n+1)
	if id := s.d.Status().Flows[n].ID; !s.d.Kill(id) {
		t.Errorf("there is no flow %d", id)
	}
	testenv.WantReset(t, leaves, 0)
	for range queued {
		ln.Next(t).Close()
	}
	var all sync.WaitGroup
	for range n {
		server := ln.Next(t)
		all.Go(func() { io.Copy(struct{ io.Writer }{server}, struct{ io.Reader }{server}) })
	}
	for _, client := range clients {
		echo(t, client)
		client.Close()
	}
	all.Wait()
	s.wantFailed(t, false)
}

// busyForLong keeps the queue full for longer than a connect may take: the client goes
// to another server, but this one is not blacklisted.
func busyForLong(t *testing.T, build New) {
	path := filepath.Join(t.TempDir(), "server")
	fullQueue(t, path)
	cfg := config(testenv.Echo(t))
	cfg.ConnectTimeout = 100 * time.Millisecond
	cfg.Pool.Servers = append([]pool.Config{{Path: path, Weight: 1}}, cfg.Pool.Servers...)
	s := start(t, build, testenv.Loopback, cfg)
	echo(t, s.dial(t))
	s.wantFailed(t, false, false)
}

// connecting waits until n flows are connecting to a server.
func (s *service) connecting(t *testing.T, n int) {
	t.Helper()
	testenv.Eventually(t, "the flows connect", func() bool {
		var flows []dispatch.FlowStatus
		for _, f := range s.d.Status().Flows {
			if !f.Up && f.Server >= 0 {
				flows = append(flows, f)
			}
		}
		return len(flows) == n
	})
}
