package tlsterm

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pen/internal/pemfile"
)

// files are the identities of the configured certificate files. It is immutable.
type files struct {
	at       time.Time // when they were read
	read     pemfile.Files
	clients  *clientAuth
	ids      []*identity // in the order of the configuration
	names    map[string][]*identity
	warnings []string // harmless problems
	err      error    // problems that keep old content active
}

// load reads all files. For a file with an error it keeps the content of old;
// without old it returns the error only.
func (s *Server) load(old *files, now time.Time) (*files, error) {
	next := &files{at: now, read: pemfile.Files{}, names: map[string][]*identity{}}
	var errs []error
	cas, err := s.readCAs(next.read)
	next.clients = newClientAuth(cas, s.cfg.RequireClient)
	if old != nil && (err != nil || next.clients.digest == old.clients.digest) {
		next.clients = old.clients
	}
	errs = append(errs, err)
	for i, pair := range s.cfg.Certificates {
		var last *identity
		if old != nil {
			last = old.ids[i]
		}
		errs = append(errs, s.loadPair(next, i, pair, last))
	}
	next.err = oneLine(errs)
	if next.err != nil && old == nil {
		return nil, next.err
	}
	return next, next.err
}

// loadPair adds the identity of a pair, with the certificate of last if the files
// cannot be read.
func (s *Server) loadPair(next *files, i int, pair Pair, last *identity) error {
	cert, err := next.read.ReadPair(pair)
	if err != nil && last != nil {
		cert = last.cert
	}
	var staple []byte
	var err2 error
	if i == 0 && s.cfg.OCSP != "" {
		if staple, err2 = next.read.Read(s.cfg.OCSP); err2 != nil {
			err2 = fmt.Errorf("OCSP response: %w", err2)
		}
	}
	err = oneLine([]error{err, err2})
	if cert.Certificate == nil {
		return err
	}
	if key := cmp.Or(pair.Key, pair.Cert); next.read.Exposed(key) {
		next.warnings = append(next.warnings, fmt.Sprintf("key %s is readable by other users (mode %v), want 0600", key, next.read[key].Mode().Perm()))
	}
	id := s.maker.make(pair.Cert, cert, staple, next.clients, last, next.at)
	if id.problem != "" {
		next.warnings = append(next.warnings, "certificate "+pair.Cert+": "+id.problem)
	}
	if err != nil {
		id.problem = err.Error()
	}
	next.add(id)
	return err
}

// readCAs reads the authorities of client certificates.
func (s *Server) readCAs(read pemfile.Files) ([]*x509.Certificate, error) {
	var cas, more []*x509.Certificate
	var err, err2 error
	if s.cfg.CAFile != "" {
		cas, err = read.ReadCAs(s.cfg.CAFile)
	}
	if s.cfg.CADir != "" {
		more, err2 = read.ReadCADir(s.cfg.CADir)
	}
	return append(cas, more...), oneLine([]error{err, err2})
}

// add appends an identity and indexes it by its names. RSA keys come last among the
// identities of a name: Go signs some thirty times slower with them.
func (f *files) add(id *identity) {
	f.ids = append(f.ids, id)
	for _, name := range pemfile.NamesOf(id.leaf()) {
		all := f.names[name]
		at := len(all)
		for !id.isRSA() && at > 0 && all[at-1].isRSA() {
			at--
		}
		f.names[name] = slices.Insert(all, at, id)
	}
}

// find returns the identities for a name: of that name, of the wildcard for its
// first label, or the default ones.
func (f *files) find(name string) []*identity {
	if all := f.names[name]; all != nil {
		return all
	}
	if _, rest, ok := strings.Cut(name, "."); ok {
		if all := f.names["*."+rest]; all != nil {
			return all
		}
	}
	return f.others()
}

// others returns the default identities: the first one, and those for the same name.
func (f *files) others() []*identity {
	if len(f.ids) == 0 {
		return nil
	}
	if names := pemfile.NamesOf(f.ids[0].leaf()); len(names) > 0 {
		return f.names[names[0]]
	}
	return f.ids[:1]
}

// suits returns the first identity whose certificate the client can verify, or else
// the first one; nil if there is none.
func suits(hello *tls.ClientHelloInfo, all []*identity) *identity {
	if len(all) > 1 { // SupportsCertificate costs a microsecond
		nameless := *hello
		nameless.ServerName = "" // the name has been matched; default identities have others
		for _, id := range all {
			if nameless.SupportsCertificate(&id.config.Certificates[0]) == nil {
				return id
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all[0]
}

// oneLine joins errors; nil if there are none.
func oneLine(errs []error) error {
	var texts []string
	for _, err := range errs {
		if err != nil {
			texts = append(texts, err.Error())
		}
	}
	if texts == nil {
		return nil
	}
	return errors.New(strings.Join(texts, "; "))
}
