package tlsterm

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"

	"pen/internal/pemfile"
)

const (
	// stapleMargin is how long before its expiry a staple is last sent, for clients
	// whose clock is ahead. It is longer than maxStale, so that no cached
	// certificate has an expired one.
	stapleMargin = 5 * time.Minute
	// clockMargin is how far the clock of an authority may be ahead.
	clockMargin = 5 * time.Minute
)

// parseStaple returns an OCSP response for a certificate as DER, and until when it
// may be sent. A response that a client would refuse is an error: for another
// certificate, signed neither by its authority nor by a delegate of that (RFC 6960,
// section 4.2.2.2), with another status than good, expired, or without an expiry.
func parseStaple(data []byte, cert *tls.Certificate, cas []*x509.Certificate, now time.Time) ([]byte, time.Time, error) {
	fail := func(format string, args ...any) ([]byte, time.Time, error) {
		return nil, time.Time{}, fmt.Errorf("OCSP response: "+format, args...)
	}
	issuer, err := stapleIssuer(cert, cas)
	if err != nil {
		return fail("%w", err)
	}
	der := decodeStaple(data)
	r, err := ocsp.ParseResponseForCert(der, cert.Leaf, issuer)
	if err != nil {
		return fail("%w, want one for the certificate with serial number %x", err, cert.Leaf.SerialNumber)
	}
	if by := r.Certificate; by != nil && !by.Equal(issuer) {
		if !slices.Contains(by.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) || now.Before(by.NotBefore) || now.After(by.NotAfter) {
			return fail("it is signed by %q, which may not do so, at least now", by.Subject)
		}
	}
	until := r.NextUpdate.Add(-stapleMargin)
	switch {
	case r.Status != ocsp.Good:
		return fail("the certificate is revoked or unknown in it")
	case r.NextUpdate.IsZero():
		return fail("it has no expiry, want one with a next update")
	case r.ThisUpdate.After(now.Add(clockMargin)):
		return fail("it is good from %s on", r.ThisUpdate.Format(time.RFC3339))
	case !now.Before(until):
		return fail("it is good until %s, want a newer one", r.NextUpdate.Format(time.RFC3339))
	}
	return der, until, nil
}

// stapleIssuer returns the authority that signed a certificate.
func stapleIssuer(cert *tls.Certificate, cas []*x509.Certificate) (*x509.Certificate, error) {
	if len(cert.Certificate) > 1 {
		next, err := x509.ParseCertificate(cert.Certificate[1])
		if err == nil && cert.Leaf.CheckSignatureFrom(next) == nil {
			return next, nil
		}
	}
	if ca := pemfile.IssuerOf(cert.Leaf, cas); ca != nil {
		return ca, nil
	}
	return nil, errors.New("it cannot be verified, want the authority's certificate after the server's in its file")
}

// decodeStaple converts PEM or base64 to DER, and returns other data unchanged.
func decodeStaple(data []byte) []byte {
	if block, _ := pem.Decode(data); block != nil {
		return block.Bytes
	}
	text := bytes.Join(bytes.Fields(data), nil)
	der := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	if n, err := base64.StdEncoding.Decode(der, text); err == nil {
		return der[:n]
	}
	return data
}
