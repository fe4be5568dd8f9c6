package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"pen/internal/config"
	"pen/internal/plane/stream"
	"pen/internal/stats"
	"pen/internal/testenv"
)

// says has a client say something, and returns what comes back first.
func says(t *testing.T, addr, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	io.WriteString(c, text)
	buf := make([]byte, 256)
	n, err := c.Read(buf)
	if n == 0 && err != nil {
		return err.Error()
	}
	return string(buf[:n])
}

// TestEdgesAtRunTime changes what is done before and behind relaying. A plane that
// can't do it is replaced behind the same socket, and so is one that does more than is
// wanted: no client is refused, and connections that are there go on.
func TestEdgesAtRunTime(t *testing.T) {
	for _, listen := range []string{testenv.Loopback, filepath.Join(t.TempDir(), "pen.sock")} {
		server := testenv.Echo(t).String()
		a := start(t, listen, server)
		network, addr := "tcp", a.Addr()
		if strings.Contains(listen, "/") {
			network, addr = "unix", listen
		}
		old, err := net.Dial(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		defer old.Close()
		ask := func(c net.Conn, text, want string) {
			t.Helper()
			buf := make([]byte, 256)
			io.WriteString(c, text)
			if n, err := c.Read(buf); err != nil || !strings.HasPrefix(string(buf[:n]), want) {
				t.Errorf("%s: got %q, %v, want %q", network, buf[:n], err, want)
			}
		}
		ask(old, "before", "before")

		stop := keepVisiting(t, func() error {
			c, err := net.Dial(network, addr)
			if err == nil {
				io.WriteString(c, "x")
				_, err = c.Read(make([]byte, 1))
				c.Close()
			}
			return err
		})
		for _, cmd := range []string{"send_proxy v1", "no send_proxy", "send_proxy v2", "send_proxy v1"} {
			change(t, a, cmd)
			relays := a.services[config.DefaultService].listeners[listen].kind == loopKind
			if want := cmd == "no send_proxy" && runtime.GOOS == "linux"; relays != want {
				t.Errorf("after %s event loops carry connections: %v, want %v", cmd, relays, want)
			}
			c, err := net.Dial(network, addr)
			if err != nil {
				t.Fatal(err)
			}
			ask(c, "hello", map[string]string{"no send_proxy": "hello", "send_proxy v1": "PROXY ", "send_proxy v2": "\r\n\r\n\x00"}[cmd])
			c.Close()
		}
		stop()
		if p, ok := a.services[config.DefaultService].listeners[listen].plane.(*stream.Plane); !ok {
			t.Errorf("the plane is %T, want one that knows edges", p)
		}
		ask(old, "still here", "still here")
	}
}

// TestTLSAtRunTime switches TLS on and off, many times, while clients of both kinds
// come. Each gets an orderly answer: nobody is refused or reset, and after a change
// nobody gets what was configured before.
func TestTLSAtRunTime(t *testing.T) {
	testenv.CheckLeaks(t)
	file := filepath.Join(t.TempDir(), "both.pem")
	keyPair(t, file, 1)
	const word = "long enough for a record's head"
	a := start(t, testenv.Loopback, named(t, word))
	stop := keepVisiting(t, func() error {
		err := handshake(a.Addr())
		if err != nil && strings.Contains(err.Error(), "first record does not look like a TLS handshake") {
			return nil // TLS is off
		}
		return err
	})
	for range 20 {
		change(t, a, "ssl "+file)
		if n := serial(t, a.Addr()); n != 1 {
			t.Errorf("certificate %d, want 1", n)
		}
		change(t, a, "no ssl")
		if got := visit(t, a.Addr()); got != word {
			t.Errorf("got %q, want %q", got, word)
		}
	}
	stop()
	if n := a.services[config.DefaultService].d.Status().Refused; n != [len(n)]uint64{} {
		t.Errorf("refused: %v", n)
	}
}

// keepVisiting has clients come, one after the other and several at once, until stop is
// called. None may be turned away.
func keepVisiting(t *testing.T, visit func() error) (stop func()) {
	over := make(chan struct{})
	var visitors sync.WaitGroup
	for range 4 {
		visitors.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				if err := visit(); err != nil {
					t.Errorf("a client was turned away: %v", err)
					return
				}
			}
		})
	}
	return func() {
		close(over)
		visitors.Wait()
	}
}

// Go gets a processor for the event loops when the first of them runs, and not before.
func TestProcessorForLoops(t *testing.T) {
	testenv.CheckLeaks(t)
	calls := make(chan bool, 10)
	opt := quiet(t)
	opt.OnLoops = func() { calls <- true }
	a, err := New(parse(t, "-O", "send_proxy v1", testenv.Loopback, "127.0.0.1:1"), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Stop(0) })
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	change(t, a, "timeout 3")
	if len(calls) != 0 {
		t.Error("there are no loops")
	}
	if runtime.GOOS != "linux" {
		return
	}
	for range 2 {
		change(t, a, "no send_proxy")
		change(t, a, "send_proxy v1")
	}
	testenv.Eventually(t, "the first loop runs", func() bool { return len(calls) == 1 })
}

