// Package tlsterm speaks TLS for the planes: as a server to clients, and as a
// client to servers.
//
// A [Server] takes its certificates from files, from a folder by the name that a
// client asks for, and from an ACME authority. It reloads files that change,
// verifies client certificates, staples OCSP responses and rotates the keys of
// session tickets.
//
// A bad file never makes Pen less strict: at the start it is an error, later the
// last good content stays active.
package tlsterm

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pen/internal/acme"
	"pen/internal/pemfile"
	"pen/internal/wire"
)

// A Pair is a certificate and its key, both PEM files.
type Pair = pemfile.Pair

// ServerConfig is how to speak TLS with clients. At least one of Certificates,
// SNIDir and ACME must be given.
type ServerConfig struct {
	// Certificates are chosen by the name that a client asks for: an exact match,
	// then a wildcard, then the first certificate. Where several with different
	// kinds of keys match, a client gets the cheapest that it can verify.
	Certificates []Pair
	// SNIDir has NAME.crt and NAME.key for each name, and optionally NAME.ca, the
	// authorities of its clients instead of CAFile and CADir, and NAME.ocsp, the
	// response to staple. Names are in lower case. They precede Certificates.
	SNIDir string
	// OCSP is a file with the OCSP response to staple to the first of
	// Certificates, in DER, base64 or PEM.
	OCSP string
	// CAFile and CADir are the authorities of client certificates: a PEM file, and
	// a folder of files *.pem, *.crt or 0a1b2c3d.0. With neither, clients are not
	// asked for a certificate.
	CAFile, CADir string
	// RequireClient refuses clients without a certificate.
	RequireClient bool
	// Ciphers is an OpenSSL list of suites for TLS 1.2. The default is ECDHE with
	// AEAD. The suites of TLS 1.3 are fixed.
	Ciphers string
	// Only13 makes TLS 1.3 the oldest protocol, instead of 1.2.
	Only13 bool
	// ALPN are the protocols to offer. With none, the client's list is ignored.
	ALPN []string
	// ACME is what to obtain certificates for; nil: nothing.
	ACME *acme.Config
}

// Info describes a certificate for people.
type Info struct {
	Names    []string // what it is for, or would be for once issued
	Source   string   // its file, or "acme"
	NotAfter time.Time
	Issuer   string
	Stapled  bool   // with an OCSP response
	Error    string // why it is missing, outdated, or without its OCSP response
}

// A Server speaks TLS with clients. Its methods may be called from any
// goroutine.
type Server struct {
	cfg   ServerConfig
	maker *maker
	log   *slog.Logger
	entry *tls.Config   // starts a handshake: chooses the identity, among all suites
	acme  *acme.Manager // nil: none
	dir   *directory    // nil: none

	files   atomic.Pointer[files]                // active identities of Certificates
	managed atomic.Pointer[map[string]*identity] // active identities of ACME, by name

	mu       sync.Mutex // guards reported, and serializes changes of files and managed
	reported []string   // problems that were logged and persist
}

// sourceACME is the Info.Source of certificates obtained by ACME.
const sourceACME = "acme"

// NewServer reads all files. The error names, on one line, each file that is
// missing, damaged or does not match another. It starts nothing: Run does.
func NewServer(cfg ServerConfig, log *slog.Logger) (*Server, error) {
	suites, unknown, err := parseCiphers(cfg.Ciphers)
	if err != nil {
		return nil, err
	}
	if len(unknown) > 0 {
		log.Warn("unknown or insecure ciphers ignored", "ciphers", strings.Join(unknown, " "))
	}
	switch {
	case len(cfg.Certificates) == 0 && cfg.SNIDir == "" && cfg.ACME == nil:
		return nil, errors.New("TLS: there is no certificate, want a file, a folder of them, or names for ACME")
	case cfg.RequireClient && cfg.CAFile == "" && cfg.CADir == "":
		return nil, errors.New("TLS: client certificates are required, but no authority is trusted to sign them, want a CA file or folder")
	case cfg.OCSP != "" && len(cfg.Certificates) == 0:
		return nil, fmt.Errorf("OCSP response %s: there is no certificate file to staple it to, want one", cfg.OCSP)
	}
	for _, p := range cfg.ALPN {
		if p == "" || len(p) > 255 || p == acme.Protocol {
			return nil, fmt.Errorf("ALPN protocol %q, want 1 to 255 bytes, and not %q, which is ACME's", p, acme.Protocol)
		}
	}
	s := &Server{cfg: cfg, maker: &maker{suites: suites, alpn: cfg.ALPN, oldest: tls.VersionTLS12}, log: log}
	if cfg.Only13 {
		s.maker.oldest = tls.VersionTLS13
	}
	s.managed.Store(&map[string]*identity{})
	next, err := s.load(nil, time.Now())
	if err != nil {
		return nil, err
	}
	s.files.Store(next)
	if cfg.SNIDir != "" {
		if s.dir, err = newDirectory(cfg.SNIDir, s.maker, cfg.RequireClient, log); err != nil {
			return nil, err
		}
	}
	if cfg.ACME != nil {
		if s.acme, err = acme.New(*cfg.ACME, log); err != nil {
			return nil, err
		}
	}
	s.entry = &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: suites, GetConfigForClient: s.choose}
	s.report(next)
	return s, nil
}

// choose returns the configuration for the rest of a handshake, by the hello.
func (s *Server) choose(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if err := hello.Conn.(*gate).begin(); err != nil {
		return nil, err
	}
	if s.acme != nil && acme.IsChallenge(hello.SupportedProtos) {
		return s.acme.Challenge(hello.ServerName)
	}
	files := s.files.Load()
	name, ok := wire.HostName(hello.ServerName)
	if !ok {
		if id := s.unnamed(hello, files); id != nil {
			return id.config, nil
		}
		return nil, errors.New("the client sent no server name, and there is no default certificate")
	}
	if s.dir != nil {
		id, err := s.dir.find(hello, name, files.clients)
		if err != nil {
			return nil, err
		}
		if id != nil {
			return id.config, nil
		}
	}
	if id := (*s.managed.Load())[name]; id != nil {
		return id.config, nil
	}
	if id := suits(hello, files.find(name)); id != nil {
		return id.config, nil
	}
	return nil, fmt.Errorf("there is no certificate for %s, and no default one", name)
}

// unnamed returns the identity for a client that sent no server name: the first of
// Certificates or, without any, of the first ACME name that has one.
func (s *Server) unnamed(hello *tls.ClientHelloInfo, files *files) *identity {
	if id := suits(hello, files.others()); id != nil {
		return id
	}
	if s.acme != nil {
		all := *s.managed.Load()
		for _, name := range s.acme.Names() {
			if id := all[name]; id != nil {
				return id
			}
		}
	}
	return nil
}

// Certificates returns the certificates: of the files in their order, then of ACME,
// then those of the folder that are cached, by name.
func (s *Server) Certificates() []Info {
	var all []Info
	for _, id := range s.files.Load().ids {
		all = append(all, id.info())
	}
	if s.acme != nil {
		managed := *s.managed.Load()
		for _, name := range s.acme.Names() {
			info := Info{Names: []string{name}, Source: sourceACME}
			if id := managed[name]; id != nil {
				info = id.info()
			}
			info.Error = cmp.Or(s.acme.Problem(name), info.Error)
			if info.Error == "" && info.NotAfter.IsZero() {
				info.Error = "no certificate has been issued yet"
			}
			all = append(all, info)
		}
	}
	if s.dir != nil {
		all = append(all, s.dir.infos()...)
	}
	return all
}
