package tlsterm

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pen/internal/acme"
	"pen/internal/testenv"
)

func TestChoice(t *testing.T) {
	ca, dir := testenv.NewAuthority(t, "ca"), t.TempDir()
	s := newServer(t, ServerConfig{
		SNIDir: t.TempDir(),
		Certificates: []Pair{
			writePair(t, dir, "default", ca.Issue(t, "default.example")),
			writePair(t, dir, "wild", ca.Issue(t, "*.example.com")),
			writePair(t, dir, "exact", ca.Issue(t, "www.example.com")),
			writePair(t, dir, "again", ca.Issue(t, "again.example", "www.example.com")),
		},
	})
	writePair(t, s.cfg.SNIDir, "site.example.com", ca.Issue(t, "site"))
	s.dir.distrust()
	addr := serve(t, s)
	for name, want := range map[string]string{
		"":                    "default.example",
		"nobody.example":      "default.example",
		"WWW.Example.com":     "www.example.com",
		"other.example.com":   "*.example.com",
		"a.other.example.com": "default.example",
		"again.example":       "again.example",
		"site.example.com":    "site",
		"SITE.example.com":    "site",
		"127.0.0.1":           "default.example",
	} {
		if got := shown(t, addr, name); got != want {
			t.Errorf("for %q there is the certificate of %q, want that of %q", name, got, want)
		}
	}
}

// TestKinds has two certificates for one name: each client gets one that it can
// verify.
func TestKinds(t *testing.T) {
	ca, dir := testenv.NewAuthority(t, "CA"), t.TempDir()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	slow := writePair(t, dir, "rsa", ca.IssueFor(t, key, "a.example"))
	fast := writePair(t, dir, "ecdsa", ca.Issue(t, "a.example"))
	for _, pairs := range [][]Pair{{slow, fast}, {fast, slow}} {
		addr := serve(t, newServer(t, ServerConfig{Certificates: pairs}))
		const rsaSuite, ecdsaSuite, ecdsaCBC = tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA
		for _, tt := range []struct {
			suites []uint16
			name   string
			want   x509.PublicKeyAlgorithm
		}{
			{[]uint16{rsaSuite}, "a.example", x509.RSA},
			{[]uint16{rsaSuite}, "b.example", x509.RSA},
			{[]uint16{rsaSuite}, "", x509.RSA},
			{[]uint16{rsaSuite, ecdsaCBC}, "a.example", x509.RSA}, // the latter is not spoken
			{[]uint16{rsaSuite, ecdsaSuite}, "a.example", x509.ECDSA},
			{[]uint16{ecdsaSuite}, "a.example", x509.ECDSA},
			{nil, "a.example", x509.ECDSA},
			{nil, "", x509.ECDSA},
			{nil, "b.example", x509.ECDSA},
		} {
			cfg := &tls.Config{ServerName: tt.name, InsecureSkipVerify: true}
			if tt.suites != nil {
				cfg.MaxVersion, cfg.CipherSuites = tls.VersionTLS12, tt.suites
			}
			state, err := visit(t, addr, cfg)
			if err != nil {
				t.Fatalf("%q with suites %x: %v", tt.name, tt.suites, err)
			}
			if got := state.PeerCertificates[0].PublicKeyAlgorithm; got != tt.want {
				t.Errorf("%q with suites %x gets a key of %v, want %v", tt.name, tt.suites, got, tt.want)
			}
		}
	}
}

// A certificate and its key may be in one file.
func TestOneFile(t *testing.T) {
	cert := testenv.NewAuthority(t, "ca").Issue(t, "one.example")
	name := write(t, t.TempDir(), "one.pem", append(testenv.KeyPEM(t, cert.PrivateKey), testenv.CertPEM(cert.Certificate...)...))
	if got := shown(t, serve(t, newServer(t, ServerConfig{Certificates: []Pair{{Cert: name}}})), "one.example"); got != "one.example" {
		t.Errorf("the certificate is that of %q", got)
	}
}

