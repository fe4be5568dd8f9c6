package testenv

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"time"
)

// An Authority signs certificates.
type Authority struct {
	Cert *x509.Certificate
	Key  crypto.Signer
}

// NewAuthority returns an authority that has signed itself.
func NewAuthority(t Failer, name string) *Authority {
	a := &Authority{Key: ECDSAKey(t)}
	a.Cert = a.Sign(t, authorityTemplate(name), a.Key.Public())
	return a
}

// Sub returns an authority below a.
func (a *Authority) Sub(t Failer, name string) *Authority {
	key := ECDSAKey(t)
	return &Authority{Cert: a.Sign(t, authorityTemplate(name), key.Public()), Key: key}
}

func authorityTemplate(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

// Issue returns a certificate for names and addresses, for servers and clients, with
// a new ECDSA key.
func (a *Authority) Issue(t Failer, names ...string) tls.Certificate {
	return a.IssueFor(t, ECDSAKey(t), names...)
}

// IssueFor is [Authority.Issue] with a key of the caller's.
func (a *Authority) IssueFor(t Failer, key crypto.Signer, names ...string) tls.Certificate {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: names[0]}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	leaf := a.Sign(t, template, key.Public())
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
}

// Sign completes a template and signs it. Unless the template says otherwise, the
// certificate is valid for 90 days, the longest time to which scanners do not object.
func (a *Authority) Sign(t Failer, template *x509.Certificate, pub crypto.PublicKey) *x509.Certificate {
	template.SerialNumber, _ = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	template.NotBefore = time.Now().Add(-time.Hour)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().AddDate(0, 0, 90)
	}
	template.BasicConstraintsValid = true
	parent := a.Cert
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, a.Key)
	if err != nil {
		t.Fatalf("sign a certificate: %v", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("parse a certificate of this test: %v", err)
	}
	return cert
}

// PEM returns the authority's certificate.
func (a *Authority) PEM() []byte { return CertPEM(a.Cert.Raw) }

// Pool returns the authority as the only one that a peer trusts.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Cert)
	return pool
}

// Write writes the authority's certificate to a file.
func (a *Authority) Write(t Failer, file string) { writeSecret(t, file, a.PEM()) }

// WritePEM writes a certificate and its key to one file.
func WritePEM(t Failer, file string, cert tls.Certificate) {
	writeSecret(t, file, append(CertPEM(cert.Certificate...), KeyPEM(t, cert.PrivateKey)...))
}

func writeSecret(t Failer, file string, data []byte) {
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatalf("%v", err)
	}
}

// CertPEM encodes certificates.
func CertPEM(ders ...[]byte) []byte {
	var b bytes.Buffer
	for _, der := range ders {
		pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	return b.Bytes()
}

// KeyPEM encodes a private key.
func KeyPEM(t Failer, key crypto.PrivateKey) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatalf("encode a key: %v", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// ECDSAKey returns a new key of curve P-256.
func ECDSAKey(t Failer) crypto.Signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("make a key: %v", err)
	}
	return key
}

// RSAKey returns a new RSA key of 2048 bits.
func RSAKey(t Failer) crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatalf("make a key: %v", err)
	}
	return key
}