// handshake has a client begin TLS.
func handshake(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(testenv.Limit))
	return tls.Client(c, &tls.Config{InsecureSkipVerify: true, ServerName: "www.example.com"}).Handshake()
}

func change(t *testing.T, a *App, line string) {
	t.Helper()
	if err := a.Apply(command(t, line)); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
}

// TestRoutesLeadToServices follows routes, by default, to services that change.
func TestRoutesLeadToServices(t *testing.T) {
	a := start(t, testenv.Loopback, named(t, "first"))
	for _, line := range []string{
		"service web", "service web server 0 address 127.0.0.1 port " + port(t, named(t, "web")), "route default web",
	} {
		change(t, a, line)
	}
	if got := says(t, a.Addr(), "no TLS"); got != "web\n" {
		t.Errorf("got %q, want the service that the route leads to", got)
	}
	change(t, a, "service web server 0 port "+port(t, named(t, "web2")))
	if got := says(t, a.Addr(), "no TLS"); got != "web2\n" {
		t.Errorf("got %q, want the service's new server", got)
	}
	if n := a.services["web"].d.Flows() + a.services[config.DefaultService].d.Flows(); n > 2 {
		t.Errorf("%d flows are left", n)
	}
	if err := a.Apply(command(t, "no service web")); err == nil || !strings.Contains(err.Error(), "route default: there is no service web") {
		t.Errorf("a service that a route leads to was ended: %v", err)
	}
	change(t, a, "no route")
	if got := visit(t, a.Addr()); got != "first" {
		t.Errorf("got %q, want the listener's own server", got)
	}
}

func port(t *testing.T, addr string) string {
	t.Helper()
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestEdgesThatCantBe changes nothing.
func TestEdgesThatCantBe(t *testing.T) {
	a := start(t, testenv.Loopback, named(t, "a"))
	before := config.Print(a.Config())
	for line, want := range map[string]string{
		"ssl " + filepath.Join(t.TempDir(), "gone.pem"):   "gone.pem",
		"ssl_require_client on":                           "want ssl FILE as well",
		"route sni www.example.com web":                   "there is no service web",
		fmt.Sprintf("tls on ca %s/gone.pem", t.TempDir()): "gone.pem",
	} {
		err := a.Apply(command(t, line))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line with %q", line, err, want)
		}
	}
	if after := config.Print(a.Config()); after != before {
		t.Errorf("something was changed:\n%s", after)
	}
	if got := visit(t, a.Addr()); got != "a" {
		t.Errorf("got %q", got)
	}
}

// keyPair writes a certificate for www.example.com and its key into one file.
func keyPair(t *testing.T, file string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "www.example.com"}, DNSNames: []string{"www.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// serial is the number of the certificate that a listener shows.
func serial(t *testing.T, addr string) int64 {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, ServerName: "www.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// TestCertificates has HUP take a new certificate, without a file of settings,
// and keep the old one where the new one is broken; status shows them, and what
// is wrong, also with those that an authority is to issue.
func TestCertificates(t *testing.T) {
	testenv.CheckLeaks(t)
	file := filepath.Join(t.TempDir(), "both.pem")
	keyPair(t, file, 1)
	if err := checkErr(parse(t, "-E", file, testenv.Loopback, "127.0.0.1:1").Config); err != nil {
		t.Errorf("check: %v", err)
	}
	a := start(t, "-E", file, testenv.Loopback, named(t, "a"))
	if n := serial(t, a.Addr()); n != 1 {
		t.Errorf("certificate %d, want 1", n)
	}
	keyPair(t, file, 2)
	for i, want := range []int64{2, 2, 2} {
		if i == 1 {
			if err := os.WriteFile(file, []byte("no certificate"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.Reload(); err != nil {
			t.Fatal(err)
		}
		if n := serial(t, a.Addr()); n != want {
			t.Errorf("certificate %d after reload %d, want %d", n, i, want)
		}
	}
	keyPair(t, file, 3)
	dir := t.TempDir()
	change(t, a, "acme_storage "+dir)
	change(t, a, "acme_ca https://127.0.0.1:1/dir")
	change(t, a, "acme new.example.com")
	if n := serial(t, a.Addr()); n != 3 {
		t.Errorf("certificate %d after a change, want 3", n)
	}
	var status string
	testenv.Eventually(t, "status tells of the authority that is not there", func() bool {
		var b strings.Builder
		stats.Text(&b, a.services[config.DefaultService].Snapshot())
		status = b.String()
		return strings.Contains(status, "connection refused")
	})
	for _, want := range []string{
		"\nCertificate: www.example.com from " + file + ", until ", ", issued by www.example.com\n", "\nCertificate: new.example.com from acme: ",
	} {
		if !strings.Contains(status, want) {
			t.Errorf("status lacks %q:\n%s", want, status)
		}
	}
}
