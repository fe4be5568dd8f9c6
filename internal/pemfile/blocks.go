package pemfile

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// The kinds of PEM blocks that are used. Others, such as parameters and requests,
// and text between the blocks are skipped, as OpenSSL does.
var (
	certificates = []string{"CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"}
	keys         = []string{"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", encryptedKey}
)

const (
	encryptedKey = "ENCRYPTED PRIVATE KEY"
	pemBegin     = "-----BEGIN "
	pemEnd       = "-----END "
	pemDashes    = "-----"
	maxKind      = 40 // bytes of a kind that an error message quotes
)

// blocks returns the PEM blocks of some kinds, in their order. A truncated or
// damaged block of these kinds is an error; damage in others does not matter. Any
// line ending, white space around lines and a byte order mark are accepted.
func blocks(data []byte, kinds []string) ([]*pem.Block, error) {
	var all []*pem.Block
	var kind, last string // of the open block, and the previous line
	var text strings.Builder
	damaged := func(what string) error {
		return fmt.Errorf("block %d in it, %s, is cut off or damaged, want whole PEM", len(all)+1, what)
	}
	for line := range lines(data) {
		last = line
		switch {
		case strings.HasPrefix(line, strings.TrimSpace(pemBegin)):
			if slices.Contains(kinds, kind) {
				return nil, damaged(kind)
			}
			var rest string
			kind, rest, _ = strings.Cut(strings.TrimPrefix(line, pemBegin), pemDashes)
			if line != pemBegin+kind+pemDashes && isPrefix(kind, kinds) {
				return nil, damaged("a line " + pemBegin)
			}
			if rest != "" {
				kind = ""
			}
			text.Reset()
			text.WriteString(line + "\n")
		case strings.HasPrefix(line, pemEnd):
			closes := strings.TrimSuffix(strings.TrimPrefix(line, pemEnd), pemDashes)
			if closes != kind {
				for _, k := range []string{kind, closes} {
					if slices.Contains(kinds, k) {
						return nil, damaged(k)
					}
				}
			}
			if slices.Contains(kinds, kind) {
				text.WriteString(pemEnd + kind + pemDashes + "\n")
				block, _ := pem.Decode([]byte(text.String()))
				if block == nil || len(block.Bytes) == 0 {
					return nil, damaged(kind)
				}
				all = append(all, block)
			}
			kind = ""
		case slices.Contains(kinds, kind):
			text.WriteString(line + "\n")
		}
	}
	if slices.Contains(kinds, kind) {
		return nil, damaged(kind)
	}
	if len(last) > len(pemDashes) && strings.HasPrefix(pemBegin, last) {
		return nil, damaged("a line " + pemBegin)
	}
	return all, nil
}

// lines yields the lines of a text without surrounding white space.
func lines(data []byte) func(func(string) bool) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	text := strings.ReplaceAll(strings.ReplaceAll(string(data), "\r\n", "\n"), "\r", "\n")
	return func(yield func(string) bool) {
		for line := range strings.SplitSeq(text, "\n") {
			if !yield(strings.TrimSpace(line)) {
				return
			}
		}
	}
}

// isPrefix reports whether the rest of a damaged line may have been one of kinds.
func isPrefix(s string, kinds []string) bool {
	s = strings.TrimRight(s, "-")
	return slices.ContainsFunc(kinds, func(kind string) bool { return strings.HasPrefix(kind, s) })
}

// nothingFound explains what a file contains instead of the wanted kind of block,
// and what to do about it.
func nothingFound(name string, data []byte, wanted string) error {
	var seen []string
	for line := range lines(data) {
		kind := strings.TrimSuffix(strings.TrimPrefix(line, pemBegin), pemDashes)
		if line == pemBegin+kind+pemDashes && len(kind) <= maxKind && !strings.ContainsFunc(kind, notInKind) {
			seen = append(seen, kind)
		}
	}
	has := func(kind string) bool {
		return slices.ContainsFunc(seen, func(s string) bool { return strings.Contains(s, kind) })
	}
	whole := cryptobyte.String(data)
	var der cryptobyte.String
	switch {
	case has("CERTIFICATE REQUEST"):
		return errors.New("it is a request for a certificate, want the certificate that the authority made from it")
	case has("OPENSSH"):
		return fmt.Errorf("it is a key for SSH, want %s", wanted)
	case has("PUBLIC KEY"):
		return fmt.Errorf("it is a public key, want %s", wanted)
	case has("PKCS7"):
		return fmt.Errorf("it is PKCS #7, want PEM of certificates: openssl pkcs7 -print_certs -in %s -out NEW", name)
	case len(seen) > 0:
		return fmt.Errorf("there is no %s in it, but %s, want PEM of %s", wanted, strings.Join(slices.Compact(seen), ", "), wanted)
	case whole.ReadASN1(&der, asn1.SEQUENCE) && whole.Empty():
		return fmt.Errorf("it is DER, want PEM: %s", fromDER(name, data))
	}
	return fmt.Errorf("there is no %s in it, want PEM of %s", wanted, wanted)
}

// fromDER returns the command that converts a DER file to PEM.
func fromDER(name string, der []byte) string {
	if _, err := x509.ParseCertificate(der); err == nil {
		return fmt.Sprintf("openssl x509 -inform der -in %s -out NEW", name)
	}
	if _, err := parseKey(der); err == nil {
		return fmt.Sprintf("openssl pkey -inform der -in %s -out NEW", name)
	}
	var body, inner cryptobyte.String
	var version int
	der = slices.Clone(der)
	if s := cryptobyte.String(der); s.ReadASN1(&body, asn1.SEQUENCE) && body.ReadASN1Integer(&version) && version == 3 && body.ReadASN1(&inner, asn1.SEQUENCE) {
		return fmt.Sprintf("openssl pkcs12 -nodes -in %s -out NEW", name) // RFC 7292, section 4
	}
	return fmt.Sprintf("openssl x509 -inform der -in %s -out NEW, or the like", name)
}

// notInKind keeps text that is not a kind, and may be a secret, out of errors.
func notInKind(r rune) bool { return !('A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == ' ') }

// isEncrypted reports whether a key needs a passphrase.
func isEncrypted(b *pem.Block) bool {
	return b.Type == encryptedKey || strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED")
}

// parseKey parses a private key in PKCS #1, SEC 1 or PKCS #8.
func parseKey(der []byte) (crypto.Signer, error) {
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T can't sign", key)
	}
	return signer, nil
}

// parseCert parses a certificate. In a TRUSTED CERTIFICATE OpenSSL appends what it
// is trusted for.
func parseCert(b *pem.Block) (*x509.Certificate, error) {
	der := b.Bytes
	if s := cryptobyte.String(der); b.Type == "TRUSTED CERTIFICATE" {
		var first cryptobyte.String
		if s.ReadASN1Element(&first, asn1.SEQUENCE) {
			der = first
		}
	}
	return x509.ParseCertificate(der)
}
