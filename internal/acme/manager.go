// Package acme obtains certificates from an authority that speaks ACME (RFC 8555),
// such as Let's Encrypt, and renews them. The authority verifies a name by a TLS
// connection to its port 443 (TLS-ALPN-01, RFC 8737), so whatever accepts there
// must answer with [Manager.Challenge].
package acme

import (
	"bytes"
	"cmp"
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

	"pen/internal/pemfile"
	"pen/internal/wire"
)

// A Config names what to obtain certificates for, and from which authority. To
// configure it is to agree to the authority's terms of service.
type Config struct {
	Names   []string
	Storage string // folder of keys and certificates, created when needed; processes of a host may share it
	Email   string // contact address for the authority; "": none
	CA      string // URL of the authority's directory, https; "": Let's Encrypt
	CARoots string // PEM file of the roots of the authority's own certificate; "": the system's
	// RetryPause is the pause after a first failure, and CheckInterval how often a
	// certificate is checked for renewal; 0 has the default.
	RetryPause, CheckInterval time.Duration
}

const (
	// Protocol is the only ALPN protocol that the authority offers when it verifies
	// a name.
	Protocol = acmez.ACMETLS1Protocol

	// The pause after a failure doubles from firstPause to lastPause: Let's Encrypt
	// permits five failures an hour.
	firstPause = 5 * time.Minute
	lastPause  = 6 * time.Hour
	// obtainTimeout limits one attempt to obtain a certificate.
	obtainTimeout = 5 * time.Minute
)

var onlyProtocol = []string{Protocol}

// IsChallenge reports whether a client that offers these ALPN protocols is an
// authority that verifies a name.
func IsChallenge(protocols []string) bool { return slices.Equal(protocols, onlyProtocol) }

// A Manager obtains certificates and renews them. Its methods may be called from
// any goroutine.
type Manager struct {
	cfg        Config
	names      []string
	roots      *x509.CertPool
	log        *slog.Logger
	challenges challenges

	mu       sync.Mutex // guards problems
	problems map[string]string
}

