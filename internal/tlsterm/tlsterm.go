// Package tlsterm speaks TLS for the planes: as a server to clients, and as a
// client to servers.
//
// A [Server] has certificates: of files, of a folder that is looked into by the
// name that a client asks for, and of an authority that issues them by ACME. It
// notices when files change, asks clients for certificates, staples OCSP
// responses and looks after the keys of session tickets.
//
// Whatever is wrong with a file makes things safer, never less so: at the start
// it is an error, and later what was read before stays in force.
package tlsterm

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pen/internal/wire"
)

// A Pair is a certificate and its key, both PEM files.
type Pair struct {
	Cert string // the certificate, then those that lead to its authority
	Key  string // "": the key is in Cert as well
}

// ServerConfig is how to speak TLS with clients. One of Certificates, SNIDir
// and ACME must be given.
type ServerConfig struct {
	// Certificates are chosen by the name that a client asks for, the same one
	// rather than one with a wildcard. The first is for all others. Of several
	// for one name, with keys of different kinds, a client gets one that it can
	// verify, and of those the one that costs least.
	Certificates []Pair
	// SNIDir has NAME.crt and NAME.key for a name, and NAME.ca and NAME.ocsp if
	// they are wanted: who signs the certificates of its clients, in the place
	// of CAFile and CADir, and the response to staple. Names are in lower
	// case. They go before Certificates.
	SNIDir string
	// OCSP is a file with the OCSP response to staple to the first of
	// Certificates: DER, or that in base64 or PEM.
	OCSP string
	// CAFile and CADir say who signs the certificates of clients: a PEM file;
	// and a folder of them, all with names as *.pem, *.crt or 0a1b2c3d.0. With
	// neither, clients are not asked.
	CAFile, CADir string
	// RequireClient refuses clients without a certificate.
	RequireClient bool
	// Ciphers is a list as OpenSSL has it, of suites for TLS 1.2. The default
	// is those with ECDHE and AEAD. Those of TLS 1.3 are not to be chosen.
	Ciphers string
	// Only13 speaks no protocol that is older than TLS 1.3, rather than 1.2.
	Only13 bool
	// ALPN are the protocols to offer. With none the client's wish is ignored.
	ALPN []string
	// ACME says what to get certificates for; nil: nothing.
	ACME *ACME
}

// Info is what a certificate is like, for people.
type Info struct {
	Names    []string // whom it is for; or, if there is none yet, whom it would be for
	Source   string   // its file, or "acme"
	NotAfter time.Time
	Issuer   string
	Stapled  bool   // with an OCSP response
	Error    string // why it is not there, or not as new as it ought to be, or has no OCSP response though it should
}

// A Server speaks TLS with clients. Its methods may be called from any
// goroutine.
type Server struct {
	cfg   ServerConfig
	maker *maker
	log   *slog.Logger
	entry *tls.Config // what a handshake begins with: it says how to choose, among which suites
	acme  *manager    // nil: none
	dir   *directory  // nil: none

	files   atomic.Pointer[files]                // what is in force of the files
	managed atomic.Pointer[map[string]*identity] // what is in force of ACME, by name

	mu   sync.Mutex // guards told, and has one at a time change files and managed
	told []string   // what was wrong when it was last looked
}

// NewServer reads all files. The error names each that is missing, or not what
// it should be, or does not fit to another one; all in one line. It starts
// nothing: Run does.
func NewServer(cfg ServerConfig, log *slog.Logger) (*Server, error) {
	suites, unknown, err := parseCiphers(cfg.Ciphers)
	if err != nil {
		return nil, err
	}
	if len(unknown) > 0 {
		log.Warn("ciphers that are not known, or not secure, are left out", "ciphers", strings.Join(unknown, " "))
	}
	switch {
	case len(cfg.Certificates) == 0 && cfg.SNIDir == "" && cfg.ACME == nil:
		return nil, errors.New("TLS: there is no certificate, want files, a folder of them, or names for ACME")
	case cfg.RequireClient && cfg.CAFile == "" && cfg.CADir == "":
		return nil, errors.New("TLS: certificates of clients are required, but nobody is trusted to sign them, want a CA file or folder")
	case cfg.OCSP != "" && len(cfg.Certificates) == 0:
		return nil, fmt.Errorf("OCSP response %s: there is no certificate to staple it to, want a file with one", cfg.OCSP)
	}
	for _, p := range cfg.ALPN {
		if p == "" || len(p) > 255 || p == acmeProtocol {
			return nil, fmt.Errorf("ALPN protocol %q, want 1 to 255 bytes, and not %q, which is ACME's", p, acmeProtocol)
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
		if s.acme, err = newManager(*cfg.ACME, log); err != nil {
			return nil, err
		}
	}
	s.entry = &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: suites, GetConfigForClient: s.choose}
	s.tell(next)
	return s, nil
}

// choose returns how to go on with a client, by what it asks for.
func (s *Server) choose(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if err := hello.Conn.(*gate).begin(); err != nil {
		return nil, err
	}
	if s.acme != nil && slices.Equal(hello.SupportedProtos, acmeOnly) {
		return s.acme.challenge(hello.ServerName)
	}
	files := s.files.Load()
	name, ok := wire.HostName(hello.ServerName)
	if !ok {
		if id := s.unnamed(hello, files); id != nil {
			return id.config, nil
		}
		return nil, errors.New("the client asks for no server by name, and there is no certificate for those")
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
	return nil, fmt.Errorf("there is no certificate for %s, nor one for all others", name)
}

// unnamed returns the certificate for clients that ask for no server: the first
// of the files or, without any, that of the first of ACME's names that has one.
func (s *Server) unnamed(hello *tls.ClientHelloInfo, files *files) *identity {
	if id := suits(hello, files.others()); id != nil {
		return id
	}
	if s.acme != nil {
		all := *s.managed.Load()
		for _, name := range s.acme.names {
			if id := all[name]; id != nil {
				return id
			}
		}
	}
	return nil
}

// Certificates returns what there is: of files in their order, then of ACME, then
// what has been asked for of the folder, by name.
func (s *Server) Certificates() []Info {
	var all []Info
	for _, id := range s.files.Load().ids {
		all = append(all, id.info())
	}
	if s.acme != nil {
		managed := *s.managed.Load()
		for _, name := range s.acme.names {
			info := Info{Names: []string{name}, Source: sourceACME}
			if id := managed[name]; id != nil {
				info = id.info()
			}
			info.Error = cmp.Or(s.acme.problem(name), info.Error)
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
