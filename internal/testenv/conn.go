package testenv

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A Conn is a TCP or a Unix connection.
type Conn interface {
	net.Conn
	syscall.Conn
	CloseWrite() error
}

// Dial connects to an address. [Own] says when the connection is closed.
func Dial(t testing.TB, addr net.Addr) Conn {
	t.Helper()
	return dial(t, net.Dialer{}, addr)
}

// DialFrom is [Dial] from an address of loopback.
func DialFrom(t testing.TB, from string, addr net.Addr) Conn {
	t.Helper()
	return dial(t, net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}, addr)
}

// dial connects. A server may reset a connection before connect has returned, which
// then reports the reset. Here the first read reports it.
func dial(t testing.TB, d net.Dialer, addr net.Addr) Conn {
	t.Helper()
	d.Timeout = Limit
	c, err := d.Dial(addr.Network(), addr.String())
	if errors.Is(err, syscall.ECONNRESET) {
		return &wasReset{err: err}
	}
	if err != nil {
		t.Fatal(err)
	}
	return Own(t, c)
}

// A wasReset is a connection that was reset before connect returned.
type wasReset struct {
	net.TCPConn // nil: its other methods fail
	err         error
}

func (c *wasReset) Read([]byte) (int, error)    { return 0, c.err }
func (c *wasReset) Write(b []byte) (int, error) { return len(b), nil }
func (c *wasReset) CloseWrite() error           { return nil }
func (c *wasReset) Close() error                { return nil }

// Own closes a connection at the end of the test, at the latest. Until then no read or
// write blocks for longer than twice the Limit.
func Own(t testing.TB, c net.Conn) Conn {
	t.Helper()
	return OwnPacket(t, c).(Conn)
}

// Reset closes a TCP connection with a reset.
func Reset(t testing.TB, c Conn) {
	t.Helper()
	if err := c.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

// WantBytes reads len(want) bytes, which must be want.
func WantBytes(t testing.TB, c Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil {
		t.Fatalf("read %d bytes of %d: %v", n, len(want), err)
	}
	if string(got) != want {
		t.Fatalf("read %q, want %q", got, want)
	}
}

// WantEnd reads n bytes and then the end of the stream.
func WantEnd(t testing.TB, c Conn, n int64) {
	t.Helper()
	if got, err := io.Copy(io.Discard, reader{c}); err != nil || got != n {
		t.Fatalf("read %d bytes and then %v, want %d and the end of the stream", got, err, n)
	}
}

// WantReset reads n bytes and then a reset.
func WantReset(t testing.TB, c Conn, n int64) {
	t.Helper()
	if got, err := io.Copy(io.Discard, reader{c}); !errors.Is(err, syscall.ECONNRESET) || got != n {
		t.Fatalf("read %d bytes and then %v, want %d and a reset", got, err, n)
	}
}

// WantClosed reads until the stream ends, by EOF or by a reset. No bytes may come.
func WantClosed(t testing.TB, c Conn) {
	t.Helper()
	n, err := io.Copy(io.Discard, reader{c})
	if n != 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("read %d bytes and then %v, want a closed connection", n, err)
	}
}

// Write writes a text.
func Write(t testing.TB, c Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// CloseWrite closes c for writing.
func CloseWrite(t testing.TB, c Conn) {
	t.Helper()
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

// Error returns and clears the pending error of a socket, or nil. It finds a reset that
// comes after the end of a stream, which no read reports.
func Error(t testing.TB, c Conn) error {
	t.Helper()
	errno := onSocket(t, c, func(fd int) (int, error) {
		return unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	})
	if errno != 0 {
		return syscall.Errno(errno)
	}
	return nil
}

// Unsent returns how many of the bytes written to a TCP connection the peer has not
// acknowledged.
func Unsent(t testing.TB, c Conn) int {
	t.Helper()
	return onSocket(t, c, func(fd int) (int, error) { return unix.IoctlGetInt(fd, unix.TIOCOUTQ) })
}

func onSocket(t testing.TB, c Conn, f func(fd int) (int, error)) (n int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var ferr error
	if err := raw.Control(func(fd uintptr) { n, ferr = f(int(fd)) }); err != nil {
		t.Fatal(err)
	}
	if ferr != nil {
		t.Fatal(ferr)
	}
	return n
}

// A reader and a writer hide that a connection is a TCP connection: io.Copy would
// splice, and keep the pipe.
type (
	reader struct{ io.Reader }
	writer struct{ io.Writer }
)

// OwnPacket is [Own] for datagram sockets.
func OwnPacket(t testing.TB, c net.Conn) net.Conn {
	t.Helper()
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(2 * Limit)); err != nil {
		t.Fatal(err)
	}
	return c
}
