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

// handshake makes a TLS handshake on a connection.
func handshake(c net.Conn, t Target) (net.Conn, error) {
	cfg := &tls.Config{ServerName: hostname(t.Key), InsecureSkipVerify: !t.Spec.Verify}
	if t.Spec.Kind == check.HTTPS {
		cfg.NextProtos = []string{"http/1.1"}
	}
	if t.Spec.ALPN != "" {
		cfg.NextProtos = strings.Split(t.Spec.ALPN, ",")
	}
	tc := tls.Client(c, cfg)
	if err := tc.Handshake(); err != nil {
		return nil, err
	}
	if t.Spec.ALPN != "" && tc.ConnectionState().NegotiatedProtocol == "" {
		return nil, fmt.Errorf("it speaks none of the protocols %s", t.Spec.ALPN)
	}
	return tc, nil
}

// hostname is the name that the server's certificate must have.
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

// hostHeader is the Host header of an HTTP request (RFC 9112, section 3.2).
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

// askHTTP sends a request and reads the head of the response, and as much of its body,
// which may be endless, as it needs to find the expected text.
func askHTTP(c net.Conn, t Target) (string, error) {
	s := t.Spec
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", s.Method, s.Arg, hostHeader(t.Key))
	for _, h := range []struct{ name, value string }{{"User-Agent", "pen"}, {"Accept", "*/*"}} {
		if !strings.Contains("\n"+strings.ToLower(s.Headers), "\n"+strings.ToLower(h.name)+":") {
			fmt.Fprintf(&b, "%s: %s\r\n", h.name, h.value)
		}
	}
	if s.Send != "" || s.Method == "POST" || s.Method == "PUT" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(s.Send))
	}
	fmt.Fprintf(&b, "%sConnection: close\r\n\r\n%s", s.Headers, s.Send)
	if _, err := io.WriteString(c, b.String()); err != nil {
		return "", err
	}
	in := &failing{Reader: c}
	r := bufio.NewReader(in)
	for {
		resp, err := http.ReadResponse(r, &http.Request{Method: s.Method})
		if err != nil && in.err != nil {
			err = in.err // net/http would report a malformed response
		}
		if err != nil {
			return "", err
		}
		code := resp.StatusCode
		if code < 200 && code != http.StatusSwitchingProtocols {
			continue // an interim response
		}
		if code < s.StatusMin || code > s.StatusMax {
			return "", fmt.Errorf("status %d", code)
		}
		if s.Expect != "" {
			d := dialogue{conn: resp.Body}
			if err := d.expect(s.Expect); err != nil {
				return "", fmt.Errorf("status %d, %w", code, err)
			}
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

// talk carries out the steps of a check.
func talk(c net.Conn, s check.Spec) (string, error) {
	d := dialogue{conn: c}
	said := ""
	for step := range s.Script() {
		if !step.Expect {
			if _, err := io.WriteString(c, step.Text); err != nil {
				return "", err
			}
			continue
		}
		if err := d.expect(step.Text); err != nil {
			return "", err
		}
		said = step.Text
	}
	return fmt.Sprintf("got %q", said), nil
}

// A dialogue reads expected texts from a server, one after the other.
type dialogue struct {
	conn io.Reader
	got  []byte // after the last expected text
}

// expect reads until a text has come, after the one that was expected before it.
func (d *dialogue) expect(text string) error {
	want := []byte(text)
	buf := make([]byte, 4<<10)
	for searched := 0; ; {
		if i := bytes.Index(d.got[searched:], want); i >= 0 {
			d.got = d.got[searched+i+len(want):]
			return nil
		}
		searched = max(0, len(d.got)-len(want)+1)
		n, err := d.conn.Read(buf)
		d.got = append(d.got, buf[:n]...)
		switch {
		case n > 0:
		case err != nil && len(d.got) > 0:
			return &unexpected{text, d.got}
		case err != nil:
			return err
		}
	}
}

// askAgent connects to a server's agent and reads one line.
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
	if err != nil && !errors.Is(err, errNoEnd) { // the connection's end may end the line
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
	errNoEnd    = errors.New("the connection closed within a line")
)

// readAgentLine reads a line and returns it without its end. The error is errNoEnd for a
// last line that has none.
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
