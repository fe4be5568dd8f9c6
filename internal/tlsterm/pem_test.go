package tlsterm

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"strings"
	"testing"

	"pen/internal/pemfile"

	"pen/internal/testenv"
)

// Files are as people and programs leave them, with more in them than is needed
// and in any order.
func TestPEMFiles(t *testing.T) {
	root := testenv.NewAuthority(t, "root")
	ca := root.Sub(t, "ca")
	leaf, other := ca.Issue(t, "a.example"), root.Issue(t, "other.example")
	cert, key := string(testenv.CertPEM(leaf.Certificate[0])), string(testenv.KeyPEM(t, leaf.PrivateKey))
	chained := []string{"a.example", "ca", "root"}
	caPEM, rootPEM := string(ca.PEM()), string(root.PEM())
	const (
		dh   = "-----BEGIN DH PARAMETERS-----\nMBgCEQD9nZUJbE3Vq2Jd0UOG2pFLAgEC\n-----END DH PARAMETERS-----\n"
		ec   = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
		note = "# text before -----BEGIN CERTIFICATE----- is allowed\n"
	)
	trusted := string(pem.EncodeToMemory(&pem.Block{Type: "TRUSTED CERTIFICATE", Bytes: append(bytes.Clone(leaf.Certificate[0]), 0x30, 0)}))
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"EC PARAMETERS, key first":      {ec + key + cert, chained[:1]},
		"DH PARAMETERS":                 {dh + cert + dh + key + dh, chained[:1]},
		"damaged DH PARAMETERS":         {cert + key + strings.Replace(dh, "MBgC", "M?gC", 1), chained[:1]},
		"DH PARAMETERS cut off":         {cert + key + dh[:50], chained[:1]},
		"DH PARAMETERS without an end":  {dh[:60] + "\n" + cert + key, chained[:1]},
		"a line cut in DH PARAMETERS":   {cert + key + dh[:20], chained[:1]},
		"text behind":                   {cert + key + note, chained[:1]},
		"bag attributes":                {"Bag Attributes\n    localKeyID: 01\nsubject=CN = a\n" + cert + "Key Attributes: <No Attributes>\n" + key, chained[:1]},
		"CRLF":                          {strings.ReplaceAll(cert+key, "\n", "\r\n"), chained[:1]},
		"CR":                            {strings.ReplaceAll(cert+key, "\n", "\r"), chained[:1]},
		"no newline at the end":         {strings.TrimSpace(cert + key), chained[:1]},
		"a byte order mark":             {"\ufeff" + cert + key, chained[:1]},
		"indented":                      {"  " + strings.ReplaceAll(cert+key, "\n", "  \n  "), chained[:1]},
		"empty lines":                   {"\n\n" + cert + "\n\n" + key + "\n\n", chained[:1]},
		"a chain":                       {cert + caPEM + rootPEM + key, chained},
		"a chain, key first":            {key + cert + caPEM, chained[:2]},
		"a chain the wrong way round":   {rootPEM + caPEM + cert + key, chained},
		"a chain and a stranger":        {string(testenv.CertPEM(other.Certificate[0])) + caPEM + cert + key, []string{"a.example", "ca", "other.example"}},
		"several keys":                  {cert + string(testenv.KeyPEM(t, other.PrivateKey)) + key, chained[:1]},
		"an encrypted key beside":       {cert + "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n" + key, chained[:1]},
		"a request beside":              {"-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n" + cert + key, chained[:1]},
		"what OpenSSL trusts it for":    {trusted + key, chained[:1]},
		"an old name for a certificate": {strings.ReplaceAll(cert, "CERTIFICATE", "X509 CERTIFICATE") + key, chained[:1]},
		"a dashed line":                 {"-----\n" + cert + "-------------\n" + key + "-----", chained[:1]},
	} {
		t.Run(name, func(t *testing.T) {
			file := write(t, t.TempDir(), "a.pem", []byte(tt.text))
			pair, err := pemfile.Files{}.ReadPair(Pair{Cert: file})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, der := range pair.Certificate {
				c, err := x509.ParseCertificate(der)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, c.Subject.CommonName)
			}
			if strings.Join(got, " ") != strings.Join(tt.want, " ") || !pemfile.IsKeyOf(leaf.PrivateKey.(crypto.Signer), pair.Leaf) {
				t.Errorf("%v, want %v", got, tt.want)
			}
			if got := shown(t, serve(t, newServer(t, ServerConfig{Certificates: []Pair{{Cert: file}}})), "a.example"); got != "a.example" {
				t.Errorf("served as %s", got)
			}
		})
	}
}

