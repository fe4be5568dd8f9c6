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
)

const (
	// stapleMargin is how long before it expires a staple is not sent any more,
	// for clients whose clock is ahead. It is longer than longest, so that no
	// certificate that was put by has one that is too old.
	stapleMargin = 5 * time.Minute
	// clockMargin is how far ahead the clock of an authority may be.
	clockMargin = 5 * time.Minute
)

// parseStaple returns an OCSP response for a certificate as DER, and until when
// it may be sent. Whatever a client would refuse is an error: one for another
// certificate, not signed by its authority or one whom that has charged with it
// (RFC 6960, section 4.2.2.2), one that is not good, and one that is too old or
// will never be.
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
		return fail("it says that the certificate is revoked or unknown")
	case r.NextUpdate.IsZero():
		return fail("it does not say until when it is good, want one with a next update")
	case r.ThisUpdate.After(now.Add(clockMargin)):
		return fail("it is good from %s on", r.ThisUpdate.Format(time.RFC3339))
	case !now.Before(until):
		return fail("it is good until %s, want a newer one", r.NextUpdate.Format(time.RFC3339))
	}
	return der, until, nil
}

// stapleIssuer returns who has signed a certificate.
func stapleIssuer(cert *tls.Certificate, cas []*x509.Certificate) (*x509.Certificate, error) {
	if len(cert.Certificate) > 1 {
		next, err := x509.ParseCertificate(cert.Certificate[1])
		if err == nil && cert.Leaf.CheckSignatureFrom(next) == nil {
			return next, nil
		}
	}
	if ca := issuerOf(cert.Leaf, cas); ca != nil {
		return ca, nil
	}
	return nil, errors.New("it cannot be checked, want the authority's certificate after the server's in its file")
}

// decodeStaple returns DER of what may be PEM or base64 as well; what is none
// of them is returned as it is.
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
