package tlsterm

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"pen/internal/testenv"
)

// respond returns an OCSP response of an authority, with what change does to it.
func respond(t testing.TB, a *testenv.Authority, leaf *x509.Certificate, change func(*ocsp.Response)) []byte {
	t.Helper()
	r := &ocsp.Response{
		Status: ocsp.Good, SerialNumber: leaf.SerialNumber,
		ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour),
	}
	if change != nil {
		change(r)
	}
	by, key := a.Cert, a.Key
	if r.Certificate != nil {
		by, key = r.Certificate, responderKey
	}
	der, err := ocsp.CreateResponse(a.Cert, by, *r, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// responderKey is that of the responders of a test.
var responderKey crypto.Signer

// responder returns the certificate of one that an authority has charged.
func responder(t testing.TB, a *testenv.Authority, usage x509.ExtKeyUsage, until time.Time) *x509.Certificate {
	t.Helper()
	return a.Sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "responder"}, ExtKeyUsage: []x509.ExtKeyUsage{usage}, NotAfter: until}, responderKey.Public())
}

func TestStaple(t *testing.T) {
	responderKey = testenv.ECDSAKey(t)
	root := testenv.NewAuthority(t, "root")
	ca, other := root.Sub(t, "ca"), testenv.NewAuthority(t, "ca")
	cert := ca.Issue(t, "a.example")
	leaf := cert.Leaf
	chained := cert
	chained.Certificate = [][]byte{leaf.Raw, ca.Cert.Raw}
	good := respond(t, ca, leaf, nil)
	later := time.Now().Add(time.Hour)
	for name, tt := range map[string]struct {
		data []byte
		cert tls.Certificate
		cas  []*x509.Certificate
		want string // in the error; "": none
	}{
		"DER":              {good, chained, nil, ""},
		"base64":           {[]byte(base64.StdEncoding.EncodeToString(good) + "\n"), chained, nil, ""},
		"PEM":              {pem.EncodeToMemory(&pem.Block{Type: "OCSP RESPONSE", Bytes: good}), chained, nil, ""},
		"issuer of the CA": {good, cert, []*x509.Certificate{other.Cert, ca.Cert}, ""},
		"no issuer":        {good, cert, []*x509.Certificate{root.Cert}, "authority's certificate"},
		"charged":          {respond(t, ca, leaf, func(r *ocsp.Response) { r.Certificate = responder(t, ca, x509.ExtKeyUsageOCSPSigning, later) }), chained, nil, ""},
		"not charged":      {respond(t, ca, leaf, func(r *ocsp.Response) { r.Certificate = responder(t, ca, x509.ExtKeyUsageServerAuth, later) }), chained, nil, "may not"},
		"charge is over": {respond(t, ca, leaf, func(r *ocsp.Response) {
			r.Certificate = responder(t, ca, x509.ExtKeyUsageOCSPSigning, time.Now().Add(-time.Minute))
		}), chained, nil, "may not"},
		"by another":    {respond(t, other, leaf, nil), chained, nil, "signature"},
		"for another":   {respond(t, ca, ca.Issue(t, "b").Leaf, nil), chained, nil, "serial number"},
		"revoked":       {respond(t, ca, leaf, func(r *ocsp.Response) { r.Status = ocsp.Revoked }), chained, nil, "revoked"},
		"unknown":       {respond(t, ca, leaf, func(r *ocsp.Response) { r.Status = ocsp.Unknown }), chained, nil, "unknown"},
		"expired":       {respond(t, ca, leaf, func(r *ocsp.Response) { r.NextUpdate = time.Now().Add(-time.Second) }), chained, nil, "until"},
		"soon expired":  {respond(t, ca, leaf, func(r *ocsp.Response) { r.NextUpdate = time.Now().Add(time.Minute) }), chained, nil, "until"},
		"for ever":      {respond(t, ca, leaf, func(r *ocsp.Response) { r.NextUpdate = time.Time{} }), chained, nil, "next update"},
		"of the future": {respond(t, ca, leaf, func(r *ocsp.Response) { r.ThisUpdate = time.Now().Add(30 * time.Minute) }), chained, nil, "from"},
		"garbage":       {[]byte("garbage!"), chained, nil, "OCSP"},
		"cut off":       {good[:len(good)/2], chained, nil, "OCSP"},
		"nothing":       {nil, chained, nil, "OCSP"},
	} {
		der, until, err := parseStaple(tt.data, &tt.cert, tt.cas, time.Now())
		switch {
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: the error is %v, want one with %q", name, err, tt.want)
		case tt.want == "" && (err != nil || !until.After(time.Now()) || until.After(time.Now().Add(time.Hour))):
			t.Errorf("%s: %v, good until %v", name, err, until)
		case tt.want == "" && name != "charged" && !bytes.Equal(der, good):
			t.Errorf("%s: the response is another one", name)
		}
	}
}

