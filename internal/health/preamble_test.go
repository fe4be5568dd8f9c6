package health

import (
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"pen/internal/check"
	"pen/internal/edge"
	"pen/internal/testenv"
	"pen/internal/tlsterm"
	"pen/internal/wire"
)

// behindHeader serves HTTP to whoever begins with a PROXY header of the sender's
// own connection, and hangs up on everybody else.
type behindHeader struct{ net.Listener }

func (b behindHeader) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		buf := make([]byte, 0, wire.MaxHeader)
		for {
			n, err := c.Read(buf[len(buf) : len(buf)+1]) // what follows is the server's
			buf = buf[:len(buf)+n]
			h, _, perr := wire.ParseHeader(buf)
			if perr == nil && (h.Local || buf[0] == 'P') {
				return c, nil
			}
			if err != nil || perr == nil || perr != wire.ErrShort {
				c.Close()
				break
			}
		}
	}
}

// client returns TLS that trusts a server's certificate.
func client(t *testing.T, s *httptest.Server, name string) *tlsterm.Client {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := tlsterm.NewClient(tlsterm.ClientConfig{CA: file, Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestWay has checks begin connections as the service does.
func TestWay(t *testing.T) {
	for _, secure := range []bool{false, true} {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "well") }))
		s.Listener = behindHeader{s.Listener}
		var preamble edge.Preamble
		if secure {
			s.StartTLS()
			preamble = edge.Preamble{TLS: client(t, s, "example.com")}
		} else {
			s.Start()
		}
		t.Cleanup(s.Close)
		k := Key{Addr: netip.MustParseAddrPort(s.Listener.Addr().String()), Preamble: preamble}
		wantOutcome(t, k, "http /", check.Failed, "connection")
		for k.Preamble.Header = range 3 {
			if k.Preamble.Header == 0 {
				continue
			}
			wantOutcome(t, k, "http /", check.Passed, "status 200")
			wantOutcome(t, k, `send x\r\n\r\n expect 400`, check.Passed, "got")
			wantOutcome(t, k, "tcp", check.Passed, "connected")
		}
		if secure {
			k.Preamble.TLS = client(t, s, "other.example")
			wantOutcome(t, k, "http /", check.Failed, "TLS: tls: failed to verify certificate")
			wantOutcome(t, k, "tcp", check.Failed, "TLS: tls: failed to verify certificate")
		}
	}
}

// TestWayOfDatagrams has each datagram of a check begin with a header.
func TestWayOfDatagrams(t *testing.T) {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(testenv.Loopback)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			h, size, err := wire.ParseHeader(buf[:n])
			if err == nil && h.Local {
				c.WriteToUDPAddrPort(append([]byte("got "), buf[size:n]...), from)
			}
		}
	}()
	k := Key{Addr: c.LocalAddr().(*net.UDPAddr).AddrPort(), Preamble: edge.Preamble{Header: 2}}
	wantOutcome(t, k, `udp send ping expect got\sping`, check.Passed, "got")
}
