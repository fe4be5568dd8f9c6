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

// Dial connects to an address. See [Own] for the connection's end.
func Dial(t testing.TB, addr net.Addr) Conn {
	t.Helper()
	return dial(t, net.Dialer{}, addr)
}

// DialFrom is Dial from an address of loopback.
func DialFrom(t testing.TB, from string, addr net.Addr) Conn {
	t.Helper()
	return dial(t, net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}, addr)
}

// dial connects. A server that resets what it has accepted may do so before
// connect has returned, which reports it then: here it is for the first read.
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

// A wasReset is a connection that was reset before anybody had it.
type wasReset struct {
	net.TCPConn // nil: its other methods fail
	err         error
}

func (c *wasReset) Read([]byte) (int, error)    { return 0, c.err }
func (c *wasReset) Write(b []byte) (int, error) { return len(b), nil }
func (c *wasReset) CloseWrite() error           { return nil }
func (c *wasReset) Close() error                { return nil }

// Own makes a connection end with the test: it is closed then at the latest,
// and until then no read or write blocks for longer than twice the Limit.
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

// WantBytes reads as many bytes as want has, which must be the same.
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

// WantEnd reads n bytes and then an orderly end of the stream.
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

// WantClosed reads until the stream ends, in whatever way. No bytes may come.
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

// CloseWrite ends what c sends.
func CloseWrite(t testing.TB, c Conn) {
	t.Helper()
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

// Error returns, and clears, the error that waits at a socket, or nil. After
// the end of a stream a reset is not seen by reading: this is how it is.
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

// Unsent returns how many bytes were written to a TCP connection that the other
// side's system does not have yet.
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

// A reader and a writer hide what else a connection can do: Go would splice,
// and keep the pipe.
type (
	reader struct{ io.Reader }
	writer struct{ io.Writer }
)

// OwnPacket is [Own] for what carries datagrams.
func OwnPacket(t testing.TB, c net.Conn) net.Conn {
	t.Helper()
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(2 * Limit)); err != nil {
		t.Fatal(err)
	}
	return c
}
