package tlsterm

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"
)

func TestCiphers(t *testing.T) {
	modern := "ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-ECDSA-CHACHA20-POLY1305 " +
		"ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-RSA-CHACHA20-POLY1305"
	for _, tt := range []struct{ list, want, unknown string }{
		{"", modern, ""},
		{"DEFAULT", modern, ""},
		{"HIGH:!aNULL:!MD5:!RC4", modern, ""},
		{"ALL:@STRENGTH:+RC4", modern, ""},
		{"high", modern, ""},
		{"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", ""},
		{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256", ""},
		{"ECDHE-RSA-AES128-SHA,ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-SHA", ""},
		{"EECDH+AESGCM:EDH+AESGCM", strings.ReplaceAll(strings.ReplaceAll(modern, "ECDHE-ECDSA-CHACHA20-POLY1305 ", ""), " ECDHE-RSA-CHACHA20-POLY1305", ""), "EDH+AESGCM"},
		{"CHACHA20+aRSA", "ECDHE-RSA-CHACHA20-POLY1305", ""},
		{"ALL:!ECDSA:!CHACHA20:-AES256", "ECDHE-RSA-AES128-GCM-SHA256", ""},
		{"ALL:-AES:aECDSA+AES256", "ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305", ""},
		{"ECDHE-RSA-AES128-SHA:ALL:!SHA1:!ECDSA:!CHACHA20:!AES256", "ECDHE-RSA-AES128-GCM-SHA256", ""},
		{"TLS_AES_128_GCM_SHA256:ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-SHA", "ECDHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES128-SHA"},
		{"AES128-SHA", "", "AES128-SHA"},
		{"RC4:3DES:NULL:eNULL", "", "RC4 3DES NULL eNULL"},
		{"ALL:!ALL", "", ""},
		{"!ALL:ALL", "", ""},
		{":", "", ""},
		{"!", "", ""},
		{"TLS_AES_128_GCM_SHA256", "", ""},
	} {
		ids, unknown, err := parseCiphers(tt.list)
		var names []string
		for _, s := range suites {
			if slices.Contains(ids, s.id) {
				names = append(names, s.name)
			}
		}
		want := strings.Fields(tt.want)
		slices.Sort(names)
		slices.Sort(want)
		if !slices.Equal(names, want) || (err != nil) != (len(want) == 0) || strings.Join(unknown, " ") != tt.unknown {
			t.Errorf("%q means %q, want %q; unknown are %q, want %q; %v", tt.list, names, want, unknown, tt.unknown, err)
		}
	}
}

// Nothing that crypto/tls thinks insecure can be asked for.
func TestCiphersAreSecure(t *testing.T) {
	for _, s := range tls.InsecureCipherSuites() {
		if ids, _, err := parseCiphers(s.Name); err == nil {
			t.Errorf("%s is taken for %v", s.Name, ids)
		}
	}
	for _, s := range suites {
		if !slices.ContainsFunc(tls.CipherSuites(), func(c *tls.CipherSuite) bool { return c.ID == s.id }) {
			t.Errorf("%s is not among the secure suites of crypto/tls", s.name)
		}
	}
}

func FuzzCiphers(f *testing.F) {
	f.Add("HIGH:!aNULL:-AES+aRSA:@STRENGTH")
	f.Fuzz(func(t *testing.T, list string) {
		ids, _, err := parseCiphers(list)
		if (err == nil) != (len(ids) > 0) {
			t.Errorf("%q: %v, %v", list, ids, err)
		}
	})
}
