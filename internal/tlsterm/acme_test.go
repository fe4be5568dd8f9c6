package tlsterm

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"

	"pen/internal/acme"
	"pen/internal/testenv"
)

// An acmeCA is an authority of the makers of Let's Encrypt, which looks at
// names for real.
type acmeCA struct {
	directory string
	roots     string // a file for ACME.CARoots
	issued    *x509.CertPool
	validity  uint64
	port      int
	dns       string
	handler   atomic.Pointer[http.Handler]
	requests  atomic.Int64
	lost      atomic.Bool // no name has an address
}

// newACME starts an authority that looks for all names at an address, and whose
// certificates are good for some seconds.
func newACME(t *testing.T, addr string, validity uint64) *acmeCA {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	a := &acmeCA{issued: x509.NewCertPool(), validity: validity}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	if a.port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	a.dns = a.names(t)
	a.forget()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.requests.Add(1)
		(*a.handler.Load()).ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	a.directory = server.URL + wfe.DirectoryPath
	a.roots = write(t, t.TempDir(), "acme.pem", testenv.CertPEM(server.Certificate().Raw))
	return a
}

// forget has the authority begin anew, with nothing in its books.
func (a *acmeCA) forget() {
	logger := stdlog.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	signer := ca.New(logger, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {ValidityPeriod: a.validity}})
	looker := va.New(logger, 1, a.port, true, a.dns, store)
	front := wfe.New(logger, store, looker, signer, []string{"pebble.example"}, true, false, 1, 1)
	handler := front.Handler()
	a.handler.Store(&handler)
	a.issued.AppendCertsFromPEM(signer.GetRootCert(0).PEM())
}

// names starts a DNS server and returns its address.
func (a *acmeCA) names(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{Listener: ln, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		r := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeA && !a.lost.Load() {
			r.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(127, 0, 0, 1)}}
		}
		w.WriteMsg(r)
	})}
	var running sync.WaitGroup
	running.Go(func() { server.ActivateAndServe() })
	t.Cleanup(func() {
		ln.Close()
		running.Wait()
	})
	return ln.Addr().String()
}

// acmeServer returns a server and its address; the authority is made between
// these two, as it has to know the one and be known by the other.
func acmeServer(t *testing.T, validity uint64, cfg func(*acmeCA) ServerConfig) (*acmeCA, *Server, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := newACME(t, ln.Addr().String(), validity)
	front := newServer(t, cfg(a))
	return a, front, serveOn(t, front, ln)
}

// start has a server do what time asks for, until the function that is returned
// is called, or the end of the test.
func start(t *testing.T, s *Server) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	stop = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(stop)
	return stop
}

func TestACME(t *testing.T) {
	users, dir, storage := testenv.NewAuthority(t, "users"), t.TempDir(), t.TempDir()
	config := func(a *acmeCA) ServerConfig {
		return ServerConfig{
			Certificates:  []Pair{writePair(t, dir, "d", users.Issue(t, "default.example"))},
			CAFile:        write(t, dir, "users.pem", users.PEM()),
			RequireClient: true, ALPN: []string{"h2"},
			ACME: &acme.Config{Names: []string{"a.example", "B.example"}, Storage: storage, Email: "me@a.example", CA: a.directory, CARoots: a.roots},
		}
	}
	a, s, addr := acmeServer(t, 24*3600, config)
	testenv.CheckLeaks(t)
	client := users.Issue(t, "client")
	show := func(name string) *tls.Config {
		return &tls.Config{ServerName: name, RootCAs: a.issued, NextProtos: []string{"h2"}, Certificates: []tls.Certificate{client}}
	}
	if info := s.Certificates(); len(info) != 3 || info[2].Names[0] != "b.example" || info[2].Error == "" || info[2].Source != "acme" {
		t.Errorf("before: %+v", info)
	}
	if got := defaultName(t, addr, client); got != "default.example" {
		t.Errorf("before there is the certificate of %q", got)
	}
	stop := start(t, s)
	for _, name := range s.acme.Names() {
		testenv.Eventually(t, "certificate of "+name, func() bool { return !refused(t, addr, show(name)) })
	}
	if !refused(t, addr, &tls.Config{ServerName: "a.example", RootCAs: a.issued, NextProtos: []string{"h2"}}) {
		t.Error("a client without a certificate is let in")
	}
	for _, info := range s.Certificates() {
		if info.Error != "" || info.NotAfter.IsZero() {
			t.Errorf("after: %+v", info)
		}
	}
	if !refused(t, addr, &tls.Config{ServerName: "a.example", NextProtos: []string{acme.Protocol}, InsecureSkipVerify: true}) {
		t.Error("a challenge that nobody has given is answered")
	}
	stop()

	// What was stored is used at once, and the authority is not troubled for it.
	asked := a.requests.Load()
	s2 := newServer(t, config(a))
	start(t, s2)
	testenv.Eventually(t, "certificates from the storage", func() bool { return len(*s2.managed.Load()) == 2 })
	for _, name := range []string{"a.example", "b.example"} {
		if got, want := (*s2.managed.Load())[name].leaf(), (*s.managed.Load())[name].leaf(); !got.Equal(want) {
			t.Errorf("%s has another certificate", name)
		}
	}
	if n := a.requests.Load() - asked; n > 4 { // when to renew may be asked for
		t.Errorf("%d requests for what is stored", n)
	}
}

