package pemfile

import (
	"bytes"
	"encoding/pem"
	"strings"
	"testing"

	"pen/internal/testenv"
)

// selfSigned returns PEM of a certificate.
func selfSigned(t testing.TB) string { return string(testenv.NewAuthority(t, "ca").PEM()) }

// A file that is cut anywhere but between its blocks is an error.
func TestPEMCutOff(t *testing.T) {
	text := strings.Repeat(selfSigned(t), 2)
	for n := range len(text) {
		all, err := blocks([]byte(text[:n]), certificates)
		left := strings.TrimSpace(text[:n][min(n, len(text)/2*len(all)):])
		if (err == nil) != (len(left) <= len(pemDashes)) {
			t.Errorf("of %d bytes there are %d blocks, %v", n, len(all), err)
		}
	}
}

// FuzzBlocks: an error has one line and quotes nothing of what may be a key, and
// what was read can be written and read again.
func FuzzBlocks(f *testing.F) {
	f.Add([]byte(selfSigned(f)))
	f.Add([]byte("\ufeff-----BEGIN PRIVATE KEY-----\r\nMAA=\r\n-----END PRIVATE KEY-----"))
	f.Add([]byte("-----BEGIN EC PARAMETERS-----\n-----END"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := parseCerts("file", b)
		if err != nil && (strings.Contains(err.Error(), "\n") || len(err.Error()) > 1000) {
			t.Errorf("%q", err)
		}
		found, err := blocks(b, keys)
		if err != nil {
			return
		}
		var again bytes.Buffer
		for _, block := range found {
			if pem.Encode(&again, block) != nil {
				return // headers that can't be written
			}
		}
		if more, err := blocks(again.Bytes(), keys); err != nil || len(more) != len(found) {
			t.Errorf("%d blocks, written and read again %d, %v", len(found), len(more), err)
		}
	})
}
