package acme

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

// requestTimeout limits one request to an authority.
const requestTimeout = 30 * time.Second

// An issuer orders certificates from an authority. It is a certmagic.Issuer.
//
// certmagic's own issuer listens on port 443 by itself when nothing else does,
// keeps state in variables of the process, and leaves goroutines and connections
// behind. This one does none of that.
type issuer struct {
	email   string
	storage certmagic.Storage
	http    *http.Transport
	client  acmez.Client

	mu sync.Mutex // serializes account
}

func newIssuer(cfg Config, storage certmagic.Storage, roots *x509.CertPool, solver acmez.Solver, log *slog.Logger) *issuer {
	transport := &http.Transport{
		Proxy:           http.ProxyFromEnvironment,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		IdleConnTimeout: time.Minute,
	}
	return &issuer{
		email: cfg.Email, storage: storage, http: transport,
		client: acmez.Client{
			Client: &acme.Client{
				Directory: cfg.CA, UserAgent: "pen", PollTimeout: obtainTimeout,
				HTTPClient: &http.Client{Transport: transport, Timeout: requestTimeout},
				Logger:     slog.New(quiet{log.Handler()}),
			},
			ChallengeSolvers: map[string]acmez.Solver{acme.ChallengeTypeTLSALPN01: solver},
		},
	}
}

// close closes the idle connections to the authority.
func (i *issuer) close() { i.http.CloseIdleConnections() }

// IssuerKey is the authority in file names of the storage.
func (i *issuer) IssuerKey() string {
	u, err := url.Parse(i.client.Directory)
	if err != nil {
		return "acme" // not reached: New has parsed it
	}
	return strings.Trim(u.Host+strings.ReplaceAll(u.Path, "/", "-"), "-")
}

// Issue orders a certificate. A new account replaces one that the authority no
// longer knows.
func (i *issuer) Issue(ctx context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	chains, err := i.order(ctx, csr)
	var problem acme.Problem
	if errors.As(err, &problem) && problem.Type == acme.ProblemTypeAccountDoesNotExist {
		if err = i.storage.Delete(ctx, i.accountFile()); err == nil {
			chains, err = i.order(ctx, csr)
		}
	}
	switch {
	case err != nil:
		return nil, err
	case len(chains) == 0:
		return nil, errors.New("the authority sent no certificate")
	}
	return &certmagic.IssuedCertificate{Certificate: chains[0].ChainPEM, Metadata: chains[0]}, nil
}

func (i *issuer) order(ctx context.Context, csr *x509.CertificateRequest) ([]acme.Certificate, error) {
	account, err := i.account(ctx)
	if err != nil {
		return nil, fmt.Errorf("account: %w", err)
	}
	params, err := acmez.OrderParametersFromCSR(account, csr)
	if err != nil {
		return nil, err
	}
	return i.client.ObtainCertificate(ctx, params)
}

// GetRenewalInfo asks when a certificate should be renewed (RFC 9773).
func (i *issuer) GetRenewalInfo(ctx context.Context, cert certmagic.Certificate) (acme.RenewalInfo, error) {
	return i.client.GetRenewalInfo(ctx, cert.Leaf)
}

// A storedAccount is the JSON of an account file.
type storedAccount struct {
	Account acme.Account `json:"account"`
	Key     []byte       `json:"key"` // PEM
}

func (i *issuer) accountFile() string {
	return path.Join("acme", certmagic.StorageKeys.Safe(i.IssuerKey()), "account.json")
}

// account returns the stored account, or registers a new one.
func (i *issuer) account(ctx context.Context) (acme.Account, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	data, err := i.storage.Load(ctx, i.accountFile())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return i.newAccount(ctx)
	case err != nil:
		return acme.Account{}, err
	}
	var stored storedAccount
	if err := json.Unmarshal(data, &stored); err != nil {
		return acme.Account{}, fmt.Errorf("%s: %w", i.accountFile(), err)
	}
	stored.Account.PrivateKey, err = certmagic.PEMDecodePrivateKey(stored.Key)
	return stored.Account, err
}

func (i *issuer) newAccount(ctx context.Context) (acme.Account, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return acme.Account{}, err
	}
	account := acme.Account{TermsOfServiceAgreed: true, PrivateKey: key}
	if i.email != "" {
		account.Contact = []string{"mailto:" + i.email}
	}
	account, err = i.client.NewAccount(ctx, account)
	if err != nil {
		return acme.Account{}, err
	}
	pem, err := certmagic.PEMEncodePrivateKey(crypto.PrivateKey(key))
	if err != nil {
		return acme.Account{}, err
	}
	data, err := json.Marshal(storedAccount{account, pem})
	if err != nil {
		return acme.Account{}, err
	}
	return account, i.storage.Store(ctx, i.accountFile(), data)
}
