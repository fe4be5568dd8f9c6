package tlsterm

import (
	"crypto/tls"
	"testing"
	"time"

	"pen/internal/testenv"
)

// A shared is a cache of sessions that has one for all servers, as an attacker
// would.
type shared struct{ session *tls.ClientSessionState }

func (s *shared) Get(string) (*tls.ClientSessionState, bool)    { return s.session, s.session != nil }
func (s *shared) Put(_ string, session *tls.ClientSessionState) { s.session = session }

// A ticket that was got where nobody is asked for a certificate is worth nothing
// where one is required, though both names have the same certificate.
func TestTicketOfAnotherName(t *testing.T) {
	ca := testenv.NewAuthority(t, "ca")
	both := ca.Issue(t, "open.example", "closed.example")
	s := newServer(t, ServerConfig{SNIDir: t.TempDir(), Certificates: []Pair{writePair(t, t.TempDir(), "d", ca.Issue(t, "d"))}})
	s.dir.require = true
	writePair(t, s.cfg.SNIDir, "open.example", both)
	writePair(t, s.cfg.SNIDir, "closed.example", both)
	write(t, s.cfg.SNIDir, "closed.example.ca", ca.PEM())
	s.dir.distrust()
	addr := serve(t, s)
	for _, v := range versions {
		cfg := &tls.Config{
			RootCAs: ca.Pool(), ServerName: "open.example", MinVersion: v.version, MaxVersion: v.version, ClientSessionCache: &shared{},
		}
		for _, resumed := range []bool{false, true} {
			state, err := visit(t, addr, cfg)
			if err != nil || state.DidResume != resumed {
				t.Fatalf("TLS %s: %v, resumed: %v, want %v", v.name, err, state.DidResume, resumed)
			}
		}
		asked := false
		cfg.ServerName = "closed.example"
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = true
			return &tls.Certificate{}, nil
		}
		if state, err := visit(t, addr, cfg); err == nil {
			t.Errorf("TLS %s: the ticket of another name opens a closed one, resumed: %v", v.name, state.DidResume)
		}
		if !asked {
			t.Errorf("TLS %s: nobody was asked for a certificate", v.name)
		}
	}
}

// Tickets survive a reload and two rotations of keys, and not more.
func TestTicketKeys(t *testing.T) {
	ca, dir := testenv.NewAuthority(t, "ca"), t.TempDir()
	s := newServer(t, ServerConfig{Certificates: []Pair{writePair(t, dir, "a", ca.Issue(t, "a.example"))}})
	addr := serve(t, s)
	for _, v := range versions {
		session := &shared{}
		cfg := &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example", MinVersion: v.version, MaxVersion: v.version, ClientSessionCache: session}
		if _, err := visit(t, addr, cfg); err != nil {
			t.Fatal(err)
		}
		first := session.session
		resumes := func(what string, want bool) {
			t.Helper()
			session.session = first
			state, err := visit(t, addr, cfg)
			if err != nil || state.DidResume != want {
				t.Errorf("TLS %s, %s: %v, resumed: %v, want %v", v.name, what, err, state.DidResume, want)
			}
		}
		resumes("at once", true)
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
		resumes("after a reload", true)
		now := s.files.Load().ids[0].tickets.made
		for i := 1; i <= keptKeys; i++ {
			now = now.Add(rotation)
			s.files.Load().ids[0].rotate(now.Add(-time.Second))
			s.files.Load().ids[0].rotate(now)
			resumes("after rotations of keys", i < keptKeys)
		}
	}
}

// Whoever gets another certificate gets other keys.
func TestTicketsOfANewCertificate(t *testing.T) {
	ca, dir := testenv.NewAuthority(t, "ca"), t.TempDir()
	s := newServer(t, ServerConfig{Certificates: []Pair{writePair(t, dir, "a", ca.Issue(t, "a.example"))}})
	old := s.files.Load().ids[0].tickets
	writePair(t, dir, "a", ca.Issue(t, "a.example"))
	s.refresh(time.Now())
	if s.files.Load().ids[0].tickets == old {
		t.Error("the keys are those of the old certificate")
	}
}