// Whatever is wrong at the start is an error that says where.
func TestBadStart(t *testing.T) {
	ca, dir := testenv.NewAuthority(t, "ca"), t.TempDir()
	good := writePair(t, dir, "good", ca.Issue(t, "good.example"))
	other := writePair(t, dir, "other", ca.Issue(t, "other.example"))
	goodCA := write(t, dir, "goodca.pem", ca.PEM())
	empty := write(t, dir, "empty", nil)
	garbage := write(t, dir, "garbage", []byte("no PEM\n"))
	cut := write(t, dir, "cut", append(ca.PEM(), ca.PEM()[:200]...))
	broken := write(t, dir, "broken", testenv.CertPEM([]byte("nothing")))
	missing := filepath.Join(dir, "missing")
	emptyDir := t.TempDir()
	brokenDir := t.TempDir()
	write(t, brokenDir, "good.pem", ca.PEM())
	write(t, brokenDir, "0a1b2c3d.0", []byte("garbage"))
	one := []Pair{good}
	for name, tt := range map[string]struct {
		cfg  ServerConfig
		want []string // in the error
	}{
		"nothing":             {ServerConfig{}, []string{"no certificate"}},
		"missing certificate": {ServerConfig{Certificates: []Pair{{Cert: missing, Key: good.Key}}}, []string{missing}},
		"missing key":         {ServerConfig{Certificates: []Pair{{Cert: good.Cert, Key: missing}}}, []string{missing}},
		"no key":              {ServerConfig{Certificates: []Pair{{Cert: good.Cert}}}, []string{good.Cert}},
		"empty":               {ServerConfig{Certificates: []Pair{{Cert: empty, Key: good.Key}}}, []string{empty, "empty"}},
		"empty key":           {ServerConfig{Certificates: []Pair{{Cert: good.Cert, Key: empty}}}, []string{empty}},
		"garbage":             {ServerConfig{Certificates: []Pair{{Cert: garbage, Key: good.Key}}}, []string{garbage}},
		"broken":              {ServerConfig{Certificates: []Pair{{Cert: broken, Key: good.Key}}}, []string{broken}},
		"cut off":             {ServerConfig{Certificates: []Pair{{Cert: cut, Key: good.Key}}}, []string{cut, "cut off"}},
		"other key":           {ServerConfig{Certificates: []Pair{{Cert: good.Cert, Key: other.Key}}}, []string{good.Cert, other.Key, "does not match"}},
		"second and CA":       {ServerConfig{Certificates: []Pair{good, {Cert: missing, Key: good.Key}}, CAFile: garbage}, []string{missing, garbage}},
		"folder":              {ServerConfig{Certificates: []Pair{{Cert: dir, Key: good.Key}}}, []string{dir, "regular"}},
		"CA missing":          {ServerConfig{Certificates: one, CAFile: missing}, []string{missing}},
		"CA empty":            {ServerConfig{Certificates: one, CAFile: empty}, []string{empty}},
		"CA garbage":          {ServerConfig{Certificates: one, CAFile: garbage}, []string{garbage}},
		"CA broken":           {ServerConfig{Certificates: one, CAFile: broken}, []string{broken}},
		"CA cut off":          {ServerConfig{Certificates: one, CAFile: cut}, []string{cut}},
		"CA only a key":       {ServerConfig{Certificates: one, CAFile: good.Key}, []string{good.Key}},
		"CA folder missing":   {ServerConfig{Certificates: one, CADir: missing}, []string{missing}},
		"CA folder empty":     {ServerConfig{Certificates: one, CADir: emptyDir}, []string{emptyDir}},
		"CA folder broken":    {ServerConfig{Certificates: one, CADir: brokenDir}, []string{"0a1b2c3d.0"}},
		"one CA of two":       {ServerConfig{Certificates: one, CAFile: goodCA, CADir: emptyDir}, []string{emptyDir}},
		"required of nobody":  {ServerConfig{Certificates: one, RequireClient: true}, []string{"CA"}},
		"OCSP missing":        {ServerConfig{Certificates: one, OCSP: missing}, []string{missing}},
		"OCSP for nothing":    {ServerConfig{SNIDir: dir, OCSP: good.Cert}, []string{good.Cert}},
		"names missing":       {ServerConfig{SNIDir: missing}, []string{missing}},
		"ciphers":             {ServerConfig{Certificates: one, Ciphers: "RC4:3DES"}, []string{"RC4:3DES"}},
		"ALPN":                {ServerConfig{Certificates: one, ALPN: []string{"acme-tls/1"}}, []string{"acme-tls/1"}},
		"ACME names":          {ServerConfig{ACME: &acme.Config{Storage: dir}}, []string{"names"}},
		"ACME wildcard":       {ServerConfig{ACME: &acme.Config{Names: []string{"*.example"}, Storage: dir}}, []string{"*.example"}},
		"ACME address":        {ServerConfig{ACME: &acme.Config{Names: []string{"192.0.2.1"}, Storage: dir}}, []string{"192.0.2.1"}},
		"ACME storage":        {ServerConfig{ACME: &acme.Config{Names: []string{"a.example"}}}, []string{"folder"}},
		"ACME bad storage":    {ServerConfig{ACME: &acme.Config{Names: []string{"a.example"}, Storage: empty}}, []string{empty}},
		"ACME http":           {ServerConfig{ACME: &acme.Config{Names: []string{"a.example"}, Storage: dir, CA: "http://ca/dir"}}, []string{"http://ca/dir"}},
		"ACME roots":          {ServerConfig{ACME: &acme.Config{Names: []string{"a.example"}, Storage: dir, CARoots: garbage}}, []string{garbage}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewServer(tt.cfg, slog.New(slog.DiscardHandler))
			wantError(t, err, tt.want...)
		})
	}
}

