package pen_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// A failer is a test, or a script.
type failer interface {
	Fatalf(format string, args ...any)
}

var (
	_ failer = (*testing.T)(nil)
	_ failer = (*testscript.TestScript)(nil)
)

// An authority signs certificates of a test.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newAuthority(t failer, name string) *authority {
	a := &authority{key: ecdsaKey(t)}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	a.cert = a.sign(t, template, template, a.key)
	return a
}

// issue writes a certificate for names, and its key, to a PEM file.
func (a *authority) issue(t failer, file string, key crypto.Signer, names ...string) {
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
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatalf("%v", err)
	}
	cert := a.sign(t, template, a.cert, key)
	writePEM(t, file, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func (a *authority) write(t failer, file string) {
	writePEM(t, file, &pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// sign makes a certificate that is good for 90 days.
func (a *authority) sign(t failer, template, parent *x509.Certificate, key crypto.Signer) *x509.Certificate {
	template.SerialNumber, _ = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = time.Now().AddDate(0, 0, 90)
	template.BasicConstraintsValid = true
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), a.key)
	if err != nil {
		t.Fatalf("%v", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return cert
}

func ecdsaKey(t failer) crypto.Signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return key
}

func rsaKey(t failer) crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return key
}

func writePEM(t failer, file string, blocks ...*pem.Block) {
	var text []byte
	for _, b := range blocks {
		text = append(text, pem.EncodeToMemory(b)...)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatalf("%v", err)
	}
}

// cert FILE NAME... writes a certificate for names, with its key, to a PEM file;
// who has signed it is in ca.pem.
func cert(ts *testscript.TestScript, _ bool, args []string) {
	w := worldOf(ts)
	if w.ca == nil {
		w.ca = newAuthority(ts, "Pen's tests")
		w.ca.write(ts, ts.MkAbs("ca.pem"))
	}
	w.ca.issue(ts, ts.MkAbs(args[0]), ecdsaKey(ts), args[1:]...)
}
