package tlsterm

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"

	"pen/internal/pemfile"
)

// clientAuth says which certificates clients must present. It is immutable.
type clientAuth struct {
	auth   tls.ClientAuthType
	cas    []*x509.Certificate
	pool   *x509.CertPool // nil with no cas
	digest [sha256.Size]byte
}

func newClientAuth(cas []*x509.Certificate, require bool) *clientAuth {
	c := &clientAuth{cas: slices.Clone(cas)}
	if len(cas) == 0 {
		return c
	}
	c.auth, c.pool = tls.VerifyClientCertIfGiven, x509.NewCertPool()
	if require {
		c.auth = tls.RequireAndVerifyClientCert
	}
	slices.SortFunc(c.cas, func(a, b *x509.Certificate) int { return bytes.Compare(a.Raw, b.Raw) })
	h := sha256.New()
	fmt.Fprint(h, c.auth)
	for _, ca := range c.cas {
		c.pool.AddCert(ca)
		h.Write(ca.Raw)
	}
	h.Sum(c.digest[:0])
	return c
}

// appendChain appends the authorities that lead from a certificate towards its
// root, as OpenSSL does by default: C Pen's users have them in name.ca.
func appendChain(cert *tls.Certificate, cas []*x509.Certificate) {
	last, err := x509.ParseCertificate(cert.Certificate[len(cert.Certificate)-1])
	for err == nil && len(cert.Certificate) < 10 {
		next := pemfile.IssuerOf(last, cas)
		if next == nil || bytes.Equal(next.RawSubject, next.RawIssuer) {
			return
		}
		cert.Certificate = append(cert.Certificate, next.Raw)
		last = next
	}
}

// issuerName is the name of a certificate's authority for people.
func issuerName(c *x509.Certificate) string {
	return cmp.Or(c.Issuer.CommonName, c.Issuer.String())
}
