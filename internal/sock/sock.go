// Package sock opens sockets: it understands Pen's addresses, resolves names,
// listens and connects.
package sock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// AddrPort returns the address of one end of a connection, or of a datagram; Unix sockets
// have none. It does not allocate.
func AddrPort(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.AddrPort()
	case *net.UDPAddr:
		return a.AddrPort()
	}
	return netip.AddrPort{}
}

// Split takes a listener's or control address apart (specification, section
// 2): a text with a slash is the path of a Unix socket; otherwise the last
// colon separates host and port, and without one it is a port on all IPv4
// addresses. An IPv6 address may stand in brackets.
func Split(addr string) (network, address string, err error) {
	if strings.Contains(addr, "/") {
		return "unix", addr, nil
	}
	host, port := "0.0.0.0", addr
	if i := strings.LastIndexByte(addr, ':'); i >= 0 {
		host, port = strings.Trim(addr[:i], "[]"), addr[i+1:]
	}
	n, err := LookupPort(port)
	if err != nil {
		return "", "", fmt.Errorf("address %q: %w", addr, err)
	}
	network = "tcp"
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is4() {
		network = "tcp4"
	}
	return network, net.JoinHostPort(host, strconv.Itoa(n)), nil
}

// LookupPort returns the number of a port, 1 to 65535, or 0 for any. The text
// may be the name of a service.
func LookupPort(port string) (int, error) {
	if n, err := strconv.Atoi(port); err == nil {
		if n < 0 || n > 65535 {
			return 0, fmt.Errorf("port %d out of range, want 1 to 65535", n)
		}
		return n, nil
	}
	for _, network := range []string{"tcp", "udp"} {
		if n, err := net.LookupPort(network, port); err == nil && port != "" {
			return n, nil
		}
	}
	return 0, fmt.Errorf("unknown port %q, want a number or a service name", port)
}

// A Target is what Dial connects to.
type Target struct {
	Addr      netip.AddrPort // where Path is empty
	Path      string         // of a Unix socket
	Datagram  bool           // by UDP, or by datagrams to a Unix socket
	Timeout   time.Duration
	KeepAlive bool // probe the other side when it is silent
	// Source is the local address, where one of its family is of use. Transparent
	// says that it may be another machine's, such as the client's.
	Source      netip.Addr
	Transparent bool
}

// Dial connects to a server. It blocks until it is connected, has failed, ctx
// is done, or the time is over.
func Dial(ctx context.Context, t Target) (net.Conn, error) {
	d := net.Dialer{Timeout: t.Timeout, KeepAlive: -1}
	network, address := t.network(), t.Path
	if t.Path == "" {
		address = t.Addr.String()
	}
	source, sourced := t.local()
	switch {
	case sourced && t.Datagram:
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
	case sourced:
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
	}
	if t.KeepAlive || sourced || network == "unixgram" {
		d.Control = func(_, _ string, c syscall.RawConn) error { return control(c, t.prepare) }
	}
	c, err := d.DialContext(ctx, network, address)
	if errors.Is(err, syscall.EAGAIN) && network == "unix" {
		c, err = dialBusy(ctx, &d, address)
	}
	if err != nil {
		return nil, t.explain(cause(err))
	}
	return c, nil
}

// dialBusy connects to a Unix socket whose queue was full a moment ago. The
// kernel does not tell when there is room: it is tried again and again.
func dialBusy(ctx context.Context, d *net.Dialer, path string) (net.Conn, error) {
	const longest = 64 * time.Millisecond
	if d.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, d.Timeout, ErrBusy)
		defer cancel()
	}
	for pause := 4 * time.Millisecond; ; pause = min(2*pause, longest) {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(pause):
		}
		c, err := d.DialContext(ctx, "unix", path)
		// The dialer may see that time is up before ctx does. EAGAIN is a timeout
		// as well.
		var late net.Error
		if err == nil || ctx.Err() == nil && !(errors.As(err, &late) && late.Timeout()) {
			return c, err
		}
	}
}

