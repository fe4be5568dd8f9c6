package config

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestEdgesAreSaved(t *testing.T) {
	for _, lines := range [][]string{
		{"ssl a.pem", "ssl_ca_file ca.pem", "ssl_certificate_key a.key", "ssl_require_client"},
		{"ssl_certificate b.pem", "ssl_certificate c.pem c.key"},
		{"ssl_alpn imap pop3", "ssl_ciphers HIGH:!aNULL", "ssl_protocol ssl3", "ssl_sni_path certs"},
		{"acme www.example.com example.com", "acme_ca https://ca.example/dir", "acme_ca_root r.pem", "acme_email a@example.com", "acme_storage dir"},
		{"accept_proxy 192.0.2.0/24 2001:db8::1 unix first"},
		{"send_proxy v2 each tlvs authority,alpn,unique_id,ssl,crc32c max 512"},
		{"send_proxy v2 tlvs unique_id"},
		{"tls on name www.example.com ca ca.pem cert c.pem key k.pem alpn h2 noverify"},
		{"service mail", "service web", "route alpn imap mail", "route default web", "route sni *.example.com web"},
		{"http", "http_forwarded", "http_head 32k", "http_trust 10.0.0.0/8"},
		{"http_head 20000"},
		{"server 0 acl 0 address a max 0 hard 0 send_proxy v1 tls on tls_name b"},
	} {
		got := Print(apply(t, Default(), lines...))
		for _, line := range lines {
			if !slices.Contains(strings.Split(got, "\n"), line) {
				t.Errorf("%q is not in\n%s", line, got)
			}
		}
	}
}

func TestEdgesAreTakenBack(t *testing.T) {
	c := apply(t, Default(),
		"ssl a", "no ssl", "ssl_certificate a", "ssl_certificate b", "no ssl_certificate a", "no ssl_certificate", "ssl_alpn h2", "no ssl_alpn",
		"ssl_protocol tls1", "no ssl_protocol", "acme a.example", "no acme", "accept_proxy 10.0.0.0/8", "no accept_proxy", "send_proxy v1", "send_proxy off",
		"tls on", "tls off", "tls on", "no tls", "route sni a b", "route alpn h2 b", "no route sni a", "no route", "http", "no http", "http_head 64K", "http_head 16384", "http_head 2k", "no http_head")
	if got, want := Print(c), Print(Default()); got != want || c.Services[0].TLS.On() {
		t.Errorf("%s", got)
	}
}

