package health

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
	"net/netip"
	"strings"

	"pen/internal/check"
)

// handshake begins TLS on a connection.
func handshake(c net.Conn, t Target) (net.Conn, error) {
	cfg := &tls.Config{ServerName: hostname(t.Key), InsecureSkipVerify: !t.Spec.Verify}
	if t.Spec.Kind == check.HTTPS {
		cfg.NextProtos = []string{"http/1.1"}
	}
	tc := tls.Client(c, cfg)
	if err := tc.Handshake(); err != nil {
		return nil, err
	}
	return tc, nil
}

// hostname is what a certificate must be for.
func hostname(k Key) string {
	host := k.Spec.Host
	switch {
	case host == "" && k.Path != "":
		return "localhost"
	case host == "":
		return k.Addr.Addr().WithZone("").String()
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

// hostHeader is what an HTTP request is for (RFC 9112, section 3.2).
func hostHeader(k Key) string {
	at := k.at()
	switch {
	case k.Spec.Host != "":
		return k.Spec.Host
	case k.Path != "":
		return "localhost"
	}
	return netip.AddrPortFrom(at.Addr().WithZone(""), at.Port()).String()
}

// askHTTP sends a request and reads the head of the answer. The body, which may
// be endless, is left unread.
func askHTTP(c net.Conn, t Target) (string, error) {
	_, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: pen\r\nAccept: */*\r\nConnection: close\r\n\r\n", t.Spec.Arg, hostHeader(t.Key))
	if err != nil {
		return "", err
	}
	in := &failing{Reader: c}
	r := bufio.NewReader(in)
	for {
		resp, err := http.ReadResponse(r, nil)
		if err != nil && in.err != nil {
			err = in.err // net/http would say that what came until then is malformed
		}
		if err != nil {
			return "", err
		}
		code := resp.StatusCode
		if code < 200 && code != http.StatusSwitchingProtocols {
			continue // an interim answer
		}
		if code < t.Spec.StatusMin || code > t.Spec.StatusMax {
			return "", fmt.Errorf("status %d", code)
		}
		return fmt.Sprintf("status %d", code), nil
	}
}

// failing remembers why reading failed.
type failing struct {
	io.Reader
	err error
}

func (f *failing) Read(b []byte) (int, error) {
	n, err := f.Reader.Read(b)
	f.err = err
	return n, err
}

// sendExpect sends and reads until what is expected has come.
func sendExpect(c net.Conn, s check.Spec) (string, error) {
	if _, err := io.WriteString(c, s.Send); err != nil {
		return "", err
	}
	want := []byte(s.Expect)
	var got []byte
	buf := make([]byte, 4<<10)
	for {
		n, err := c.Read(buf)
		searched := max(0, len(got)-len(want))
		got = append(got, buf[:n]...)
		switch {
		case bytes.Contains(got[searched:], want):
			return fmt.Sprintf("got %q", want), nil
		case err != nil && len(got) > 0:
			return "", &unexpected{s.Expect, got}
		case err != nil:
			return "", err
		}
	}
}

// askAgent connects to a server's agent and reads a line.
func askAgent(ctx context.Context, t Target) (*check.Report, error) {
	c, err := dial(ctx, t)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if _, err := io.WriteString(c, t.Spec.Send); err != nil {
		return nil, err
	}
	line, err := readAgentLine(newAgentReader(c))
	if err != nil && !errors.Is(err, errNoEnd) { // the agent's end ends its line
		return nil, err
	}
	report, err := check.ParseAgent(line)
	if err != nil {
		return nil, err
	}
	return &report, nil
}

func newAgentReader(r io.Reader) *bufio.Reader {
	return bufio.NewReaderSize(r, check.MaxAgentLine+len("\r\n"))
}

var (
	errLongLine = fmt.Errorf("a line of more than %d bytes", check.MaxAgentLine)
	errNoEnd    = errors.New("the connection ended within a line")
)

// readAgentLine reads a line, without its end. The error is errNoEnd for a last
// one that has none.
func readAgentLine(r *bufio.Reader) (string, error) {
	b, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", errLongLine
	}
	if errors.Is(err, io.EOF) && len(b) > 0 {
		err = errNoEnd
	} else if err != nil {
		return "", err
	}
	return strings.TrimRight(string(b), "\r\n"), err
}
