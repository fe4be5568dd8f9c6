package tlsterm

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
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
	wake   chan struct{} // holds one: there is something new
	pause  time.Duration // after the first failure; twice as long each time
	renew  time.Duration // how often to look whether there is something to renew

	mu       sync.Mutex // guards problems
	problems map[string]string
}

// newManager checks what can be without asking the authority.
func newManager(cfg ACME, log *slog.Logger) (*manager, error) {
	m := &manager{
		cfg: cfg, log: log, wake: make(chan struct{}, 1), problems: map[string]string{},
		pause: firstPause, renew: certmagic.DefaultRenewCheckInterval,
	}
	if m.cfg.CA == "" {
		m.cfg.CA = certmagic.LetsEncryptProductionCA
	}
	if u, err := url.Parse(m.cfg.CA); err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("ACME directory %q, want an address with https", m.cfg.CA)
	}
	for _, n := range cfg.Names {
		name, ok := hostName(n)
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
	if err := os.MkdirAll(cfg.Storage, 0o700); err != nil {
		return nil, fmt.Errorf("ACME: %w", err)
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

// run gets certificates, and tells put of all that there are whenever that has
// changed, until ctx is done.
func (m *manager) run(ctx context.Context, put func(map[string]tls.Certificate)) {
	storage := &certmagic.FileStorage{Path: m.cfg.Storage}
	issuer := newIssuer(m.cfg, storage, m.roots, &m.answer, m.log)
	defer issuer.close()
	var config *certmagic.Config
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return config, nil },
		Logger:           zapLogger(m.log), RenewCheckInterval: m.renew,
	})
	defer cache.Stop()
	config = certmagic.New(cache, certmagic.Config{
		Storage: storage, Issuers: []certmagic.Issuer{issuer}, OnEvent: m.event, Logger: zapLogger(m.log),
	})
	put = onChange(put)
	tries := make(map[string]*try, len(m.names))
	for _, name := range m.names {
		tries[name] = &try{pause: m.pause}
	}
	look := time.NewTicker(every)
	defer look.Stop()
	for ctx.Err() == nil {
		for _, name := range m.names {
			if t := tries[name]; t.due(time.Now()) {
				t.over(m.obtain(ctx, config, name), time.Now())
				put(m.certificates(cache))
			}
		}
		put(m.certificates(cache))
		select {
		case <-ctx.Done():
		case <-look.C:
		case <-m.wake:
		}
	}
}

// A try is what came of asking for a name.
type try struct {
	done  bool // it has a certificate, which the cache has renewed when it is time
	next  time.Time
	pause time.Duration // after the next failure
}

func (t *try) due(now time.Time) bool { return !t.done && !now.Before(t.next) }

func (t *try) over(err error, now time.Time) {
	if t.done = err == nil; t.done {
		return
	}
	t.next = now.Add(t.pause)
	t.pause = min(2*t.pause, lastPause)
}

// obtain gets the certificate of a name from the storage or from the authority,
// and has it renewed from then on.
func (m *manager) obtain(ctx context.Context, config *certmagic.Config, name string) error {
	limited, cancel := context.WithTimeout(ctx, maxObtain)
	defer cancel()
	err := config.ManageSync(limited, []string{name})
	if ctx.Err() == nil {
		m.note(name, err)
	}
	return err
}

// note remembers what is wrong with a name, and logs it.
func (m *manager) note(name string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.problems[name] = oneLine([]error{err}).Error()
		m.log.Warn("no certificate from the ACME authority", "name", name, "problem", m.problems[name])
		return
	}
	delete(m.problems, name)
	m.log.Info("certificate of the ACME authority in place", "name", name)
}

// problem returns what is wrong with a name, "" if nothing is.
func (m *manager) problem(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.problems[name]
}

// event is told by certmagic of what it does of itself, which is to renew.
func (m *manager) event(_ context.Context, event string, data map[string]any) error {
	name, _ := data["identifier"].(string)
	if renewal, _ := data["renewal"].(bool); renewal {
		switch event {
		case "cert_failed":
			err, _ := data["error"].(error)
			m.note(name, fmt.Errorf("renew: %w", err))
		case "cert_obtained":
			m.note(name, nil)
		}
	}
	select {
	case m.wake <- struct{}{}:
	default:
	}
	return nil
}

// certificates returns what there is, of each name what is good for longest.
func (m *manager) certificates(cache *certmagic.Cache) map[string]tls.Certificate {
	certs := map[string]tls.Certificate{}
	for _, name := range m.names {
		for _, c := range cache.AllMatchingCertificates(name) {
			if best, ok := certs[name]; !ok || c.Leaf.NotAfter.After(best.Leaf.NotAfter) {
				certs[name] = c.Certificate
			}
		}
	}
	return certs
}

// onChange calls put only with what differs from the last time.
func onChange(put func(map[string]tls.Certificate)) func(map[string]tls.Certificate) {
	last := map[string]tls.Certificate{}
	return func(certs map[string]tls.Certificate) {
		if !maps.EqualFunc(last, certs, func(a, b tls.Certificate) bool {
			return bytes.Equal(a.Certificate[0], b.Certificate[0]) && bytes.Equal(a.OCSPStaple, b.OCSPStaple)
		}) {
			last = certs
			put(certs)
		}
	}
}

// challenge returns how to answer an authority's look at a name.
func (m *manager) challenge(name string) (*tls.Config, error) {
	name, _ = hostName(name)
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
