package tlsterm

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// readPair reads a certificate with its key.
func (r reading) readPair(p Pair) (tls.Certificate, error) {
	cert, err := r.read(p.Cert)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate: %w", err)
	}
	key, where := cert, p.Cert
	if p.Key != "" && p.Key != p.Cert {
		if key, err = r.read(p.Key); err != nil {
			return tls.Certificate{}, fmt.Errorf("key: %w", err)
		}
		where += " with key " + p.Key
	}
	if err := complete(cert); err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate %s: %w", p.Cert, err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate %s: %s, want PEM of a certificate and its own key", where, strings.TrimPrefix(err.Error(), "tls: "))
	}
	return pair, nil
}

// complete says whether a PEM file ends in the middle of something.
func complete(data []byte) error {
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			if bytes.Contains(data, []byte("-----BEGIN")) {
				return errors.New("its last part is cut off or damaged, want whole PEM")
			}
			return nil
		}
		data = rest
	}
}

// parseCAs returns the certificates of a PEM file, one at least. Whatever is
// in it must be right, or an authority would be missing and nobody knew.
func parseCAs(name string, data []byte) ([]*x509.Certificate, error) {
	if err := complete(data); err != nil {
		return nil, fmt.Errorf("authorities %s: %w", name, err)
	}
	var all []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("authorities %s: certificate %d: %s, want PEM of certificates", name, len(all)+1, strings.TrimPrefix(err.Error(), "x509: "))
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("authorities %s: there is no certificate in it, want PEM of one at least", name)
	}
	return all, nil
}

// readCAs reads the certificates of authorities of a file.
func (r reading) readCAs(name string) ([]*x509.Certificate, error) {
	data, err := r.read(name)
	if err != nil {
		return nil, fmt.Errorf("authorities: %w", err)
	}
	return parseCAs(name, data)
}

// caName is what a file of a folder of authorities is called; those that end in
// a number are made by openssl rehash.
var caName = regexp.MustCompile(`\.(pem|crt)$|^[0-9a-f]{8}\.[0-9]+$`)

// readCADir reads those of all files of a folder.
func (r reading) readCADir(dir string) ([]*x509.Certificate, error) {
	if err := r.note(dir); err != nil {
		return nil, fmt.Errorf("authorities: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("authorities: %w", err)
	}
	var all []*x509.Certificate
	for _, e := range entries {
		if !caName.MatchString(e.Name()) {
			continue
		}
		some, err := r.readCAs(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		for _, c := range some { // with the links of rehash each file is there twice
			if !slices.ContainsFunc(all, c.Equal) {
				all = append(all, c)
			}
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("authorities %s: there is no certificate in it, want files *.pem, *.crt or 0a1b2c3d.0 with one at least", dir)
	}
	return all, nil
}

// clients is what clients have to show. It is not changed.
type clients struct {
	auth   tls.ClientAuthType
	cas    []*x509.Certificate
	pool   *x509.CertPool // nil with no cas
	digest [sha256.Size]byte
}

func newClients(cas []*x509.Certificate, require bool) *clients {
	c := &clients{cas: slices.Clone(cas)}
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

// chain appends to a certificate those of the authorities that lead towards its
// root, as OpenSSL does of itself: C Pen's users have them in name.ca.
func chain(cert *tls.Certificate, cas []*x509.Certificate) {
	last, err := x509.ParseCertificate(cert.Certificate[len(cert.Certificate)-1])
	for err == nil && len(cert.Certificate) < 10 {
		next := issuerOf(last, cas)
		if next == nil || bytes.Equal(next.RawSubject, next.RawIssuer) {
			return
		}
		cert.Certificate = append(cert.Certificate, next.Raw)
		last = next
	}
}

// issuerOf returns which of the authorities has signed a certificate, or nil.
func issuerOf(c *x509.Certificate, cas []*x509.Certificate) *x509.Certificate {
	for _, ca := range cas {
		if bytes.Equal(ca.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(ca) == nil {
			return ca
		}
	}
	return nil
}

// namesOf returns whom a certificate is for, in lower case.
func namesOf(c *x509.Certificate) []string {
	var names []string
	for _, n := range c.DNSNames {
		names = append(names, strings.ToLower(strings.TrimSuffix(n, ".")))
	}
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 && c.Subject.CommonName != "" {
		names = append(names, strings.ToLower(c.Subject.CommonName)) // old ones have no others
	}
	return names
}

// issuerName is how people call who has signed a certificate.
func issuerName(c *x509.Certificate) string {
	return cmp.Or(c.Issuer.CommonName, c.Issuer.String())
}