// New checks the configuration, without a request to the authority. It starts
// nothing: Run does.
func New(cfg Config, log *slog.Logger) (*Manager, error) {
	cfg.RetryPause = cmp.Or(cfg.RetryPause, firstPause)
	cfg.CheckInterval = cmp.Or(cfg.CheckInterval, certmagic.DefaultRenewCheckInterval)
	cfg.CA = cmp.Or(cfg.CA, certmagic.LetsEncryptProductionCA)
	m := &Manager{cfg: cfg, log: log, problems: map[string]string{}}
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
		return nil, errors.New("ACME without names, want the host names to obtain certificates for")
	}
	if cfg.Storage == "" {
		return nil, errors.New("ACME without a folder for certificates, want one")
	}
	// certmagic creates it with the first file, as the user that Pen runs as then.
	if info, err := os.Stat(cfg.Storage); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("ACME: %w", err)
	} else if err == nil && !info.IsDir() {
		return nil, fmt.Errorf("ACME: %s is no folder, want one for certificates", cfg.Storage)
	}
	if cfg.CARoots != "" {
		cas, err := pemfile.Files{}.ReadCAs(cfg.CARoots)
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

// Names are the host names of the configuration, in its order, each once.
func (m *Manager) Names() []string { return m.names }

// Run obtains certificates and renews them, one name after the other, until ctx is
// done. It calls put with all certificates, by name, whenever one has changed. It
// blocks, and is called once at a time.
func (m *Manager) Run(ctx context.Context, put func(map[string]tls.Certificate)) {
	storage := &certmagic.FileStorage{Path: m.cfg.Storage}
	issuer := newIssuer(m.cfg, storage, m.roots, &m.challenges, m.log)
	defer issuer.close()
	certs := map[string]tls.Certificate{}
	publish := func(name string, cert *tls.Certificate) {
		if cert != nil && !same(certs[name], *cert) {
			certs[name] = *cert
			put(certs)
			m.log.Info("certificate obtained by ACME", "name", name, "until", cert.Leaf.NotAfter)
		}
	}
	for _, name := range m.names { // stored ones first: no name waits for the authority
		cert, _ := m.certificate(ctx, storage, issuer, name, load)
		publish(name, cert)
	}
	schedule := make([]attempt, len(m.names))
	for timer := time.NewTimer(0); ; {
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		wait := m.cfg.CheckInterval
		for i, name := range m.names {
			if a := &schedule[i]; ctx.Err() == nil && !time.Now().Before(a.next) {
				cert, err := m.certificate(ctx, storage, issuer, name, (*certmagic.Config).ManageSync)
				if ctx.Err() == nil {
					m.setProblem(name, err)
				}
				a.ended(err, m.cfg.RetryPause, m.cfg.CheckInterval, time.Now())
				publish(name, cert)
			}
			wait = min(wait, time.Until(schedule[i].next))
		}
		timer.Reset(wait)
	}
}

// An attempt schedules the requests for one name.
type attempt struct {
	next  time.Time     // when to ask again
	pause time.Duration // after the last failure; 0 after a success
}

// ended schedules the next attempt: after an interval, or after an error after a
// pause that doubles each time.
func (a *attempt) ended(err error, pause, interval time.Duration, now time.Time) {
	if err == nil {
		*a = attempt{next: now.Add(interval)}
		return
	}
	a.pause = min(max(pause, 2*a.pause), lastPause)
	a.next = now.Add(a.pause)
}

func same(a, b tls.Certificate) bool {
	return a.Leaf != nil && a.Leaf.Equal(b.Leaf) && bytes.Equal(a.OCSPStaple, b.OCSPStaple)
}

// load is a get of certificate that reads the storage only.
func load(config *certmagic.Config, ctx context.Context, names []string) error {
	_, err := config.CacheManagedCertificate(ctx, names[0])
	return err
}

// certificate returns the certificate of a name, nil if there is none, and the
// error of get: load, or ManageSync, which asks the authority if none is stored or
// it must be renewed. Both may be set, if an old certificate could not be renewed.
//
// The cache is stopped before it returns: one that lives on renews by itself, in
// goroutines that nobody can wait for.
func (m *Manager) certificate(ctx context.Context, storage certmagic.Storage, issuer certmagic.Issuer, name string,
	get func(*certmagic.Config, context.Context, []string) error,
) (*tls.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, obtainTimeout)
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

// setProblem records and logs why a name has no new certificate; nil clears it.
func (m *Manager) setProblem(name string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		delete(m.problems, name)
		return
	}
	m.problems[name] = strings.Join(strings.Fields(err.Error()), " ")
	m.log.Warn("ACME failed", "name", name, "problem", m.problems[name])
}

// Problem returns the last error for a name, on one line, "" if there is none.
func (m *Manager) Problem(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.problems[name]
}

// Challenge returns how to answer an authority that verifies a name, or an error if
// no certificate was ordered for it.
func (m *Manager) Challenge(name string) (*tls.Config, error) {
	name, _ = wire.HostName(name)
	cert := m.challenges.get(name)
	if cert == nil {
		return nil, fmt.Errorf("ACME challenge for %q, for which no certificate was ordered", name)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*cert},
		NextProtos: onlyProtocol, SessionTicketsDisabled: true,
	}, nil
}

// challenges are the certificates that answer an authority, by name. It is an
// acmez.Solver.
type challenges struct {
	mu    sync.Mutex
	certs map[string]*tls.Certificate
}

func (c *challenges) get(name string) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.certs[name]
}

// Present prepares an answer, before the authority connects.
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

// CleanUp drops an answer.
func (c *challenges) CleanUp(_ context.Context, chal acme.Challenge) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.certs, chal.Identifier.Value)
	return nil
}
