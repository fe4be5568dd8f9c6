package tlsterm

import (
	"context"
	"crypto/tls"
	"slices"
	"sync"
	"time"
)

const (
	// checkInterval is how often files are checked for changes.
	checkInterval = 10 * time.Second
	// maxAge is when files are read again although none has changed.
	maxAge = time.Hour
)

// Reload reads all files again, for the handshakes that start afterwards. The error
// is one line with everything that could not be used; the old content of that
// stays active. Names of the folder are read again when a client next asks for
// them; only after a Reload may one lose its own authorities.
func (s *Server) Reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir != nil {
		s.dir.distrust()
	}
	return s.reload(time.Now())
}

// reload is Reload without the folder. s.mu is held.
func (s *Server) reload(now time.Time) error {
	old := s.files.Load()
	next, err := s.load(old, now)
	s.files.Store(next)
	if next.clients != old.clients {
		s.remake(now)
	}
	s.report(next)
	return err
}

// report logs each problem once until it is solved. s.mu is held, or s is not shared
// yet.
func (s *Server) report(f *files) {
	wrong := slices.Clone(f.warnings)
	if f.err != nil {
		wrong = append(wrong, f.err.Error())
	}
	for _, w := range wrong {
		if !slices.Contains(s.reported, w) {
			s.log.Warn("bad TLS file", "problem", w)
		}
	}
	if len(wrong) == 0 && len(s.reported) > 0 {
		s.log.Info("TLS files are good again")
	}
	s.reported = wrong
}

// Run does the periodic work until ctx is done: it reloads changed files within some
// ten seconds, drops expired staples, rotates session ticket keys, and obtains and
// renews certificates by ACME. It blocks until all that has stopped, and is called
// once at a time.
func (s *Server) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	if s.acme != nil {
		running.Go(func() {
			s.acme.Run(ctx, func(certs map[string]tls.Certificate) {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.manage(certs, time.Now())
			})
		})
	}
	tick := time.NewTicker(checkInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.refresh(time.Now())
		}
	}
}

// refresh does what is due.
func (s *Server) refresh(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files.Load()
	due := f.err != nil || now.Sub(f.at) >= maxAge || f.read.Changed()
	for _, id := range f.ids {
		due = due || id.expired(now)
	}
	if due {
		s.reload(now) // logs its error
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

// manage activates the certificates of ACME, all of them by name. s.mu is held.
func (s *Server) manage(certs map[string]tls.Certificate, now time.Time) {
	old, clients := *s.managed.Load(), s.files.Load().clients
	next := make(map[string]*identity, len(certs))
	for name, cert := range certs {
		next[name] = s.maker.make(sourceACME, cert, cert.OCSPStaple, clients, old[name], now)
	}
	s.managed.Store(&next)
}

// remake makes new identities for the certificates of ACME, after a change of the
// client authentication or an expired staple. s.mu is held.
func (s *Server) remake(now time.Time) {
	certs := map[string]tls.Certificate{}
	for name, id := range *s.managed.Load() {
		certs[name] = id.cert
	}
	s.manage(certs, now)
}
