package tlsterm

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pen/internal/testenv"
)

// sniServer returns a server with a folder, its address, and what moves its
// clock ahead so that the folder is looked at again.
func sniServer(t *testing.T, cfg ServerConfig, l *log) (s *Server, addr string, later func()) {
	t.Helper()
	s, err := NewServer(cfg, l.logger())
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	ahead := time.Duration(0)
	s.dir.now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return time.Now().Add(ahead)
	}
	return s, serve(t, s), func() {
		mu.Lock()
		defer mu.Unlock()
		ahead += recheck
	}
}

func TestFolder(t *testing.T) {
	ca, dir := testenv.NewAuthority(t, "ca"), t.TempDir()
	var l log
	_, addr, later := sniServer(t, ServerConfig{SNIDir: dir}, &l)
	ask := func(name string) (tls.ConnectionState, error) {
		t.Helper()
		return visit(t, addr, &tls.Config{ServerName: name, RootCAs: ca.Pool()})
	}
	for _, name := range []string{"", "a.example"} {
		if _, err := ask(name); err == nil {
			t.Errorf("%q is served from nothing", name)
		}
	}
	writePair(t, dir, "a.example", ca.Issue(t, "a.example"))
	later()
	if _, err := ask("a.example"); err != nil {
		t.Errorf("a new name: %v", err)
	}
	next := ca.Issue(t, "a.example")
	writePair(t, dir, "a.example", next)
	later()
	state, err := ask("a.example")
	if err != nil || !state.PeerCertificates[0].Equal(next.Leaf) {
		t.Errorf("a new certificate: %v, %v", err, state.PeerCertificates)
	}
	for _, ext := range []string{".crt", ".key"} {
		if err := os.Remove(filepath.Join(dir, "a.example"+ext)); err != nil {
			t.Fatal(err)
		}
	}
	later()
	if _, err := ask("a.example"); err == nil {
		t.Error("a name that is gone is served")
	}
	if strings.Contains(l.String(), "WARN") {
		t.Errorf("there was nothing to warn of: %s", &l)
	}
}

// spoils are ways for the files of a name to be wrong.
func spoils(t *testing.T) map[string]func(base string) error {
	return map[string]func(base string) error{
		"empty CA":   func(base string) error { return os.WriteFile(base+".ca", nil, 0o600) },
		"garbage CA": func(base string) error { return os.WriteFile(base+".ca", []byte("garbage"), 0o600) },
		"no key":     func(base string) error { return os.Remove(base + ".key") },
		"no crt":     func(base string) error { return os.Remove(base + ".crt") },
		"only CA":    func(base string) error { os.Remove(base + ".crt"); return os.Remove(base + ".key") },
		"other key": func(base string) error {
			return os.WriteFile(base+".key", testenv.KeyPEM(t, testenv.ECDSAKey(t)), 0o600)
		},
		"CA gone": func(base string) error { return os.Remove(base + ".ca") },
	}
}

// A name whose files are wrong is refused from the start, not served as others
// are; and goes on as it was if they come to be wrong later.
func TestFolderNeverOpens(t *testing.T) {
	ca, dir := testenv.NewAuthority(t, "ca"), t.TempDir()
	client := ca.Issue(t, "client")
	for name, spoil := range spoils(t) {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			base := filepath.Join(folder, "a.example")
			prepare := func() {
				writePair(t, folder, "a.example", ca.Issue(t, "a.example"))
				write(t, folder, "a.example.ca", ca.PEM())
			}
			cfg := ServerConfig{
				SNIDir: folder, CAFile: write(t, dir, "ca.pem", testenv.NewAuthority(t, "other").PEM()), RequireClient: true,
				Certificates: []Pair{writePair(t, dir, "d", ca.Issue(t, "a.example"))},
			}
			var l log
			prepare()
			s, addr, later := sniServer(t, cfg, &l)
			show := &tls.Config{ServerName: "a.example", RootCAs: ca.Pool()}
			show.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &client, nil }
			if _, err := visit(t, addr, show); err != nil {
				t.Fatal(err)
			}
			if err := spoil(base); err != nil {
				t.Fatal(err)
			}
			later()
			if _, err := visit(t, addr, show); err != nil {
				t.Errorf("what was in force is not: %v", err)
			}
			if _, err := visit(t, addr, &tls.Config{ServerName: "a.example", RootCAs: ca.Pool()}); err == nil {
				t.Error("a client without a certificate is let in")
			}
			if info := s.Certificates(); info[1].Error == "" || !strings.Contains(l.String(), "a.example") {
				t.Errorf("nobody is told: %+v, %s", info[1], &l)
			}
			if name == "CA gone" { // and a reload says that this is meant
				if err := s.Reload(); err != nil {
					t.Fatal(err)
				}
				if _, err := visit(t, addr, show); err == nil {
					t.Error("after a reload the other authorities are not in force")
				}
				return
			}
			_, addr, later = sniServer(t, cfg, &l)
			if !refused(t, addr, show) {
				t.Error("a name that never was right is served")
			}
			prepare()
			later()
			if refused(t, addr, show) {
				t.Error("after it was mended it is refused")
			}
		})
	}
}