// wantError fails the test unless err is one line with some words in it.
func wantError(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %q", err)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error is %q, want it to have %q", err, w)
		}
	}
}

// A key that others may read is worth a warning, once.
func TestOpenKey(t *testing.T) {
	pair := writePair(t, t.TempDir(), "a", testenv.NewAuthority(t, "ca").Issue(t, "a.example"))
	if err := os.Chmod(pair.Key, 0o644); err != nil {
		t.Fatal(err)
	}
	var l log
	s, err := NewServer(ServerConfig{Certificates: []Pair{pair}}, l.logger())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(l.String(), pair.Key); n != 1 {
		t.Errorf("%d warnings, want 1: %s", n, &l)
	}
}

// mutual returns a server that requires certificates of clients, its address,
// and its configuration.
func mutual(t *testing.T, ca *testenv.Authority) (*Server, string) {
	dir := t.TempDir()
	s := newServer(t, ServerConfig{
		Certificates: []Pair{writePair(t, dir, "a", ca.Issue(t, "a.example"))},
		CAFile:       write(t, dir, "ca.pem", ca.PEM()), RequireClient: true,
	})
	return s, serve(t, s)
}

func TestClientCertificates(t *testing.T) {
	ca, stranger := testenv.NewAuthority(t, "ca"), testenv.NewAuthority(t, "stranger")
	_, addr := mutual(t, ca)
	for _, v := range versions {
		base := tls.Config{RootCAs: ca.Pool(), ServerName: "a.example", MinVersion: v.version, MaxVersion: v.version}
		for name, tt := range map[string]struct {
			certs []tls.Certificate
			ok    bool
		}{
			"none":          {nil, false},
			"good":          {[]tls.Certificate{ca.Issue(t, "client")}, true},
			"of a stranger": {[]tls.Certificate{stranger.Issue(t, "client")}, false},
		} {
			cfg := base.Clone()
			if tt.certs != nil { // whatever the server asks for
				cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tt.certs[0], nil }
			}
			if _, err := visit(t, addr, cfg); (err == nil) != tt.ok {
				t.Errorf("TLS %s, certificate %s: %v, want ok %v", v.name, name, err, tt.ok)
			}
		}
	}
}

