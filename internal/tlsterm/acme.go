package tlsterm

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"pen/internal/wire"
)

// ACME says what to get certificates for, and from whom (RFC 8555). The
// authority connects to port 443 of each name to see that we are who we say
// (TLS-ALPN-01, RFC 8737), and that must lead to a Server's Handshake. To
// configure it is to agree with the authority's terms of service.
type ACME struct {
	Names   []string
	Storage string // a folder for keys and certificates, made if need be; others of this host may share it
	Email   string // for the authority to write to; "": none
	CA      string // the authority's directory, https; "": Let's Encrypt's
	CARoots string // a PEM file with who signs the authority's own certificate; "": whom the system trusts
}

const (
	sourceACME   = "acme"
	acmeProtocol = acmez.ACMETLS1Protocol

	// firstPause and lastPause are how long to wait after a failure. Let's
	// Encrypt permits five in an hour.
	firstPause = 5 * time.Minute
	lastPause  = 6 * time.Hour
	// maxObtain is how long it may take to get a certificate.
	maxObtain = 5 * time.Minute
)

var acmeOnly = []string{acmeProtocol}

// A manager gets certificates and renews them.
type manager struct {
	cfg    ACME
	names  []string
	roots  *x509.CertPool
	log    *slog.Logger
	answer challenges
	pause  time.Duration // after the first failure
	every  time.Duration // how often to look whether a certificate is to be renewed

	mu       sync.Mutex // guards problems
	problems map[string]string
}

// newManager checks what can be without asking the authority.
func newManager(cfg ACME, log *slog.Logger) (*manager, error) {
	m := &manager{
		cfg: cfg, log: log, problems: map[string]string{},
		pause: firstPause, every: certmagic.DefaultRenewCheckInterval,
	}
	if m.cfg.CA == "" {
		m.cfg.CA = certmagic.LetsEncryptProductionCA
	}
	if u, err := url.Parse(m.cfg.CA); err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("ACME directory %q, want an address with https", m.cfg.CA)
	}
	for _, n := range cfg.Names {
		name, ok := wire.HostName(n)
		if _, err := netip.ParseAddr(name); !ok || err == nil {
			return nil, fmt.Errorf("ACME for %q, want the name of a host, without wildcards", n)
		}
		if !slices.Contains(m.names, name) {
			m.names = append(m.names, name)
		}
	}
	if len(m.names) == 0 {
		return nil, errors.New("ACME without names, want those to get certificates for")
	}
	if cfg.Storage == "" {
		return nil, errors.New("ACME without a place for certificates, want a folder")
	}
	// It is made when there is something to store, by the user who will need it.
	if info, err := os.Stat(cfg.Storage); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("ACME: %w", err)
	} else if err == nil && !info.IsDir() {
		return nil, fmt.Errorf("ACME: %s is no folder, want one for certificates", cfg.Storage)
	}
	if cfg.CARoots != "" {
		cas, err := reading{}.readCAs(cfg.CARoots)
		if err != nil {
			return nil, fmt.Errorf("ACME: %w", err)
		}
		m.roots = x509.NewCertPool()
		for _, ca := range cas {
			m.roots.AddCert(ca)
		}
	}
	return m, nil
}

// run gets certificates and renews them, one name after the other, and tells put
// of all that there are whenever that has changed, until ctx is done.
func (m *manager) run(ctx context.Context, put func(map[string]tls.Certificate)) {
	storage := &certmagic.FileStorage{Path: m.cfg.Storage}
	issuer := newIssuer(m.cfg, storage, m.roots, &m.answer, m.log)
	defer issuer.close()
	certs := map[string]tls.Certificate{}
	take := func(name string, cert *tls.Certificate) {
		if cert != nil && !same(certs[name], *cert) {
			certs[name] = *cert
			put(certs)
			m.log.Info("certificate of the ACME authority in place", "name", name, "until", cert.Leaf.NotAfter)
		}
	}
	for _, name := range m.names { // none is to wait for what the authority says to another one
		cert, _ := m.certificate(ctx, storage, issuer, name, load)
		take(name, cert)
	}
	tries := make([]try, len(m.names))
	for timer := time.NewTimer(0); ; {
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		wait := m.every
		for i, name := range m.names {
			if t := &tries[i]; ctx.Err() == nil && !time.Now().Before(t.next) {
				cert, err := m.certificate(ctx, storage, issuer, name, (*certmagic.Config).ManageSync)
				if ctx.Err() == nil {
					m.note(name, err)
				}
				t.over(err, m.pause, m.every, time.Now())
				take(name, cert)
			}
			wait = min(wait, time.Until(tries[i].next))
		}
		timer.Reset(wait)
	}
}

