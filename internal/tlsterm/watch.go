package tlsterm

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	every  = 10 * time.Second // how often the files are looked at
	reread = time.Hour        // how old what was read may be, though no file has changed
)

// files is what is in force of the certificates that files are named for. It is
// not changed.
type files struct {
	at       time.Time // when they were read
	read     reading
	clients  *clients
	ids      []*identity // in the order of the configuration
	names    map[string][]*identity
	warnings []string // what is wrong and does no harm
	err      error    // what is wrong, so that the old of it is in force
}

// load reads all files. What is wrong with them is in the error, and the old of
// it stays in force; without old there is nothing but the error.
func (s *Server) load(old *files, now time.Time) (*files, error) {
	next := &files{at: now, read: reading{}, names: map[string][]*identity{}}
	var errs []error
	cas, err := s.readCAs(next.read)
	next.clients = newClients(cas, s.cfg.RequireClient)
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

// loadPair adds the certificate of a pair, or else the last one of it.
func (s *Server) loadPair(next *files, i int, pair Pair, last *identity) error {
	cert, err := next.read.readPair(pair)
	if err != nil && last != nil {
		cert = last.cert
	}
	var staple []byte
	var err2 error
	if i == 0 && s.cfg.OCSP != "" {
		if staple, err2 = next.read.read(s.cfg.OCSP); err2 != nil {
			err2 = fmt.Errorf("OCSP response: %w", err2)
		}
	}
	err = oneLine([]error{err, err2})
	if cert.Certificate == nil {
		return err
	}
	if key := cmp.Or(pair.Key, pair.Cert); next.read.open(key) {
		next.warnings = append(next.warnings, fmt.Sprintf("key %s may be read by others than its owner (mode %v), want 0600", key, next.read[key].Mode().Perm()))
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

// readCAs reads who signs the certificates of clients.
func (s *Server) readCAs(r reading) ([]*x509.Certificate, error) {
	var cas, more []*x509.Certificate
	var err, err2 error
	if s.cfg.CAFile != "" {
		cas, err = r.readCAs(s.cfg.CAFile)
	}
	if s.cfg.CADir != "" {
		more, err2 = r.readCADir(s.cfg.CADir)
	}
	return append(cas, more...), oneLine([]error{err, err2})
}

// add appends an identity, which is found by its names. Of several for a name
// those with a key of RSA come last: Go takes some thirty times as long to sign
// with it.
func (f *files) add(id *identity) {
	f.ids = append(f.ids, id)
	for _, name := range namesOf(id.leaf()) {
		all := f.names[name]
		at := len(all)
		for !id.isRSA() && at > 0 && all[at-1].isRSA() {
			at--
		}
		f.names[name] = slices.Insert(all, at, id)
	}
}

// find returns the certificates for a name, or else for those with a wildcard in
// the place of its first label, or else for all others.
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

// others returns the first certificate, and those for the same name.
func (f *files) others() []*identity {
	if len(f.ids) == 0 {
		return nil
	}
	if names := namesOf(f.ids[0].leaf()); len(names) > 0 {
		return f.names[names[0]]
	}
	return f.ids[:1]
}

// suits returns the first certificate that a client can verify, or else the
// first one; nil if there is none.
func suits(hello *tls.ClientHelloInfo, all []*identity) *identity {
	if len(all) > 1 { // asking costs a microsecond
		nameless := *hello
		nameless.ServerName = "" // if none is for its name, they are for others
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

// Reload reads all files anew, and what it reads is in force for the handshakes
// that begin then. What is wrong is in the error, one line, and the old of it
// stays in force. In the folder, the names are looked up anew when they are
// asked for; one that has had authorities of its own is served without them only
// after a Reload.
func (s *Server) Reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir != nil {
		s.dir.distrust()
	}
	return s.reload(time.Now())
}

// reload is Reload for the files, and for what else depends on them. s.mu is held.
func (s *Server) reload(now time.Time) error {
	old := s.files.Load()
	next, err := s.load(old, now)
	s.files.Store(next)
	if next.clients != old.clients {
		s.remake(now)
	}
	s.tell(next)
	return err
}

// tell logs what is wrong, each thing once until it is right. s.mu is held, or
// nobody else has s yet.
func (s *Server) tell(f *files) {
	wrong := slices.Clone(f.warnings)
	if f.err != nil {
		wrong = append(wrong, f.err.Error())
	}
	for _, w := range wrong {
		if !slices.Contains(s.told, w) {
			s.log.Warn("TLS files are not as they should be", "problem", w)
		}
	}
	if len(wrong) == 0 && len(s.told) > 0 {
		s.log.Info("TLS files are as they should be again")
	}
	s.told = wrong
}

// Run does what time asks for, until ctx is done and all that it has begun has
// ended: files that change are noticed within some ten seconds, responses of
// OCSP that expire are not stapled any more, keys of session tickets are
// exchanged, certificates are obtained and renewed by ACME. It is called once
// at a time.
func (s *Server) Run(ctx context.Context) {
	var begun sync.WaitGroup
	defer begun.Wait()
	if s.acme != nil {
		begun.Go(func() {
			s.acme.run(ctx, func(certs map[string]tls.Certificate) {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.manage(certs, time.Now())
			})
		})
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.look(time.Now())
		}
	}
}

// look does what is due.
func (s *Server) look(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files.Load()
	due := f.err != nil || now.Sub(f.at) >= reread || f.read.changed()
	for _, id := range f.ids {
		due = due || id.expired(now)
	}
	if due {
		s.reload(now) // it has logged its error
	}
	for _, id := range s.files.Load().ids {
		id.rotate(now)
	}
	for _, id := range *s.managed.Load() {
		if id.expired(now) {
			s.remake(now)
			break
		}
	}
	for _, id := range *s.managed.Load() {
		id.rotate(now)
	}
	if s.dir != nil {
		s.dir.rotate(now)
	}
}

// manage puts certificates of ACME in force, all that there are, by name. s.mu
// is held.
func (s *Server) manage(certs map[string]tls.Certificate, now time.Time) {
	old, clients := *s.managed.Load(), s.files.Load().clients
	next := make(map[string]*identity, len(certs))
	for name, cert := range certs {
		next[name] = s.maker.make(sourceACME, cert, cert.OCSPStaple, clients, old[name], now)
	}
	s.managed.Store(&next)
}

// remake makes the identities of ACME's certificates anew. s.mu is held.
func (s *Server) remake(now time.Time) {
	certs := map[string]tls.Certificate{}
	for name, id := range *s.managed.Load() {
		certs[name] = id.cert
	}
	s.manage(certs, now)
}

// oneLine joins errors.
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