// explain returns what an error of connecting means. That a network or a host
// can't be reached is the word of a router, or of the server's own network, unless
// this machine has no route itself.
func (t Target) explain(err error) error {
	if !errors.Is(err, syscall.ENETUNREACH) && !errors.Is(err, syscall.EHOSTUNREACH) || t.hasRoute() {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNoRoute, err)
}

// hasRoute reports whether this machine knows a way to the target. To connect a
// UDP socket is to ask for that way, and sends nothing.
func (t Target) hasRoute() bool {
	d := net.Dialer{Timeout: time.Second}
	if source, sourced := t.local(); sourced && !t.Transparent {
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
	}
	c, err := d.Dial("udp", t.Addr.String())
	if err != nil {
		return !errors.Is(err, syscall.ENETUNREACH) && !errors.Is(err, syscall.EHOSTUNREACH)
	}
	c.Close()
	return true
}

// network is Go's name for what the target is reached by.
func (t Target) network() string {
	switch {
	case t.Path != "" && t.Datagram:
		return "unixgram"
	case t.Path != "":
		return "unix"
	case t.Datagram:
		return "udp"
	}
	return "tcp"
}

// local returns the address, of the server's family, that a socket is to be
// bound to before it is connected, with port 0; false leaves it to the kernel.
// A client's address is no use where no answer could come back to it: one of
// loopback anywhere else, and one of a link without the link's name.
func (t Target) local() (netip.Addr, bool) {
	source, server := t.Source, t.Addr.Addr()
	switch {
	case t.Path != "" || !source.IsValid() || source.Is4() != server.Is4(),
		t.Transparent && source.IsLoopback() && !server.IsLoopback(),
		t.Transparent && source.Is6() && source.IsLinkLocalUnicast():
		return netip.Addr{}, false
	}
	return source, true
}

// prepare sets the options of a socket before it is bound and connected.
func (t Target) prepare(fd int) error {
	switch {
	case t.Path != "" && t.Datagram:
		return bindAnyName(fd)
	case t.Path != "":
		return nil
	case t.KeepAlive && !t.Datagram:
		if err := setKeepAlive(fd); err != nil {
			return err
		}
	}
	source, sourced := t.local()
	if !sourced {
		return nil
	}
	if t.Transparent {
		if err := setTransparent(fd, source.Is6()); err != nil {
			return fmt.Errorf("transparent: %w", err)
		}
	}
	return setBindLate(fd)
}

// ErrBusy says that the queue of a Unix socket stayed full for as long as a
// connect may take: its server is alive, and slow.
var ErrBusy = errors.New("the server does not accept connections fast enough")

// ErrNoRoute says that this machine has no way to a server: its own network is
// down, or not set up.
var ErrNoRoute = errors.New("this machine has no route to the server")

// IsLocal reports whether an error is a lack of something on this machine, or a
// server's want of time, for which the server can't be taken as failed.
func IsLocal(err error) bool {
	for _, e := range []error{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL, syscall.EAGAIN,
		syscall.ENETDOWN, ErrBusy, ErrNoRoute, context.Canceled, net.ErrClosed,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// cause strips what Go's net package says around an error and we say better.
func cause(err error) error {
	var op *net.OpError
	if !errors.As(err, &op) {
		return err
	}
	if op.Timeout() && !errors.Is(err, syscall.EAGAIN) { // which Go takes for a time-out
		return os.ErrDeadlineExceeded
	}
	var sys *os.SyscallError
	if errors.As(op.Err, &sys) {
		return sys.Err
	}
	return op.Err
}

// keepAlive has the kernel find out which clients and servers are gone.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 10 * time.Second, Count: 3}

// control runs f on the descriptor of a connection.
func control(c syscall.RawConn, f func(fd int) error) error {
	var err error
	if cerr := c.Control(func(fd uintptr) { err = f(int(fd)) }); cerr != nil {
		return cerr
	}
	return err
}

// Failure returns, and takes away, the error that waits at a socket, or nil.
func Failure(fd int) error {
	errno, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ERROR)
	if err == nil && errno != 0 {
		err = syscall.Errno(errno)
	}
	return err
}