// A try is what came of asking for a name.
type try struct {
	next  time.Time // when to ask again
	pause time.Duration
}

// over says when to ask again: after an error pause later, then twice that, and
// so on; else when it is usual.
func (t *try) over(err error, pause, usual time.Duration, now time.Time) {
	if err == nil {
		*t = try{next: now.Add(usual)}
		return
	}
	t.pause = min(max(pause, 2*t.pause), lastPause)
	t.next = now.Add(t.pause)
}

func same(a, b tls.Certificate) bool {
	return a.Leaf != nil && a.Leaf.Equal(b.Leaf) && bytes.Equal(a.OCSPStaple, b.OCSPStaple)
}

// load has certificates in the cache that are in the storage.
func load(config *certmagic.Config, ctx context.Context, names []string) error {
	_, err := config.CacheManagedCertificate(ctx, names[0])
	return err
}

// certificate returns that of a name, nil if there is none, and what get says:
// load; or ManageSync, which asks the authority for what is not stored or is to
// be renewed. If that fails there may be an old one as well as an error.
//
// The cache lives no longer than this: one that stays renews of itself, with
// goroutines that nobody can wait for.
func (m *manager) certificate(ctx context.Context, storage certmagic.Storage, issuer certmagic.Issuer, name string,
	get func(*certmagic.Config, context.Context, []string) error,
) (*tls.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, maxObtain)
	defer cancel()
	var config *certmagic.Config
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return config, nil },
		Logger:           zapLogger(m.log),
	})
	defer cache.Stop()
	config = certmagic.New(cache, certmagic.Config{Storage: storage, Issuers: []certmagic.Issuer{issuer}, Logger: zapLogger(m.log)})
	err := get(config, ctx, []string{name})
	var best *tls.Certificate
	for _, c := range cache.AllMatchingCertificates(name) {
		if best == nil || c.Leaf.NotAfter.After(best.Leaf.NotAfter) {
			best = &c.Certificate
		}
	}
	return best, err
}

// note remembers what is wrong with a name, and logs it.
func (m *manager) note(name string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		delete(m.problems, name)
		return
	}
	m.problems[name] = strings.Join(strings.Fields(err.Error()), " ")
	m.log.Warn("no certificate from the ACME authority", "name", name, "problem", m.problems[name])
}

// problem returns what is wrong with a name, "" if nothing is.
func (m *manager) problem(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.problems[name]
}

// challenge returns how to answer an authority's look at a name.
func (m *manager) challenge(name string) (*tls.Config, error) {
	name, _ = wire.HostName(name)
	cert := m.answer.get(name)
	if cert == nil {
		return nil, fmt.Errorf("an ACME authority looks at %q, for which nothing was asked", name)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*cert},
		NextProtos: acmeOnly, SessionTicketsDisabled: true,
	}, nil
}

// challenges are the certificates with which authorities are answered, by name.
// It is an acmez.Solver.
type challenges struct {
	mu    sync.Mutex
	certs map[string]*tls.Certificate
}

func (c *challenges) get(name string) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.certs[name]
}

// Present makes an answer ready before the authority is told to look.
func (c *challenges) Present(_ context.Context, chal acme.Challenge) error {
	cert, err := acmez.TLSALPN01ChallengeCert(chal)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.certs == nil {
		c.certs = map[string]*tls.Certificate{}
	}
	c.certs[chal.Identifier.Value] = cert
	return nil
}

// CleanUp forgets an answer.
func (c *challenges) CleanUp(_ context.Context, chal acme.Challenge) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.certs, chal.Identifier.Value)
	return nil
}
