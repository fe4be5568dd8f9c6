package wire

import (
	"crypto/tls"
	"reflect"
	"strings"
	"testing"
)

// FuzzHello: the answer doesn't depend on how the bytes are split, a name is a
// host's name, and what Go's server understands is understood, and alike.
func FuzzHello(f *testing.F) {
	for _, c := range []*tls.Config{
		{InsecureSkipVerify: true},
		{ServerName: "www.example.org", NextProtos: []string{"h2", "http/1.1"}},
		{ServerName: "a", MaxVersion: tls.VersionTLS12},
	} {
		b := helloOf(f, c)
		f.Add(b, uint16(len(b)/2))
		f.Add(fragmented(b, 7), uint16(9))
	}
	f.Fuzz(func(t *testing.T, b []byte, at uint16) {
		h, err := ParseHello(b)
		if cut := b[:min(int(at), len(b))]; len(cut) < len(b) {
			early, earlyErr := ParseHello(cut)
			if earlyErr != ErrShort && (!reflect.DeepEqual(early, h) || (earlyErr == nil) != (err == nil)) {
				t.Errorf("%d of %d bytes: %+v, %v; all: %+v, %v", at, len(b), early, earlyErr, h, err)
			}
		}
		if err != nil && (!reflect.DeepEqual(h, Hello{}) || len(b) >= MaxHello && err == ErrShort) {
			t.Errorf("%d bytes: %+v with %v", len(b), h, err)
		}
		if name, ok := HostName(h.Name); name != h.Name || !ok && name != "" || strings.ContainsAny(name, "/\\\x00") {
			t.Errorf("the name %q", h.Name)
		}
		if seen, ok := seenByGo(b); ok && len(b) <= MaxHello && plain(b) && (err != nil || !reflect.DeepEqual(h, seen)) {
			t.Errorf("%+v, %v; Go's server sees %+v", h, err, seen)
		}
	})
}

// plain reports whether there is nothing but records of a handshake. Go passes
// over warnings between them, and takes versions that were never made.
func plain(b []byte) bool {
	for len(b) >= recordHead {
		if b[0] != recordHandshake || b[1] != recordMajor {
			return false
		}
		b = b[min(len(b), recordHead+(int(b[3])<<8|int(b[4]))):]
	}
	return true
}