// What is asked for and not required is still looked at.
func TestOptionalClientCertificates(t *testing.T) {
	ca, stranger, dir := testenv.NewAuthority(t, "ca"), testenv.NewAuthority(t, "stranger"), t.TempDir()
	cas := t.TempDir()
	write(t, cas, "ca.crt", ca.PEM())
	addr := serve(t, newServer(t, ServerConfig{Certificates: []Pair{writePair(t, dir, "a", ca.Issue(t, "a.example"))}, CADir: cas}))
	cfg := &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example"}
	if _, err := visit(t, addr, cfg); err != nil {
		t.Error(err)
	}
	bad := stranger.Issue(t, "client")
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &bad, nil }
	if _, err := visit(t, addr, cfg); err == nil {
		t.Error("a stranger's certificate is taken")
	}
}

// When the authorities' file is broken or gone at a reload, clients without a
// certificate are refused as before.
func TestReloadNeverOpens(t *testing.T) {
	ca := testenv.NewAuthority(t, "ca")
	s, addr := mutual(t, ca)
	good := &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example", Certificates: []tls.Certificate{ca.Issue(t, "client")}}
	for name, spoil := range map[string]func() error{
		"empty":   func() error { return os.WriteFile(s.cfg.CAFile, nil, 0o600) },
		"garbage": func() error { return os.WriteFile(s.cfg.CAFile, []byte("garbage"), 0o600) },
		"gone":    func() error { return os.Remove(s.cfg.CAFile) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if err := s.Reload(); err == nil || !strings.Contains(err.Error(), s.cfg.CAFile) {
			t.Errorf("%s: the error is %v", name, err)
		}
		if _, err := visit(t, addr, &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example"}); err == nil {
			t.Errorf("%s: a client without a certificate is let in", name)
		}
		if _, err := visit(t, addr, good); err != nil {
			t.Errorf("%s: a client with its certificate: %v", name, err)
		}
	}
	// Another authority takes the place of the first at once, and for those who
	// would resume a session as well.
	good.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	if _, err := visit(t, addr, good); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Dir(s.cfg.CAFile), "ca.pem", testenv.NewAuthority(t, "next").PEM())
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if state, err := visit(t, addr, good); err == nil {
		t.Errorf("a client of the old authority is let in, resumed: %v", state.DidResume)
	}
}

// A pair that is broken leaves the old one in force, and does not keep the other
// ones from being renewed.
func TestReloadKeepsOld(t *testing.T) {
	ca, dir := testenv.NewAuthority(t, "ca"), t.TempDir()
	var l log
	a, b := writePair(t, dir, "a", ca.Issue(t, "a.example")), writePair(t, dir, "b", ca.Issue(t, "b.example"))
	s, err := NewServer(ServerConfig{Certificates: []Pair{a, b}}, l.logger())
	if err != nil {
		t.Fatal(err)
	}
	addr := serve(t, s)
	write(t, dir, "a.crt", testenv.CertPEM(ca.Issue(t, "a.example").Certificate...)) // its key is not there yet
	writePair(t, dir, "b", ca.Issue(t, "new", "b.example"))
	for range 2 {
		s.refresh(time.Now())
		if got := shown(t, addr, "a.example"); got != "a.example" {
			t.Errorf("a shows %q", got)
		}
		if got := shown(t, addr, "b.example"); got != "new" {
			t.Errorf("b shows %q, want the new one", got)
		}
	}
	if info := s.Certificates(); !strings.Contains(info[0].Error, a.Cert) || info[1].Error != "" {
		t.Errorf("%+v", info)
	}
	if n := strings.Count(l.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings, want 1: %s", n, &l)
	}
	writePair(t, dir, "a", ca.Issue(t, "mended", "a.example"))
	s.refresh(time.Now())
	if got := shown(t, addr, "a.example"); got != "mended" {
		t.Errorf("a shows %q after it was mended", got)
	}
	if info := s.Certificates(); info[0].Error != "" || info[0].Source != a.Cert || info[0].Issuer != "ca" || info[0].NotAfter.IsZero() {
		t.Errorf("%+v", info[0])
	}
}

