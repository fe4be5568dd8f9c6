package wire

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTLVs(t *testing.T) {
	all := TLVs{ALPN: true, Authority: true, UniqueID: true, TLS: true, CRC32C: true}
	full := withTLVs("h2", "www.example.com", "0123456789abcdef0123456789")
	full.TLS = TLS{Version: "TLSv1.3", Certificate: true}
	t.Run("asked", func(t *testing.T) {
		for tlvs, want := range map[TLVs]Header{
			{}:                {},
			{Most: MaxHeader}: {},
			{ALPN: true}:      {ALPN: full.ALPN},
			{Authority: true}: {Authority: full.Authority},
			{UniqueID: true}:  {UniqueID: full.UniqueID},
			{TLS: true}:       {TLS: full.TLS},
			{CRC32C: true}:    {CRC32C: true},
		} {
			want.Source, want.Destination = full.Source, full.Destination
			if got := tlvs.Of(full); got != want {
				t.Errorf("%+v: %+v, want %+v", tlvs, got, want)
			}
		}
		if got := all.Of(Header{Local: true, Source: full.Source, UniqueID: "x"}); got != (Header{Local: true, Source: full.Source}) {
			t.Errorf("LOCAL with %+v", got)
		}
	})
	t.Run("room", func(t *testing.T) { // nothing that a client chooses takes the room of what it does not choose
		six := full
		six.Source = netip.MustParseAddrPort("[2001:db8::1]:1")
		six.Authority = strings.Repeat("a", 63) + ".example.com"
		for most, want := range map[int]string{0: "", 107: "", 200: six.Authority} {
			tlvs := all
			tlvs.Most = most
			got := tlvs.Of(six)
			if got.Authority != want || got.UniqueID != six.UniqueID || got.TLS != six.TLS || !got.CRC32C {
				t.Errorf("of %d bytes: %+v", most, got)
			}
		}
	})
	t.Run("harmless", func(t *testing.T) {
		for _, name := range []string{"evil\r\nX-Injected: yes", "../../etc/passwd", "<script>alert(1)</script>", strings.Repeat("a", 300), "127.0.0.1", "a b", "\xff", "a\x00.example"} {
			if got := (TLVs{Authority: true, Most: MaxHeader}).Of(withTLVs("", name, "")); got != tcp4 {
				t.Errorf("authority %q is sent as %q", name, got.Authority)
			}
		}
		for _, p := range []string{"h2\r\n", "a b", "\x0a\x0a", "h2\x00", "<b>", strings.Repeat("x", 33), "h\xc3\xa9"} {
			if got := (TLVs{ALPN: true, Most: MaxHeader}).Of(withTLVs(p, "", "")); got != tcp4 {
				t.Errorf("protocol %q is sent as %q", p, got.ALPN)
			}
		}
		for _, p := range []string{"http/1.1", "h2", "xmpp-client", "stun.turn", "acme-tls/1", "spdy/3.1"} {
			if got := (TLVs{ALPN: true}).Of(withTLVs(p, "", "")); got.ALPN != p {
				t.Errorf("protocol %q is sent as %q", p, got.ALPN)
			}
		}
		for id, want := range map[string]string{
			"one of its kind": "one of its kind", "a\r\nb": "610d0a62", "\xff\x00": "ff00",
			strings.Repeat("\n", 64): strings.Repeat("0a", 64), strings.Repeat("\n", 65): "", strings.Repeat("x", maxUniqueID): strings.Repeat("x", maxUniqueID),
		} {
			if got := (TLVs{UniqueID: true, Most: MaxHeader}).Of(withTLVs("", "", id)); got.UniqueID != want {
				t.Errorf("identifier %q is sent as %q, want %q", id, got.UniqueID, want)
			}
		}
		if got := (TLVs{Authority: true}).Of(withTLVs("", "WWW.Example.COM.", "")); got.Authority != "www.example.com" {
			t.Errorf("authority %q", got.Authority)
		}
	})
	t.Run("tls", func(t *testing.T) {
		for tls, want := range map[TLS]string{
			{Version: "TLSv1.2"}:                                   "\x01\x00\x00\x00\x01\x21\x00\x07TLSv1.2",
			{Version: "TLSv1.3", Certificate: true}:                "\x07\x00\x00\x00\x00\x21\x00\x07TLSv1.3",
			{Version: "TLSv1.3", Certificate: true, Resumed: true}: "\x05\x00\x00\x00\x00\x21\x00\x07TLSv1.3",
		} {
			h := tcp4
			h.TLS = tls
			if got := string(all.Of(h).Append(nil, 2)); !strings.Contains(got, tlv(tlvTLS, want)) {
				t.Errorf("%+v is sent as %q", tls, got)
			}
		}
	})
	t.Run("checksum", func(t *testing.T) {
		b := all.Of(full).Append([]byte("before"), 2)[len("before"):]
		if h, n, err := ParseHeader(b); n != len(b) || err != nil || h.ALPN != full.ALPN || !strings.Contains(string(b), "\x03\x00\x04") {
			t.Errorf("%q: %+v, %v", b, h, err)
		}
		b[30] ^= 1
		if _, _, err := ParseHeader(b); err == nil {
			t.Error("a header that was changed is taken")
		}
	})
}

// Whatever a header says, what is sent of it is no longer than it may be, can be
// read, and is sent the same a second time.
func TestTLVsProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		coin := rapid.Bool()
		tlvs := TLVs{coin.Draw(t, "ALPN"), coin.Draw(t, "authority"), coin.Draw(t, "ID"), coin.Draw(t, "TLS"), coin.Draw(t, "CRC"), rapid.IntRange(LeastTLVs, MaxHeader).Draw(t, "most")}
		h := genHeader().Draw(t, "header")
		if coin.Draw(t, "with TLS") {
			h.TLS = TLS{Version: "TLSv1.3", Certificate: coin.Draw(t, "certificate")}
		}
		sent := tlvs.Of(h)
		b := sent.Append(nil, 2)
		got, n, err := ParseHeader(b)
		if sent.CRC32C, sent.TLS = false, (TLS{}); len(b) > tlvs.Most || n != len(b) || err != nil || got != sent {
			t.Fatalf("%d bytes: %+v, %d, %v; want %+v in %d", len(b), got, n, err, sent, tlvs.Most)
		}
		if again := tlvs.Of(got); again.Authority != got.Authority || again.ALPN != got.ALPN || again.UniqueID != got.UniqueID {
			t.Fatalf("%+v is sent again as %+v", got, again)
		}
	})
}