func TestEdgeErrors(t *testing.T) {
	for line, want := range map[string]string{
		"ssl_protocol tls2":               `"tls2" is none of ssl2, ssl23,`,
		"ssl_option fast":                 `"fast" is none of no_sslv2,`,
		"acme localhost":                  "is not the name of a host",
		"acme *.example.com":              "is not the name of a host",
		"accept_proxy 10.0.0.0/33":        "is not a network",
		"accept_proxy ::ffff:1.2.3.4/100": "is not a network",
		"accept_proxy all":                "is not a network",
		"http_head 65k":                   `"65k" is not the size of a head, want 1k to 64k`,
		"http_head 1000":                  "is not the size of a head",
		"http_head 1M":                    "is not the size of a head",
		"http_head -1k":                   "is not the size of a head",
		"http_trust unix":                 "is not a network",
		"send_proxy v3":                   `"v3" is none of v1, v2, off`,
		"send_proxy v2 all":               `"all" is none of each, tlvs, max, unique_id`,
		"send_proxy v2 tlvs":              `"tlvs" has no value`,
		"send_proxy v2 tlvs authority,":   `"" is none of the TLVs authority, alpn,`,
		"send_proxy v2 tlvs cert_cn":      `"cert_cn" is none of the TLVs`,
		"send_proxy v2 max 106":           `max "106": want 107 to 4096 bytes`,
		"send_proxy v2 max many":          `max "many": want 107 to 4096 bytes`,
		"send_proxy v1 tlvs ssl":          "want v2",
		"send_proxy v1 max 200":           "want v2",
		"send_proxy v1 unique_id":         "want v2",
		"tls yes":                         `"yes" is none of on, off`,
		"tls on name":                     `"name" has no value`,
		"tls on verify":                   `"verify" is none of name,`,
		"tls on key k":                    "want cert FILE as well",
		"route sni":                       "sni has no value",
		"route sni a":                     "want a service",
		"route sni a..b c":                "is not the name of a host",
		"route sni ../b c":                "is not the name of a host",
		"route host a c":                  `"host" is none of sni, alpn, default`,
		"route default a/b":               "can't be the name of a service",
		"server 0 send_proxy v4":          `"v4" is none of`,
		"server 0 tls maybe":              `tls "maybe" is none of on, off`,
	} {
		if _, err := ParseLine(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

// What does not go together is found when all is said.
func TestCheckEdges(t *testing.T) {
	for _, tt := range []struct{ lines, want string }{
		{"ssl a", ""},
		{"ssl a;ssl_ca_file b;ssl_require_client", ""},
		{"ssl_require_client", "want ssl FILE as well"},
		{"ssl a;ssl_require_client", "want ssl_ca_file FILE or ssl_ca_path DIR as well"},
		{"ssl_certificate_key a", "want ssl FILE as well"},
		{"ssl_ocsp_response a", "want ssl FILE as well"},
		{"acme a.example", "want acme_storage DIR as well"},
		{"ssl a;udp", "ssl: is for connections"},
		{"tls on;udp", "tls: is for connections"},
		{"http;udp", "http: is for connections"},
		{"route default web", "there is no service web"},
		{"service web;route default web", ""},
		{"service dns;service dns udp;route alpn a dns", "route alpn a: service dns balances datagrams"},
		{"http;ssl a;ssl_alpn h2 http/1.1", "want ssl_alpn without h2"},
		{"udp;send_proxy v1;server 0 address a", "want v2 for datagrams"},
		{"udp;send_proxy v1;server 0 address a send_proxy v2", ""},
		{"udp;server 0 address a tls on", "server 0: tls is for connections"},
		{"udp;send_proxy v1;emergency a:1", "emergency server: send_proxy v1 is for connections"},
		{"udp;send_proxy v1;abuse a:1", "abuse server: send_proxy v1 is for connections"},
		{"udp;send_proxy v1;server 3 address a", "server 3: send_proxy v1 is for connections"},
		{"service web;service web ssl_require_client", "service web: ssl_require_client: "},
	} {
		err := apply(t, Default(), strings.Split(tt.lines, ";")...).CheckEdges()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.lines, err, tt.want)
		}
	}
}

func TestProtocolWords(t *testing.T) {
	for line, obsolete := range map[string]bool{
		"ssl_protocol ssl2": true, "ssl_protocol ssl23": true, "ssl_protocol ssl3": true, "ssl_protocol tls1": true, "ssl_protocol tls1.1": true, "ssl_protocol tls1.2": false,
		"ssl_option no_sslv3": false, "ssl_option no_tlsv1.2": false, "ssl_option cipher_server_preference": false,
	} {
		if c := apply(t, Default(), line); c.Services[0].TLS.Obsolete() != obsolete {
			t.Errorf("%s: obsolete %v, want %v", line, c.Services[0].TLS.Obsolete(), obsolete)
		}
	}
	if c := apply(t, Default(), "ssl_option no_tlsv1.2"); c.Services[0].TLS.Protocol != "tls1.3" {
		t.Errorf("without TLS 1.2 the oldest is %q, want tls1.3", c.Services[0].TLS.Protocol)
	}
}

func TestNetworks(t *testing.T) {
	got := Networks("192.0.2.7/24 ::ffff:10.0.0.1 unix 2001:db8::/32")
	want := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("2001:db8::/32")}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