// What can't be used is named, with what to do.
func TestPEMErrors(t *testing.T) {
	ca := testenv.NewAuthority(t, "ca")
	leaf, other := ca.Issue(t, "a.example"), ca.Issue(t, "other.example")
	cert, key := string(testenv.CertPEM(leaf.Certificate[0])), string(testenv.KeyPEM(t, leaf.PrivateKey))
	der, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 files of this kind must be refused
	old, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", der, []byte("x"), x509.PEMCipherAES128)
	if err != nil {
		t.Fatal(err)
	}
	armour := func(kind string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte("abcdefgh")}))
	}
	for name, tt := range map[string]struct {
		cert, key string // "": the key is in the same file
		want      []string
	}{
		"encrypted (PKCS #8)":       {cert, armour("ENCRYPTED PRIVATE KEY"), []string{"a.key", "encrypted", "openssl pkey -in"}},
		"encrypted (Proc-Type)":     {cert + string(pem.EncodeToMemory(old)), "", []string{"a.pem", "encrypted", "openssl pkey -in"}},
		"another's key":             {cert, string(testenv.KeyPEM(t, other.PrivateKey)), []string{"a.pem", "a.key", "does not match", "a.example"}},
		"only a chain":              {cert + string(ca.PEM()), "", []string{"a.pem", "no private key", "CERTIFICATE"}},
		"only a key":                {key, "", []string{"a.pem", "no certificate", "PRIVATE KEY"}},
		"certificate in DER":        {string(leaf.Certificate[0]), key, []string{"a.pem", "DER", "openssl x509 -inform der"}},
		"key in DER":                {cert, string(der), []string{"a.key", "DER", "openssl pkey -inform der"}},
		"PKCS #12":                  {"\x30\x09\x02\x01\x03\x30\x04\x06\x02\x2a\x03", key, []string{"a.pem", "openssl pkcs12"}},
		"PKCS #7":                   {armour("PKCS7"), key, []string{"a.pem", "PKCS #7", "openssl pkcs7"}},
		"a request":                 {armour("CERTIFICATE REQUEST"), key, []string{"a.pem", "request"}},
		"an old request":            {armour("NEW CERTIFICATE REQUEST"), key, []string{"a.pem", "request"}},
		"a public key":              {cert, armour("PUBLIC KEY"), []string{"a.key", "public key"}},
		"a key for SSH":             {cert, armour("OPENSSH PRIVATE KEY"), []string{"a.key", "SSH"}},
		"only white space":          {" \n\n", key, []string{"a.pem", "no certificate"}},
		"a damaged key":             {cert, strings.Replace(key, "M", "?", 1), []string{"a.key", "damaged"}},
		"a key of an unknown kind":  {cert, armour("PRIVATE KEY"), []string{"a.key", "RSA, ECDSA or Ed25519"}},
		"all in one line":           {cert, strings.ReplaceAll(key, "\n", ""), []string{"a.key", "damaged"}},
		"a BEGIN with four dashes":  {strings.Replace(cert, "CERTIFICATE-----", "CERTIFICATE----", 1), key, []string{"a.pem", "damaged"}},
		"four dashes before":        {strings.TrimPrefix(cert, "-"), key, []string{"a.pem", "damaged"}},
		"an END of something else":  {strings.Replace(cert, "-----END CERTIFICATE", "-----END PRIVATE KEY", 1), key, []string{"a.pem", "damaged"}},
		"two BEGINs":                {strings.SplitAfter(cert, "\n")[0] + cert, key, []string{"a.pem", "damaged"}},
		"a BEGIN that is cut off":   {cert + "-----BEGIN CERT", key, []string{"a.pem", "cut off"}},
		"a BEGIN that is just seen": {cert + "-----BEG", key, []string{"a.pem", "cut off"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			pair := Pair{Cert: write(t, dir, "a.pem", []byte(tt.cert))}
			if tt.key != "" {
				pair.Key = write(t, dir, "a.key", []byte(tt.key))
			}
			_, err := NewServer(ServerConfig{Certificates: []Pair{pair}}, slog.New(slog.DiscardHandler))
			wantError(t, err, tt.want...)
			if body := strings.Split(key, "\n")[1]; strings.Contains(err.Error(), body[:16]) {
				t.Errorf("the error has a part of the key: %v", err)
			}
		})
	}
}
