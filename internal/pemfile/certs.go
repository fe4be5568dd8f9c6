package pemfile

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A Pair is a certificate and its key, both PEM files.
type Pair struct {
	Cert string // the certificate, then the chain to its authority
	Key  string // "": the key is in Cert as well
}

// ReadPair reads a certificate with its key. The chain is sorted so that each
// certificate is followed by the one that signed it.
func (f Files) ReadPair(p Pair) (tls.Certificate, error) {
	data, err := f.Read(p.Cert)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate: %w", err)
	}
	certs, err := parseCerts(p.Cert, data)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate %s: %w", p.Cert, err)
	}
	keyFile := cmp.Or(p.Key, p.Cert)
	if keyFile != p.Cert {
		if data, err = f.Read(keyFile); err != nil {
			return tls.Certificate{}, fmt.Errorf("key: %w", err)
		}
	}
	all, err := parseKeys(keyFile, data)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("key %s: %w", keyFile, err)
	}
	for _, key := range all {
		if at := slices.IndexFunc(certs, func(c *x509.Certificate) bool { return IsKeyOf(key, c) }); at >= 0 {
			return chainFrom(certs, at, key), nil
		}
	}
	where := p.Cert
	if keyFile != p.Cert {
		where += " with key " + keyFile
	}
	return tls.Certificate{}, fmt.Errorf("certificate %s: the key does not match the certificate for %s, want its own key",
		where, cmp.Or(strings.Join(NamesOf(certs[0]), ", "), "nobody"))
}

// IsKeyOf reports whether a private key belongs to a certificate.
func IsKeyOf(key crypto.Signer, c *x509.Certificate) bool {
	pub, ok := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && pub.Equal(key.Public())
}

// chainFrom returns the certificate at an index, then each one that signed the
// one before it, then the rest, whatever the order in the file was.
func chainFrom(certs []*x509.Certificate, at int, key crypto.Signer) tls.Certificate {
	leaf := certs[at]
	rest := slices.Delete(slices.Clone(certs), at, at+1)
	cert := tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
	for last := leaf; ; {
		next := IssuerOf(last, rest)
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

// parseCerts returns the certificates of a PEM file, at least one. A damaged one
// is an error: skipping it would hide that it is missing.
func parseCerts(name string, data []byte) ([]*x509.Certificate, error) {
	found, err := blocks(data, certificates)
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for _, b := range found {
		c, err := parseCert(b)
		if err != nil {
			return nil, fmt.Errorf("certificate %d in it: %s, want PEM of certificates", len(all)+1, strings.TrimPrefix(err.Error(), "x509: "))
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, nothingFound(name, data, "certificate")
	}
	return all, nil
}

// parseKeys returns the private keys of a PEM file, at least one. A key that
// cannot be used is an error only where there is no other.
func parseKeys(name string, data []byte) ([]crypto.Signer, error) {
	found, err := blocks(data, keys)
	if err != nil {
		return nil, err
	}
	var all []crypto.Signer
	for _, b := range found {
		if isEncrypted(b) {
			err = fmt.Errorf("it is encrypted, and Pen cannot ask for the passphrase; decrypt it: openssl pkey -in %s -out NEW", name)
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
	return nil, cmp.Or(err, nothingFound(name, data, "private key"))
}

// ParseCAs returns the certificates of the authorities in a PEM file.
func ParseCAs(name string, data []byte) ([]*x509.Certificate, error) {
	all, err := parseCerts(name, data)
	if err != nil {
		return nil, fmt.Errorf("authorities %s: %w", name, err)
	}
	return all, nil
}

// ReadCAs reads the certificates of the authorities in a file.
func (f Files) ReadCAs(name string) ([]*x509.Certificate, error) {
	data, err := f.Read(name)
	if err != nil {
		return nil, fmt.Errorf("authorities: %w", err)
	}
	return ParseCAs(name, data)
}

// caName matches the files of a folder of authorities. openssl rehash makes
// those that end in a number.
var caName = regexp.MustCompile(`\.(pem|crt)$|^[0-9a-f]{8}\.[0-9]+$`)

// ReadCADir reads the certificates of the authorities in all files *.pem, *.crt
// and 0a1b2c3d.0 of a folder, each once.
func (f Files) ReadCADir(dir string) ([]*x509.Certificate, error) {
	if err := f.Stat(dir); err != nil {
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
		some, err := f.ReadCAs(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		for _, c := range some { // links made by openssl rehash repeat a file
			if !slices.ContainsFunc(all, c.Equal) {
				all = append(all, c)
			}
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("authorities %s: there is no certificate in it, want at least one in files *.pem, *.crt or 0a1b2c3d.0", dir)
	}
	return all, nil
}

// IssuerOf returns the authority that signed a certificate, or nil.
func IssuerOf(c *x509.Certificate, cas []*x509.Certificate) *x509.Certificate {
	for _, ca := range cas {
		if bytes.Equal(ca.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(ca) == nil {
			return ca
		}
	}
	return nil
}

// NamesOf returns the host names and addresses that a certificate is for, in
// lower case, or the common name of an old one without any.
func NamesOf(c *x509.Certificate) []string {
	var names []string
	for _, n := range c.DNSNames {
		names = append(names, strings.ToLower(strings.TrimSuffix(n, ".")))
	}
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 && c.Subject.CommonName != "" {
		names = append(names, strings.ToLower(c.Subject.CommonName))
	}
	return names
}
