package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"pen/internal/check"
	"pen/internal/edge"
	"pen/internal/sock"
	"pen/internal/wire"
)

// maxBytes bounds what is read from a server in one check.
const maxBytes = 64 << 10

// An Outcome is a check's result, and an agent's report.
type Outcome struct {
	check.Result
	Report *check.Report // of an agent that replied; otherwise nil
}

// A Prober runs one check. It blocks until the check has ended, which is soon after its
// timeout, or after ctx is done. Many goroutines may call it at once.
type Prober func(ctx context.Context, t Target) Outcome

// Probe is the [Prober] for real servers. When it returns, all its connections are closed
// and its programs have ended.
func Probe(ctx context.Context, t Target) Outcome {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, t.Spec.Timeout)
	defer cancel()
	var o Outcome
	var reason string
	var err error
	switch t.Spec.Kind {
	case check.Exec:
		reason, err = runProgram(ctx, t)
	case check.Agent:
		err = eachAddress(ctx, t, func(ctx context.Context, t Target) (err error) {
			o.Report, err = askAgent(ctx, t)
			return err
		})
	default:
		err = eachAddress(ctx, t, func(ctx context.Context, t Target) (err error) {
			reason, err = ask(ctx, t)
			return err
		})
	}
	o.Result = result(t.Spec, o.Report, reason, err)
	o.Duration = time.Since(start)
	return o
}

// result judges how a check ended. An agent that does not reply says nothing about its
// server: that is for other checks.
func result(spec check.Spec, report *check.Report, reason string, err error) check.Result {
	switch {
	case err != nil && isLocal(err, spec.Kind):
		return check.Result{Verdict: check.Local, Reason: explain(err, spec.Timeout)}
	case err != nil && spec.Kind == check.Agent:
		return check.Result{Verdict: check.Silent, Reason: explain(err, spec.Timeout)}
	case err != nil:
		return check.Result{Verdict: check.Failed, Reason: explain(err, spec.Timeout)}
	case report == nil:
		return check.Result{Verdict: check.Passed, Reason: check.Reason(reason)}
	}
	r := check.Result{Verdict: check.Silent, Reason: check.Reason(report.String())}
	switch report.State {
	case check.Up:
		r.Verdict = check.Passed
	case check.Down:
		r.Verdict = check.Failed
	}
	return r
}

// eachAddress tries the addresses of a server until one accepts a connection, or, with
// datagrams, replies. Each gets an equal share of the time. The error is that of the last
// one tried.
func eachAddress(ctx context.Context, t Target, ask func(ctx context.Context, t Target) error) error {
	var unreachable *connectError
	others := t.Others
	for {
		limited, cancel := context.WithCancel(ctx)
		if end, ok := ctx.Deadline(); ok && len(others) > 0 {
			cancel()
			limited, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(len(others)+1))
		}
		err := ask(limited, t)
		cancel()
		if err == nil || len(others) == 0 || ctx.Err() != nil || !t.Spec.IsDatagram() && !errors.As(err, &unreachable) {
			return err
		}
		t.Addr = netip.AddrPortFrom(others[0], t.Addr.Port())
		others = others[1:]
	}
}

// A connectError is the reason why there is no connection.
type connectError struct{ error }

func (e *connectError) Unwrap() error { return e.error }

// ask runs a check over one connection. reason describes its success.
func ask(ctx context.Context, t Target) (reason string, err error) {
	c, err := dial(ctx, t)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if t.Spec.IsTLS() && t.Preamble.TLS == nil {
		if c, err = handshake(c, t); err != nil {
			return "", err
		}
	}
	switch t.Spec.Kind {
	case check.HTTP, check.HTTPS:
		return askHTTP(c, t)
	case check.Send, check.Script:
		return talk(c, t.Spec)
	case check.SMTP:
		return askSMTP(c, t.Spec.Host)
	case check.MySQL:
		return askMySQL(c, t.Spec.User)
	case check.PostgreSQL:
		return askPostgreSQL(c, t.Spec.User)
	case check.Redis:
		return askRedis(c)
	case check.LDAP:
		return askLDAP(c)
	case check.UDP:
		return sendExpectDatagram(c, t.Spec)
	case check.DNS:
		return askDNS(c, t.Spec.Arg)
	}
	return "connected", nil
}

// dial connects and sends the preamble that the server expects. At most maxBytes can be
// read from the connection, and nothing once ctx is done.
func dial(ctx context.Context, t Target) (net.Conn, error) {
	c, err := sock.Dial(ctx, sock.Target{Addr: t.at(), Path: t.Path, Datagram: t.Spec.IsDatagram(), Timeout: t.Spec.Timeout})
	if err != nil {
		return nil, &connectError{err}
	}
	opened, err := open(ctx, c, t)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	c = opened
	if deadline, ok := ctx.Deadline(); ok {
		c.SetDeadline(deadline)
	}
	past := time.Unix(1, 0)
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(past) })
	return &limited{Conn: c, left: maxBytes, stop: stop}, nil
}

// open sends the PROXY header and starts TLS, if the server expects these. The header
// says that the connection is the sender's own (LOCAL).
func open(ctx context.Context, c net.Conn, t Target) (net.Conn, error) {
	if t.Preamble == (edge.Preamble{}) {
		return c, nil
	}
	h := wire.Header{Local: true, Source: sock.AddrPort(c.LocalAddr()), Destination: sock.AddrPort(c.RemoteAddr()), Datagram: t.Spec.IsDatagram()}
	if h.Datagram {
		return &headed{c, h.Append(nil, t.Preamble.Header)}, nil
	}
	secure, err := t.Preamble.Open(ctx, c, h, t.Spec.Timeout)
	if err != nil || secure == nil {
		return c, err
	}
	return secure, nil
}

// headed prepends a header to each datagram.
type headed struct {
	net.Conn
	header []byte
}

func (h *headed) Write(b []byte) (int, error) {
	n, err := h.Conn.Write(append(slices.Clip(h.header), b...))
	return max(0, n-len(h.header)), err
}

var errTooMuch = fmt.Errorf("more than %d bytes", maxBytes)

// limited is a connection from which only a limited number of bytes can be read.
type limited struct {
	net.Conn
	left int
	stop func() bool
}

func (l *limited) Read(b []byte) (int, error) {
	if l.left == 0 {
		return 0, errTooMuch
	}
	n, err := l.Conn.Read(b[:min(len(b), l.left)])
	l.left -= n
	return n, err
}

func (l *limited) Close() error {
	l.stop()
	return l.Conn.Close()
}

// isLocal reports whether a check failed because this machine lacked something.
func isLocal(err error, kind check.Kind) bool {
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, sock.ErrBusy) {
		// Too many processes, or a Unix server whose queue was full all the time.
		return kind == check.Exec
	}
	return sock.IsLocal(err) || errors.Is(err, syscall.ENETDOWN)
}

// explain returns in a few words why a check failed.
func explain(err error, timeout time.Duration) string {
	var mismatch *unexpected
	var errno syscall.Errno
	switch {
	case errors.As(err, &mismatch):
		return check.Reason(mismatch.Error())
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("timeout after %v", timeout)
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed"
	}
	return check.Reason(err.Error())
}

// unexpected is the error for a reply that differs from what was expected.
type unexpected struct {
	want string
	got  []byte
}

func (u *unexpected) Error() string {
	const most = 40 // bytes of each that are shown
	return fmt.Sprintf("expected %.*q, got %.*q", most, u.want, most, u.got)
}