// A name that has had authorities of its own is not served without, however long
// ago it was asked for, if ever, until a reload says that this is meant.
func TestFolderKeepsAuthorities(t *testing.T) {
	ca, other := testenv.NewAuthority(t, "ca"), testenv.NewAuthority(t, "other")
	cert := ca.Issue(t, "a.example")
	for name, lose := range map[string]func(t *testing.T, s *Server, base string){
		"gone before it was asked for": func(t *testing.T, s *Server, base string) {
			os.Remove(base + ".ca")
		},
		"gone when others took its place": func(t *testing.T, s *Server, base string) {
			s.dir.mu.Lock()
			s.dir.forget(s.dir.entries["a.example"])
			s.dir.mu.Unlock()
			os.Remove(base + ".ca")
		},
		"a link that leads nowhere": func(t *testing.T, s *Server, base string) {
			os.Remove(base + ".ca")
			os.Symlink("/nonexistent", base+".ca")
		},
		"all gone": func(t *testing.T, s *Server, base string) {
			for _, ext := range []string{".crt", ".key", ".ca"} {
				os.Remove(base + ext)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			folder, dir := t.TempDir(), t.TempDir()
			base := filepath.Join(folder, "a.example")
			writePair(t, folder, "a.example", cert)
			write(t, folder, "a.example.ca", ca.PEM())
			s, addr, later := sniServer(t, ServerConfig{
				SNIDir: folder, CAFile: write(t, dir, "ca.pem", other.PEM()), RequireClient: true,
				Certificates: []Pair{writePair(t, dir, "d", cert)},
			}, new(log))
			shows := func(a *testenv.Authority) *tls.Config {
				client := a.Issue(t, "client")
				return &tls.Config{ServerName: "a.example", RootCAs: ca.Pool(), GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					return &client, nil
				}}
			}
			own, stranger := shows(ca), shows(other)
			if name != "gone before it was asked for" && refused(t, addr, own) {
				t.Fatal("refused though nothing is wrong")
			}
			lose(t, s, base)
			later()
			if !refused(t, addr, stranger) {
				t.Error("served without its authorities")
			}
			writePair(t, folder, "a.example", cert)
			later()
			if !refused(t, addr, stranger) {
				t.Error("served without its authorities when it is back")
			}
			write(t, folder, "a.example.ca", ca.PEM())
			later()
			if refused(t, addr, own) || !refused(t, addr, stranger) {
				t.Error("its authorities are back, but not in force")
			}
			os.Remove(base + ".ca")
			if err := s.Reload(); err != nil {
				t.Fatal(err)
			}
			if refused(t, addr, stranger) || !refused(t, addr, own) {
				t.Error("after a reload the general authorities are not in force")
			}
		})
	}
}

// Beyond what is remembered, no name is served without authorities of its own.
func TestFolderForgetsNothing(t *testing.T) {
	ca, dir := testenv.NewAuthority(t, "ca"), t.TempDir()
	writePair(t, dir, "a.example", ca.Issue(t, "a.example"))
	s, addr, _ := sniServer(t, ServerConfig{SNIDir: dir}, new(log))
	s.dir.mu.Lock()
	for i := range maxRestricted + 10 {
		s.dir.restrict(fmt.Sprintf("n%d.example", i))
	}
	n := len(s.dir.restricted)
	s.dir.mu.Unlock()
	if n != maxRestricted || !refused(t, addr, &tls.Config{ServerName: "a.example", RootCAs: ca.Pool()}) {
		t.Errorf("%d names are remembered, and one that may have been among the others is served", n)
	}
}

func refused(t *testing.T, addr string, cfg *tls.Config) bool {
	t.Helper()
	_, err := visit(t, addr, cfg)
	return err != nil
}

// Names that are not there cost no memory and not a look at the disk each; and
// of those that are there some are put by.
func TestFolderIsBounded(t *testing.T) {
	ca, dir := testenv.NewAuthority(t, "ca"), t.TempDir()
	cert := ca.Issue(t, "a.example")
	for i := range maxSites + 10 {
		writePair(t, dir, fmt.Sprintf("n%d.example", i), cert)
	}
	s := newServer(t, ServerConfig{SNIDir: dir})
	global := s.files.Load().clients
	find := func(name string) *identity {
		t.Helper()
		id, err := s.dir.find(&tls.ClientHelloInfo{Conn: &gate{ctx: t.Context(), queue: newQueue(1)}}, name, global)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	for i := range maxSites + 10 {
		if find(fmt.Sprintf("n%d.example", i)) == nil {
			t.Fatalf("name %d is not found", i)
		}
	}
	if n := len(s.dir.entries); n != maxSites || s.dir.used.Len() != n {
		t.Errorf("%d names are kept, and %d in the list, want %d", n, s.dir.used.Len(), maxSites)
	}
	listed := s.dir.listed
	s.dir.now = func() time.Time { return listed }
	for i := range 10000 {
		if id, err := s.dir.find(&tls.ClientHelloInfo{Conn: &gate{ctx: t.Context(), queue: newQueue(1)}}, fmt.Sprintf("x%d.example", i), global); id != nil || err != nil {
			t.Fatal(id, err)
		}
	}
	if len(s.dir.entries) != maxSites || !s.dir.listed.Equal(listed) {
		t.Errorf("%d names are kept", len(s.dir.entries))
	}
}

// Many who ask for a name at once have its files read once, and all get it.
func TestFolderAtOnce(t *testing.T) {
	ca, dir := testenv.NewAuthority(t, "ca"), t.TempDir()
	writePair(t, dir, "a.example", ca.Issue(t, "a.example"))
	s := newServer(t, ServerConfig{SNIDir: dir})
	addr := serve(t, s)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := visit(t, addr, &tls.Config{ServerName: "a.example", RootCAs: ca.Pool()}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