// While certificates are replaced no handshake fails, and each is with a pair.
func TestReplaceUnderLoad(t *testing.T) {
	ca, dir := testenv.NewAuthority(t, "ca"), t.TempDir()
	s := newServer(t, ServerConfig{Certificates: []Pair{writePair(t, dir, "a", ca.Issue(t, "a.example"))}})
	addr := serve(t, s)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for ctx.Err() == nil {
				if _, err := visit(t, addr, &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example"}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 30 {
		next := ca.Issue(t, "a.example")
		write(t, dir, "a.crt", testenv.CertPEM(next.Certificate...))
		s.refresh(time.Now())
		write(t, dir, "a.key", testenv.KeyPEM(t, next.PrivateKey))
		s.refresh(time.Now())
		state, err := visit(t, addr, &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example"})
		if err != nil {
			t.Fatal(err)
		}
		if !state.PeerCertificates[0].Equal(next.Leaf) {
			t.Fatal("the certificate is not the new one")
		}
	}
	stop()
	running.Wait()
}

// Run notices what has changed, and ends with its context.
func TestRun(t *testing.T) {
	testenv.CheckLeaks(t)
	s := newServer(t, ServerConfig{Certificates: []Pair{writePair(t, t.TempDir(), "a", testenv.NewAuthority(t, "ca").Issue(t, "a"))}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { s.Run(ctx); close(done) }()
	cancel()
	<-done
}

// Clients that stop in the middle of a handshake keep nobody else out.
func TestStalledClients(t *testing.T) {
	ca := testenv.NewAuthority(t, "ca")
	addr := serve(t, newServer(t, ServerConfig{Certificates: []Pair{writePair(t, t.TempDir(), "a", ca.Issue(t, "a.example"))}}))
	record := clientHello(t)
	for i := range 4*handshakes.places + 4 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write(record[:len(record)*i/(4*handshakes.places+3)]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := visit(t, addr, &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example"}); err != nil {
		t.Error(err)
	}
}

// clientHello returns what a client begins with.
func clientHello(t *testing.T) []byte {
	t.Helper()
	client, server := net.Pipe()
	defer server.Close()
	go func() {
		tls.Client(client, &tls.Config{ServerName: "a.example"}).Handshake()
		client.Close()
	}()
	head := make([]byte, 5)
	if _, err := io.ReadFull(server, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, int(head[3])<<8|int(head[4]))
	if _, err := io.ReadFull(server, body); err != nil {
		t.Fatal(err)
	}
	return append(head, body...)
}

// A handshake ends with its context, also while it waits for a place.
func TestHandshakeEnds(t *testing.T) {
	s := newServer(t, ServerConfig{Certificates: []Pair{writePair(t, t.TempDir(), "a", testenv.NewAuthority(t, "ca").Issue(t, "a.example"))}})
	ctx, cancel := context.WithCancel(t.Context())
	client, server := net.Pipe()
	defer client.Close()
	failed := make(chan error)
	go func() {
		_, err := s.Handshake(ctx, server, Peer{})
		failed <- err
	}()
	if _, err := client.Write([]byte{22}); err != nil { // it is under way
		t.Fatal(err)
	}
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	record := clientHello(t)
	busy(t)
	for _, ends := range []string{"context", "time"} {
		ctx, cancel := context.WithCancel(t.Context())
		client, server := net.Pipe()
		var peer Peer
		if ends == "time" {
			peer.Until = time.Now().Add(50 * time.Millisecond)
		}
		go func() {
			_, err := s.Handshake(ctx, server, peer)
			failed <- err
		}()
		if _, err := client.Write(record); err != nil {
			t.Fatal(err)
		}
		read := make(chan bool)
		go func() { // an alert
			io.Copy(io.Discard, client)
			close(read)
		}()
		want := ErrBusy
		if ends == "context" {
			testenv.Eventually(t, "it waits", func() bool {
				handshakes.mu.Lock()
				defer handshakes.mu.Unlock()
				return handshakes.waiting == 1
			})
			cancel()
			want = context.Canceled
		}
		if err := <-failed; !errors.Is(err, want) {
			t.Errorf("after the end of its %s the error is %v, want %v", ends, err, want)
		}
		cancel()
		client.Close()
		<-read
	}
}

// Nothing is computed for a client that is gone, or whose hello has waited in the
// kernel's queue for too long: all that it gets is an alert.
func TestNothingForTheGone(t *testing.T) {
	s := newServer(t, ServerConfig{Certificates: []Pair{writePair(t, t.TempDir(), "a", testenv.NewAuthority(t, "ca").Issue(t, "a.example"))}})
	record := clientHello(t)
	for name, tt := range map[string]struct {
		wait bool // until it has waited
		look func(n int) (time.Duration, bool)
		want error
	}{
		"gone":                     {false, func(int) (time.Duration, bool) { return 0, true }, errGone},
		"gone while it has waited": {true, func(n int) (time.Duration, bool) { return 0, n == 2 }, errGone},
		"old":                      {false, func(int) (time.Duration, bool) { return Patience, false }, ErrBusy},
	} {
		t.Run(name, func(t *testing.T) {
			free := func() {}
			if tt.wait {
				free = busy(t)
			}
			client, server := net.Pipe()
			failed := make(chan error)
			go func() {
				n := 0
				_, err := s.Handshake(t.Context(), server, Peer{Look: func() (time.Duration, bool) {
					n++
					return tt.look(n)
				}})
				server.Close()
				failed <- err
			}()
			if _, err := client.Write(record); err != nil {
				t.Fatal(err)
			}
			if tt.wait {
				testenv.Eventually(t, "it waits", func() bool {
					handshakes.mu.Lock()
					defer handshakes.mu.Unlock()
					return handshakes.waiting == 1
				})
				free()
			}
			got, _ := io.ReadAll(client)
			if err := <-failed; !errors.Is(err, tt.want) || len(got) > 7 {
				t.Errorf("%v, and %d bytes for the client; want %v and an alert", err, len(got), tt.want)
			}
		})
	}
}

// busy takes all places, until the end of the test or the call of what it returns.
func busy(t *testing.T) (free func()) {
	t.Helper()
	for range handshakes.places {
		if err := handshakes.reenter(t.Context(), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	free = sync.OnceFunc(func() {
		for range handshakes.places {
			handshakes.leave()
		}
	})
	t.Cleanup(free)
	return free
}

// What is too old is refused.
func TestOldVersions(t *testing.T) {
	_, addr := mutual(t, testenv.NewAuthority(t, "ca"))
	if _, err := visit(t, addr, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.1: %v", err)
	}
}

func TestALPN(t *testing.T) {
	ca, dir := testenv.NewAuthority(t, "ca"), t.TempDir()
	pair := writePair(t, dir, "a", ca.Issue(t, "a.example"))
	with := serve(t, newServer(t, ServerConfig{Certificates: []Pair{pair}, ALPN: []string{"h2", "http/1.1"}}))
	without := serve(t, newServer(t, ServerConfig{Certificates: []Pair{pair}}))
	for _, tt := range []struct {
		addr  string
		offer []string
		want  string
		ok    bool
	}{
		{with, []string{"http/1.1", "h2"}, "h2", true},
		{with, []string{"http/1.1"}, "http/1.1", true},
		{with, nil, "", true},
		{with, []string{"smtp"}, "", false},
		{with, []string{"acme-tls/1"}, "", false},
		{without, []string{"h2"}, "", true},
	} {
		state, err := visit(t, tt.addr, &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example", NextProtos: tt.offer})
		if (err == nil) != tt.ok || state.NegotiatedProtocol != tt.want {
			t.Errorf("offered %q: %q, %v", tt.offer, state.NegotiatedProtocol, err)
		}
	}
}
