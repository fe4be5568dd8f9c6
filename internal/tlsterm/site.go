package tlsterm

import (
	"crypto/tls"
	"fmt"
	"path/filepath"
	"time"

	"pen/internal/pemfile"
)

// A site is the content of the files of one name. It is immutable.
type site struct {
	read   pemfile.Files
	global *clientAuth // of the server, for names without their own
	own    *clientAuth // of NAME.ca, or nil
	cert   tls.Certificate
	id     *identity // nil: refuse
	err    error     // problems with the files
}

// missing is the error for a name whose own authorities have gone.
func (d *directory) missing(name string) error {
	return fmt.Errorf("authorities %s.ca are gone, want them or a reload", filepath.Join(d.path, name))
}

// refusal is why clients of a site are refused, or nil.
func (s *site) refusal() error {
	if s.id == nil {
		return s.err
	}
	return nil
}

// check reads the files of a busy entry if they have changed, releases those who
// wait for it, and returns the site; nil if the files are gone.
func (d *directory) check(e *entry, global *clientAuth) *site {
	d.mu.Lock()
	old, distrust := e.site, e.distrust
	e.distrust = false
	d.mu.Unlock()
	now := d.now()
	s := old
	if old == nil || distrust || old.global != global || old.err != nil || old.read.Changed() || old.id.expired(now) {
		s = d.load(e.name, old, global, now)
		d.report(e.name, old, s)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	e.site, e.checked = s, d.now()
	close(e.busy)
	e.busy = nil
	if s == nil {
		d.forget(e)
		delete(d.names, e.name)
	}
	return s
}

// load reads the files of a name. For a file with an error it keeps the content of
// old. It returns nil if there are no files.
func (d *directory) load(name string, old *site, global *clientAuth, now time.Time) *site {
	base := filepath.Join(d.path, name)
	s := &site{read: pemfile.Files{}, global: global}
	ca, err := s.read.ReadOptional(base + ".ca")
	if err == nil && ca != nil {
		cas, bad := pemfile.ParseCAs(base+".ca", ca)
		if err = bad; err == nil {
			s.own = newClientAuth(cas, d.require)
		}
	}
	if gone := d.judge(name, s.read[base+".ca"] != nil); err == nil && gone {
		err = d.missing(name)
	}
	staple, err2 := s.read.ReadOptional(base + ".ocsp")
	cert, err3 := s.read.ReadPair(Pair{Cert: base + ".crt", Key: base + ".key"})
	if err == nil && s.read.Missing(base+".crt", base+".key", base+".ca") {
		return nil
	}
	s.cert = cert
	s.err = oneLine([]error{err, err3})
	var last *identity
	if old != nil {
		last = old.id
		if err3 != nil {
			s.cert = old.cert
		}
		if err != nil {
			s.own = old.own
		}
	}
	if s.cert.Certificate == nil || err != nil && last == nil {
		return s
	}
	auth := global
	if s.own != nil {
		auth = s.own
	}
	s.id = d.maker.make(base+".crt", s.cert, staple, auth, last, now)
	if problem := oneLine([]error{s.err, err2}); problem != nil {
		s.id.problem = problem.Error()
	}
	return s
}

// judge records whether a name has its own authorities now, and reports whether it
// has lost them.
func (d *directory) judge(name string, there bool) (gone bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if there {
		d.restrict(name)
		return false
	}
	return !d.mayBeFree(name)
}

// report logs a problem with a name when it appears, changes or is solved.
func (d *directory) report(name string, old, s *site) {
	wrong, was := s.problem(), old.problem()
	if key := filepath.Join(d.path, name+".key"); s != nil && s.read.Exposed(key) && (old == nil || !old.read.Exposed(key)) {
		d.log.Warn("TLS key is readable by other users, want mode 0600", "key", key, "mode", s.read[key].Mode().Perm())
	}
	switch {
	case wrong == was:
	case wrong == "":
		d.log.Info("TLS files are good again", "name", name)
	default:
		d.log.Warn("bad TLS file", "name", name, "refused", s.id == nil, "problem", wrong)
	}
}

// problem is the problem of a site, which may be nil; "" is none.
func (s *site) problem() string {
	switch {
	case s == nil:
		return ""
	case s.id != nil:
		return s.id.problem
	}
	return s.err.Error()
}