// defaultName is who the certificate is for that unnamed clients see.
func defaultName(t *testing.T, addr string, client tls.Certificate) string {
	t.Helper()
	state, err := visit(t, addr, &tls.Config{ServerName: "a.example", InsecureSkipVerify: true, Certificates: []tls.Certificate{client}})
	if err != nil {
		t.Fatal(err)
	}
	return state.PeerCertificates[0].Subject.CommonName
}

// What the authority does not give is told, and asked for again.
func TestACMEFails(t *testing.T) {
	a, s, addr := acmeServer(t, 24*3600, func(a *acmeCA) ServerConfig {
		a.lost.Store(true)
		return ServerConfig{ACME: &acme.Config{Names: []string{"a.example"}, RetryPause: time.Millisecond, Storage: t.TempDir(), CA: a.directory, CARoots: a.roots}}
	})
	start(t, s)
	testenv.Eventually(t, "an error that says why", func() bool { return strings.Contains(s.Certificates()[0].Error, "resolve") })
	if !refused(t, addr, &tls.Config{ServerName: "a.example", InsecureSkipVerify: true}) {
		t.Error("without any certificate a client is served")
	}
	a.lost.Store(false)
	testenv.Eventually(t, "certificate", func() bool { return !refused(t, addr, &tls.Config{ServerName: "a.example", RootCAs: a.issued}) })
	if info := s.Certificates()[0]; info.Error != "" {
		t.Errorf("%+v", info)
	}
}

// What expires soon is renewed, and is in force then.
func TestACMERenews(t *testing.T) {
	a, s, addr := acmeServer(t, 8, func(a *acmeCA) ServerConfig {
		return ServerConfig{ACME: &acme.Config{Names: []string{"a.example"}, CheckInterval: 100 * time.Millisecond, Storage: t.TempDir(), CA: a.directory, CARoots: a.roots}}
	})
	start(t, s)
	serial := func() string {
		state, err := visit(t, addr, &tls.Config{ServerName: "a.example", RootCAs: a.issued})
		if err != nil {
			return ""
		}
		return state.PeerCertificates[0].SerialNumber.String()
	}
	var first string
	testenv.Eventually(t, "certificate", func() bool { first = serial(); return first != "" })
	testenv.Eventually(t, "another one", func() bool { next := serial(); return next != "" && next != first })
}

// An account that the authority has forgotten is made anew.
func TestACMEAccountLost(t *testing.T) {
	storage := t.TempDir()
	a, s, addr := acmeServer(t, 24*3600, func(a *acmeCA) ServerConfig {
		return ServerConfig{ACME: &acme.Config{Names: []string{"a.example"}, Storage: storage, CA: a.directory, CARoots: a.roots}}
	})
	get := func(s *Server, addr string) {
		t.Helper()
		stop := start(t, s)
		testenv.Eventually(t, "certificate", func() bool { return !refused(t, addr, &tls.Config{ServerName: "a.example", RootCAs: a.issued}) })
		stop()
	}
	get(s, addr)
	a.forget()
	if err := os.RemoveAll(filepath.Join(storage, "certificates")); err != nil {
		t.Fatal(err)
	}
	s.managed.Store(&map[string]*identity{})
	get(s, addr)
}