func FuzzStaple(f *testing.F) {
	ca := testenv.NewAuthority(f, "ca")
	cert := ca.Issue(f, "a.example")
	cert.Certificate = append(cert.Certificate, ca.Cert.Raw)
	good := respond(f, ca, cert.Leaf, nil)
	now := time.Now()
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		der, _, err := parseStaple(data, &cert, nil, now)
		if err == nil && !bytes.Equal(der, good) {
			// The signature covers less than all of it.
			if _, err := ocsp.ParseResponseForCert(der, cert.Leaf, ca.Cert); err != nil {
				t.Error(err)
			}
		}
	})
}

// A response is stapled as long as it is good, and a new one is noticed.
func TestStapling(t *testing.T) {
	ca, dir := testenv.NewAuthority(t, "ca"), t.TempDir()
	cert := ca.Issue(t, "a.example")
	cert.Certificate = append(cert.Certificate, ca.Cert.Raw)
	first := respond(t, ca, cert.Leaf, nil)
	var l log
	s, err := NewServer(ServerConfig{
		Certificates: []Pair{writePair(t, dir, "a", cert)}, OCSP: write(t, dir, "a.ocsp", first),
	}, l.logger())
	if err != nil {
		t.Fatal(err)
	}
	addr := serve(t, s)
	stapled := func(what string, want []byte) {
		t.Helper()
		for _, v := range versions {
			state, err := visit(t, addr, &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example", MaxVersion: v.version})
			if err != nil || !bytes.Equal(state.OCSPResponse, want) {
				t.Errorf("%s: %v, with %d bytes of OCSP, want %d", what, err, len(state.OCSPResponse), len(want))
			}
		}
		if info := s.Certificates()[0]; info.Stapled != (want != nil) || (info.Error == "") != (want != nil) {
			t.Errorf("%s: %+v", what, info)
		}
	}
	stapled("the first", first)
	now := time.Now().Add(time.Hour - stapleMargin)
	s.refresh(now)
	s.refresh(now.Add(time.Minute))
	stapled("when it is too old", nil)
	if n := strings.Count(l.String(), "WARN"); n != 1 {
		t.Errorf("%d warnings, want 1: %s", n, &l)
	}
	second := respond(t, ca, cert.Leaf, func(r *ocsp.Response) { r.NextUpdate = time.Now().Add(2 * time.Hour) })
	write(t, dir, "a.ocsp", second)
	s.refresh(time.Now())
	stapled("the second", second)
	write(t, dir, "a.ocsp", respond(t, ca, ca.Issue(t, "b").Leaf, nil))
	s.refresh(time.Now())
	stapled("that for another", nil)
	write(t, dir, "a.ocsp", second)
	s.refresh(time.Now())
	stapled("the second again", second)
	writePair(t, dir, "a", ca.Issue(t, "a.example"))
	s.refresh(time.Now())
	stapled("that for the last certificate", nil)
}

// Of a folder too; there a missing response is no fault.
func TestStaplingOfAName(t *testing.T) {
	ca, dir := testenv.NewAuthority(t, "ca"), t.TempDir()
	cert := ca.Issue(t, "a.example")
	cert.Certificate = append(cert.Certificate, ca.Cert.Raw)
	writePair(t, dir, "a.example", cert)
	var l log
	s, addr, later := sniServer(t, ServerConfig{SNIDir: dir}, &l)
	cfg := &tls.Config{ServerName: "a.example", RootCAs: ca.Pool()}
	if state, err := visit(t, addr, cfg); err != nil || state.OCSPResponse != nil || s.Certificates()[0].Error != "" {
		t.Errorf("%v, %d bytes of OCSP, %+v", err, len(state.OCSPResponse), s.Certificates())
	}
	response := respond(t, ca, cert.Leaf, nil)
	write(t, dir, "a.example.ocsp", response)
	later()
	if state, err := visit(t, addr, cfg); err != nil || !bytes.Equal(state.OCSPResponse, response) {
		t.Errorf("%v, %d bytes of OCSP, want %d", err, len(state.OCSPResponse), len(response))
	}
	write(t, dir, "a.example.ocsp", []byte("garbage"))
	later()
	if state, err := visit(t, addr, cfg); err != nil || state.OCSPResponse != nil {
		t.Errorf("%v, %d bytes of OCSP, want none", err, len(state.OCSPResponse))
	}
	if info := s.Certificates()[0]; !strings.Contains(info.Error, "OCSP") || info.Source != filepath.Join(dir, "a.example.crt") {
		t.Errorf("%+v", info)
	}
}

// What is between a certificate and its root may be in NAME.ca, as with OpenSSL.
func TestChain(t *testing.T) {
	root := testenv.NewAuthority(t, "root")
	sub := root.Sub(t, "sub")
	dir := t.TempDir()
	writePair(t, dir, "a.example", sub.Issue(t, "a.example"))
	write(t, dir, "a.example.ca", append(root.PEM(), sub.PEM()...))
	addr := serve(t, newServer(t, ServerConfig{SNIDir: dir}))
	state, err := visit(t, addr, &tls.Config{ServerName: "a.example", RootCAs: root.Pool()})
	if err != nil || len(state.PeerCertificates) != 2 {
		t.Errorf("%v, %d certificates, want 2", err, len(state.PeerCertificates))
	}
}
