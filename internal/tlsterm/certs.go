package tlsterm

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// readPair reads a certificate with its key.
func (r reading) readPair(p Pair) (tls.Certificate, error) {
	data, err := r.read(p.Cert)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate: %w", err)
	}
	certs, err := parseCerts(p.Cert, data)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate %s: %w", p.Cert, err)
	}
	keyFile := cmp.Or(p.Key, p.Cert)
	if keyFile != p.Cert {
		if data, err = r.read(keyFile); err != nil {
			return tls.Certificate{}, fmt.Errorf("key: %w", err)
		}
	}
	all, err := parseKeys(keyFile, data)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("key %s: %w", keyFile, err)
	}
	for _, key := range all {
		if at := slices.IndexFunc(certs, func(c *x509.Certificate) bool { return belong(c, key) }); at >= 0 {
			return joined(certs, at, key), nil
		}
	}
	where := p.Cert
	if keyFile != p.Cert {
		where += " with key " + keyFile
	}
	return tls.Certificate{}, fmt.Errorf("certificate %s: the key does not match the certificate for %s, want its own key",
		where, cmp.Or(strings.Join(namesOf(certs[0]), ", "), "nobody"))
}

// belong reports whether a key is that of a certificate.
func belong(c *x509.Certificate, key crypto.Signer) bool {
	pub, ok := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && pub.Equal(key.Public())
}

// joined makes a certificate that is the one at an index, with those behind it that
// lead to its authority, in this order whatever theirs was in the file, and then
// the others.
func joined(certs []*x509.Certificate, at int, key crypto.Signer) tls.Certificate {
	leaf := certs[at]
	rest := slices.Delete(slices.Clone(certs), at, at+1)
	cert := tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
	for last := leaf; ; {
		next := issuerOf(last, rest)
		if next == nil {
			break
		}
		cert.Certificate = append(cert.Certificate, next.Raw)
		rest, last = slices.DeleteFunc(rest, next.Equal), next
	}
	for _, c := range rest {
		cert.Certificate = append(cert.Certificate, c.Raw)
	}
	return cert
}

// parseCerts returns the certificates of a PEM file, one at least. Whatever there
// is must be right, or one would be missing and nobody knew.
func parseCerts(name string, data []byte) ([]*x509.Certificate, error) {
	blocks, err := parts(data, certificates)
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for _, b := range blocks {
		c, err := parseCert(b)
		if err != nil {
			return nil, fmt.Errorf("certificate %d in it: %s, want PEM of certificates", len(all)+1, strings.TrimPrefix(err.Error(), "x509: "))
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, otherwise(name, data, "certificate")
	}
	return all, nil
}

// parseKeys returns the private keys of a PEM file, one at least.
func parseKeys(name string, data []byte) ([]crypto.Signer, error) {
	blocks, err := parts(data, keys)
	if err != nil {
		return nil, err
	}
	var all []crypto.Signer
	for _, b := range blocks {
		if isEncrypted(b) {
			err = fmt.Errorf("it is encrypted, and nobody is there to type its passphrase, want it decrypted: openssl pkey -in %s -out NEW", name)
			continue
		}
		key, bad := parseKey(b.Bytes)
		if bad != nil {
			err = fmt.Errorf("%s: %s, want PEM of a private key of RSA, ECDSA or Ed25519", b.Type, strings.TrimPrefix(bad.Error(), "x509: "))
			continue
		}
		all = append(all, key)
	}
	if len(all) > 0 {
		return all, nil
	}
	return nil, cmp.Or(err, otherwise(name, data, "private key"))
}

// parseCAs returns the certificates of authorities in a PEM file.
func parseCAs(name string, data []byte) ([]*x509.Certificate, error) {
	all, err := parseCerts(name, data)
	if err != nil {
		return nil, fmt.Errorf("authorities %s: %w", name, err)
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
