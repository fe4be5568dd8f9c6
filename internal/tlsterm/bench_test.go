package tlsterm

import (
	"crypto"
	"crypto/tls"
	"io"
	"net"
	"testing"

	"pen/internal/testenv"
)

// BenchmarkHandshake is what a handshake costs both sides together, over
// loopback: the server's part is what is left when the client's, which is the
// same in all programs, is taken away.
func BenchmarkHandshake(b *testing.B) {
	for _, bb := range []struct {
		name    string
		key     func(testenv.Failer) crypto.Signer
		resumed bool
	}{{"P-256", testenv.ECDSAKey, false}, {"RSA-2048", testenv.RSAKey, false}, {"resumed", testenv.ECDSAKey, true}} {
		for _, v := range versions {
			b.Run(bb.name+"/"+v.name, func(b *testing.B) {
				ca, dir := testenv.NewAuthority(b, "ca"), b.TempDir()
				addr := serve(b, newServer(b, ServerConfig{Certificates: []Pair{writePair(b, dir, "a", ca.IssueFor(b, bb.key(b), "a.example"))}}))
				cfg := &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example", MaxVersion: v.version}
				if bb.resumed {
					cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
					if _, err := visit(b, addr, cfg); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportAllocs()
				for b.Loop() {
					c, err := net.Dial("tcp", addr)
					if err != nil {
						b.Fatal(err)
					}
					conn := tls.Client(c, cfg)
					if _, err := io.Copy(io.Discard, conn); err != nil || conn.ConnectionState().DidResume != bb.resumed {
						b.Fatalf("%v, resumed: %v", err, conn.ConnectionState().DidResume)
					}
					c.Close()
				}
			})
		}
	}
}

// BenchmarkChoose is what the choice of a certificate adds to a handshake.
func BenchmarkChoose(b *testing.B) {
	ca, dir := testenv.NewAuthority(b, "ca"), b.TempDir()
	s := newServer(b, ServerConfig{SNIDir: dir, Certificates: []Pair{writePair(b, b.TempDir(), "a", ca.Issue(b, "a.example", "*.example"))}})
	writePair(b, dir, "site.example", ca.Issue(b, "site.example"))
	s.dir.distrust()
	for _, name := range []string{"a.example", "other.example", "site.example"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			hello := &tls.ClientHelloInfo{ServerName: name, Conn: &gate{ctx: b.Context(), queue: newQueue(1), begun: true, inside: true}}
			for b.Loop() {
				if _, err := s.choose(hello); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
