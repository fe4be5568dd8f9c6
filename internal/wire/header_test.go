package wire

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var (
	tcp4 = Header{Source: netip.MustParseAddrPort("192.0.2.1:56324"), Destination: netip.MustParseAddrPort("192.0.2.11:443")}
	tcp6 = Header{Source: netip.MustParseAddrPort("[2001:db8::1]:56324"), Destination: netip.MustParseAddrPort("[2001:db8::b]:443")}
	udp4 = Header{Source: tcp4.Source, Destination: tcp4.Destination, Datagram: true}
	udp6 = Header{Source: tcp6.Source, Destination: tcp6.Destination, Datagram: true}
)

const (
	bytes4    = "\xc0\x00\x02\x01" + "\xc0\x00\x02\x0b" + "\xdc\x04" + "\x01\xbb"
	addr6     = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	bytes6    = addr6 + "\x01" + addr6 + "\x0b" + "\xdc\x04" + "\x01\xbb"
	line4     = "PROXY TCP4 192.0.2.1 192.0.2.11 56324 443\r\n"
	line6     = "PROXY TCP6 2001:db8::1 2001:db8::b 56324 443\r\n"
	unknown   = "PROXY UNKNOWN\r\n"
	longest6  = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
	unixNames = 216
)

// block is a header of version 2.
func block(command, family byte, parts ...string) string {
	body := strings.Join(parts, "")
	return signature2 + string([]byte{command, family, byte(len(body) >> 8), byte(len(body))}) + body
}

func tlv(kind byte, value string) string {
	return string([]byte{kind, byte(len(value) >> 8), byte(len(value))}) + value
}

// sealed puts the right CRC32c, plus an error, into the first of head's TLVs.
func sealed(head string, wrong uint32) string {
	b := []byte(head)
	at := fixed + 12 + 3
	binary.BigEndian.PutUint32(b[at:], checksum(b, at)+wrong)
	return string(b)
}

// A rule is one that the specification has for those who parse or write a
// header. docs/proxy-protocol.md says it in words.
type rule struct {
	name   string
	accept map[string]Header // whole headers, and what they say
	refuse []string          // what is no header, and no beginning of one
	short  []string          // what may become one
	send   map[string]sent   // what is written
}

type sent struct {
	h       Header
	version int
}

func words(h ...string) string { return "PROXY " + strings.Join(h, " ") + "\r\n" }

var rules = slices.Concat(rules1, rules2, rulesOfTLVs)

var rules1 = []rule{
	{
		name:   "both-versions",
		accept: map[string]Header{line4: tcp4, block(0x21, 0x11, bytes4): tcp4},
		refuse: []string{"\n", "X", "PROXX", "PROXY\r\n", "proxy ", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01", "\r\n\r\r", " " + line4},
	},
	{
		name:   "v1-line",
		accept: map[string]Header{line4: tcp4, line6: tcp6},
		refuse: []string{
			"PROXY \r\n", "PROXY TCP4\r\n", "PROXY TCP4 \r\n", words("TCP4", "192.0.2.1"), words("TCP4", "192.0.2.1", "192.0.2.11", "1"),
			words("TCP4", "192.0.2.1", "192.0.2.11", "1", ""), words("TCP4", "192.0.2.1", "192.0.2.11", "1", "2", "3"),
			words("TCP4", "192.0.2.1:1", "192.0.2.11:2", "1", "2"), words("TCP4", "localhost", "192.0.2.11", "1", "2"),
		},
	},
	{
		name: "v1-one-space",
		refuse: []string{
			words("", "TCP4", "192.0.2.1", "192.0.2.11", "1", "2"), words("TCP4", "", "192.0.2.1", "192.0.2.11", "1", "2"),
			words("TCP4", "192.0.2.1", "192.0.2.11", "1", "2", ""), words("TCP4", "192.0.2.1", "192.0.2.11", "1", "2 "),
			words("TCP4\t192.0.2.1", "192.0.2.11", "1", "2"), words("TCP4", "192.0.2.1\t192.0.2.11", "1", "2"), "PROXY\tTCP4",
		},
	},
	{
		name: "v1-protocols",
		refuse: []string{
			words("UDP4", "192.0.2.1", "192.0.2.11", "1", "2"), words("tcp4", "192.0.2.1", "192.0.2.11", "1", "2"), words("TCP", "192.0.2.1", "192.0.2.11", "1", "2"),
			words("TCP46", "192.0.2.1", "192.0.2.11", "1", "2"), words("unknown"), words("UNKNOWNS"), words("UNKNOWN\t1"),
		},
	},
	{
		name: "v1-unknown",
		accept: map[string]Header{
			unknown: {}, words("UNKNOWN", ""): {}, words("UNKNOWN", "x \x00\xff y  z"): {}, words("UNKNOWN", "192.0.2.1", "192.0.2.11", "1", "2"): {},
			words("UNKNOWN", longest6, longest6, "65535", "65535"): {},
		},
	},
	{
		name: "v1-ipv4",
		accept: map[string]Header{words("TCP4", "0.0.0.0", "255.255.255.255", "1", "2"): {
			Source: netip.MustParseAddrPort("0.0.0.0:1"), Destination: netip.MustParseAddrPort("255.255.255.255:2"),
		}},
		refuse: addresses("TCP4", "192.0.2.01", "192.0.2.256", "192.0.2", "192.0.2.1.1", "192.0..1", "0xc0.0.2.1", "3221225985", "+1.2.3.4", ""),
	},
	{
		name: "v1-ipv6",
		accept: map[string]Header{
			words("TCP6", "2001:DB8::1", "2001:0db8:0:0:0:0:0:b", "56324", "443"): tcp6,
			words("TCP6", longest6, "::", "1", "2"):                               {Source: netip.MustParseAddrPort("[" + longest6 + "]:1"), Destination: netip.MustParseAddrPort("[::]:2")},
			// Senders with sockets for both families have this form.
			words("TCP6", "::ffff:192.0.2.1", "::ffff:c000:20b", "56324", "443"): tcp4,
		},
		refuse: addresses("TCP6", "2001:db8", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "fe80::1%eth0", "[2001:db8::1]", ":::", "g::", "::ffff:192.0.2.01", ""),
	},
	{
		name:   "v1-family-of-addresses",
		refuse: append(addresses("TCP4", "2001:db8::1", "::ffff:192.0.2.1"), addresses("TCP6", "192.0.2.1")...),
	},
	{
		name: "v1-ports",
		accept: map[string]Header{words("TCP4", "192.0.2.1", "192.0.2.11", "0", "65535"): {
			Source: netip.AddrPortFrom(tcp4.Source.Addr(), 0), Destination: netip.AddrPortFrom(tcp4.Destination.Addr(), 65535),
		}},
		refuse: ports("65536", "-1", "+1", "00", "01", "0x1", "1_0", "http", "1\x00", "18446744073709551617"),
	},
	{
		name:   "v1-crlf",
		refuse: []string{strings.TrimSuffix(line4, "\r\n") + "\n", strings.TrimSuffix(line4, "\r\n") + "\rx", "PROXY UNKNOWN\n", "PROXY UNKNOWN \r \r\n", "PROXY UNKNOWN \n\r\n", "PROXY \n", "PROXY \r\r"},
	},
	{
		name:   "v1-whole-line-first",
		short:  []string{"P", "PROXY", "PROXY ", "PROXY TCP4 192.0.2.1 192.0.2.11 1 2", "PROXY TCP4 192.0.2.1 192.0.2.11 1 2\r", "PROXY TCP5", "PROXY UNKNOWN" + strings.Repeat("x", maxLine-13-1)},
		refuse: []string{"PROXY TCP5\r\n"},
	},
	{
		name:   "v1-107-bytes",
		accept: map[string]Header{"PROXY UNKNOWN" + strings.Repeat(" ", maxLine-13-2) + "\r\n": {}},
		refuse: []string{"PROXY UNKNOWN" + strings.Repeat(" ", maxLine-13), "PROXY UNKNOWN" + strings.Repeat(" ", maxLine-13-1) + "\r\n", "PROXY UNKNOWN" + strings.Repeat(" ", maxLine-13) + "\r\n"},
	},
	{
		name: "v1-sends",
		send: map[string]sent{
			line4:   {tcp4, 1},
			line6:   {tcp6, 1},
			unknown: {udp4, 1},
			"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::b 56324 443\r\n": {Header{Source: tcp4.Source, Destination: tcp6.Destination}, 1},
			"PROXY TCP4 192.0.2.1 192.0.2.11 0 443\r\n":             {Header{Source: netip.AddrPortFrom(tcp4.Source.Addr(), 0), Destination: tcp4.Destination}, 1},
		},
	},
	{
		name: "v1-sends-unknown-only-if-it-must",
		send: map[string]sent{line4: {Header{Local: true, Source: tcp4.Source, Destination: tcp4.Destination}, 1}, unknown: {Header{Source: tcp4.Source}, 1}},
	},
}

var rules2 = []rule{
	{
		name:   "v2-signature",
		refuse: []string{"\r\n\r\n\x00\r\nQUIX", "\r\n\r\nP", "\r\n\r\n\x00\r\n\x00", "\r\n\r\n\x00\r\nQUIT\r"},
		short:  []string{"\r", "\r\n\r\n", "\r\n\r\n\x00", signature2},
	},
	{name: "v2-version", refuse: []string{signature2 + "\x11", signature2 + "\x01", signature2 + "\x31", signature2 + "\x00", signature2 + "\x10"}},
	{
		name: "v2-local",
		accept: map[string]Header{
			block(0x20, 0): {Local: true}, block(0x20, 0x11, bytes4): {Local: true}, block(0x20, 0x11): {Local: true}, block(0x20, 0x21, "x"): {Local: true},
			block(0x20, 0xff, "anything"): {Local: true}, block(0x20, 0, tlv(tlvUniqueID, "x")): {Local: true}, block(0x20, 0, strings.Repeat("x", MaxHeader-fixed)): {Local: true},
		},
	},
	{name: "v2-commands", refuse: []string{signature2 + "\x22", signature2 + "\x2f"}},
	{name: "v2-unspec", accept: map[string]Header{block(0x21, 0): {}, block(0x21, 0, tlv(tlvUniqueID, "x")): {UniqueID: "x"}}},
	{name: "v2-inet", accept: map[string]Header{block(0x21, 0x11, bytes4): tcp4, block(0x21, 0x12, bytes4): udp4}},
	{name: "v2-inet6", accept: map[string]Header{
		block(0x21, 0x21, bytes6): tcp6, block(0x21, 0x22, bytes6): udp6,
		block(0x21, 0x21, mapped+"\xc0\x00\x02\x01"+mapped+"\xc0\x00\x02\x0b\xdc\x04\x01\xbb"): tcp4,
	}},
	{name: "v2-unix", accept: map[string]Header{
		block(0x21, 0x31, strings.Repeat("/", unixNames)): {}, block(0x21, 0x32, strings.Repeat("\x00", unixNames), tlv(tlvUniqueID, "x")): {UniqueID: "x"},
	}},
	{name: "v2-families", refuse: []string{signature2 + "\x21\x41", signature2 + "\x21\xf1", signature2 + "\x21\x40", block(0x21, 0x51, bytes4)}},
	{name: "v2-transports", refuse: []string{signature2 + "\x21\x13", signature2 + "\x21\x2f", signature2 + "\x21\x34", signature2 + "\x21\x10", signature2 + "\x21\x01"}},
	{
		name:   "v2-length",
		accept: map[string]Header{block(0x21, 0x11, bytes4, tlv(4, strings.Repeat("x", MaxHeader-fixed-12-3))): tcp4},
		refuse: []string{signature2 + "\x21\x11\x0f\xf1", signature2 + "\x21\x11\xff\xff", signature2 + "\x20\x00\xff\xff"},
	},
	{name: "v2-length-of-addresses", refuse: []string{block(0x21, 0x11), block(0x21, 0x11, bytes4[:11]), block(0x21, 0x21, bytes4), block(0x21, 0x31, strings.Repeat("x", unixNames-1))}},
	{name: "v2-whole-header-first", short: []string{signature2 + "\x21\x11\x00\x0c", block(0x21, 0x11, bytes4)[:27], block(0x21, 0x11, bytes4, "\x05\xff\xff")[:30]}},
	{
		name: "v2-sends",
		send: map[string]sent{
			block(0x21, 0x11, bytes4): {tcp4, 2}, block(0x21, 0x21, bytes6): {tcp6, 2}, block(0x21, 0x12, bytes4): {udp4, 2}, block(0x21, 0x22, bytes6): {udp6, 2},
			block(0x21, 0x21, mapped+"\xc0\x00\x02\x01"+addr6+"\x0b\xdc\x04\x01\xbb"): {Header{Source: tcp4.Source, Destination: tcp6.Destination}, 2},
			block(0x21, 0): {Header{Source: tcp4.Source}, 2},
		},
	},
	{name: "v2-sends-local-empty", send: map[string]sent{block(0x20, 0): {Header{Local: true, Source: tcp4.Source, Destination: tcp4.Destination, UniqueID: "x"}, 2}}},
}

const mapped = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff"

var rulesOfTLVs = []rule{
	{
		name: "tlv-skipped",
		accept: map[string]Header{
			block(0x21, 0x11, bytes4, tlv(0xea, "aws"), tlv(0x20, "\x01\x00\x00\x00\x00"), tlv(0xff, ""), tlv(tlvUniqueID, "x")): withTLVs("", "", "x"),
			block(0x21, 0x11, bytes4, tlv(0x20, "\x01\xff")):                                                                     tcp4,
		},
	},
	{
		name: "tlv-bounds",
		refuse: []string{
			block(0x21, 0x11, bytes4, "\x05"), block(0x21, 0x11, bytes4, "\x05\x00"), block(0x21, 0x11, bytes4, "\x05\x00\x01"), block(0x21, 0x11, bytes4, "\x05\xff\xff", "x"),
			block(0x21, 0x11, bytes4, tlv(4, "x"), "\x04\x00\x03xx"), block(0x21, 0x00, "\x04\x00\x03xx"),
		},
	},
	{name: "tlv-noop", accept: map[string]Header{block(0x21, 0x11, bytes4, tlv(4, ""), tlv(4, "xxx"), tlv(tlvALPN, "h2")): withTLVs("h2", "", "")}},
	{
		name: "tlv-alpn-authority",
		accept: map[string]Header{
			block(0x21, 0x11, bytes4, tlv(tlvALPN, "http/1.1"), tlv(tlvAuthority, "www.example.org")): withTLVs("http/1.1", "www.example.org", ""),
			block(0x21, 0x11, bytes4, tlv(tlvALPN, "h2"), tlv(tlvALPN, "h3")):                         withTLVs("h3", "", ""),
		},
	},
	{
		name: "tlv-crc32c",
		accept: map[string]Header{
			sealed(block(0x21, 0x11, bytes4, tlv(tlvCRC32C, "1234")), 0):                          tcp4,
			sealed(block(0x21, 0x11, bytes4, tlv(tlvCRC32C, "\x00\x00\x00\x00"), tlv(5, "x")), 0): withTLVs("", "", "x"),
		},
		refuse: []string{
			sealed(block(0x21, 0x11, bytes4, tlv(tlvCRC32C, "1234")), 1), block(0x21, 0x11, bytes4, tlv(tlvCRC32C, "\x00\x00\x00\x00")),
			block(0x21, 0x11, bytes4, tlv(tlvCRC32C, "")), block(0x21, 0x11, bytes4, tlv(tlvCRC32C, "123")), block(0x21, 0x11, bytes4, tlv(tlvCRC32C, "12345")),
		},
	},
	{
		name:   "tlv-unique-id",
		accept: map[string]Header{block(0x21, 0x11, bytes4, tlv(5, strings.Repeat("\x00", maxUniqueID))): withTLVs("", "", strings.Repeat("\x00", maxUniqueID))},
		refuse: []string{block(0x21, 0x11, bytes4, tlv(5, strings.Repeat("x", maxUniqueID+1)))},
	},
	{
		name: "tlv-sends",
		send: map[string]sent{
			block(0x21, 0x11, bytes4, tlv(1, "h2"), tlv(2, "a.example"), tlv(5, "x")): {withTLVs("h2", "a.example", "x"), 2},
			block(0x21, 0x11, bytes4, tlv(1, "h2")):                                   {withTLVs("h2", strings.Repeat("x", MaxHeader), strings.Repeat("x", maxUniqueID+1)), 2},
			line4:                                                                     {withTLVs("h2", "a.example", "x"), 1},
		},
	},
}

func withTLVs(alpn, authority, id string) Header {
	h := tcp4
	h.ALPN, h.Authority, h.UniqueID = alpn, authority, id
	return h
}

// addresses are lines with one address that is wrong.
func addresses(protocol string, wrong ...string) (lines []string) {
	good := map[string]string{"TCP4": "192.0.2.1", "TCP6": "2001:db8::1"}[protocol]
	for _, w := range wrong {
		lines = append(lines, words(protocol, w, good, "1", "2"), words(protocol, good, w, "1", "2"))
	}
	return lines
}

// ports are lines with one port that is wrong.
func ports(wrong ...string) (lines []string) {
	for _, w := range wrong {
		lines = append(lines, words("TCP4", "192.0.2.1", "192.0.2.2", w, "2"), words("TCP4", "192.0.2.1", "192.0.2.2", "1", w))
	}
	return lines
}

func TestHeader(t *testing.T) {
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for in, want := range r.accept {
				accepts(t, in, want)
			}
			for _, in := range r.refuse {
				refuses(t, in)
			}
			for _, in := range r.short {
				if _, _, err := ParseHeader([]byte(in)); err != ErrShort {
					t.Errorf("%q: %v, want that more is needed", in, err)
				}
			}
			for want, s := range r.send {
				if got := string(s.h.Append([]byte("before"), s.version)); got != "before"+want {
					t.Errorf("%+v in version %d is %q, want %q", s.h, s.version, got, want)
				}
			}
		})
	}
}

// accepts tests that a header is read, whatever follows it, and that each
// beginning of it needs more.
func accepts(t *testing.T, in string, want Header) {
	for _, payload := range []string{"", "\r\n", "\x00", line4, block(0x21, 0x11, bytes4)} {
		if h, n, err := ParseHeader([]byte(in + payload)); h != want || n != len(in) || err != nil {
			t.Errorf("%q, then %q: %+v, %d bytes, %v; want %+v, %d bytes", in, payload, h, n, err, want, len(in))
		}
	}
	for i := range len(in) {
		if h, n, err := ParseHeader([]byte(in[:i])); h != (Header{}) || n != 0 || err != ErrShort {
			t.Errorf("%q of %q: %+v, %d bytes, %v; want that more is needed", in[:i], in, h, n, err)
		}
	}
}

// refuses tests that something is no header, with one line that says why, and
// that once it is known, nothing that follows changes that.
func refuses(t *testing.T, in string) {
	for _, more := range []string{"", "\r\n", strings.Repeat("x", maxLine)} {
		h, n, err := ParseHeader([]byte(in + more))
		if err == nil || errors.Is(err, ErrShort) || h != (Header{}) || n != 0 {
			t.Errorf("%q, then %q: %+v, %d bytes, %v; want an error", in, more, h, n, err)
		} else if strings.ContainsAny(err.Error(), "\r\n") {
			t.Errorf("%q: the error %q is more than one line", in, err)
		}
	}
}

// docs/proxy-protocol.md names the test of each rule.
func TestRulesAreListed(t *testing.T) {
	text, err := os.ReadFile("../../docs/proxy-protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("`TestHeader/([^`]+)`").FindAllSubmatch(text, -1) {
		listed[string(m[1])] = true
	}
	for _, r := range rules {
		if !listed[r.name] {
			t.Errorf("no row names TestHeader/%s", r.name)
		}
		delete(listed, r.name)
	}
	if len(listed) > 0 {
		t.Errorf("rows name tests that are not there: %v", listed)
	}
}

func genHeader() *rapid.Generator[Header] {
	return rapid.Custom(func(t *rapid.T) Header {
		addrPort := func(label string) netip.AddrPort {
			raw := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label)
			a := netip.AddrFrom16([16]byte(raw)).Unmap()
			if rapid.Bool().Draw(t, label+" is IPv4") {
				a = netip.AddrFrom4([4]byte(raw[:4]))
			}
			return netip.AddrPortFrom(a, rapid.Uint16().Draw(t, label+"'s port"))
		}
		text := func(label string, most int) string {
			return string(rapid.SliceOfN(rapid.Byte(), 0, most).Draw(t, label))
		}
		h := Header{ALPN: text("ALPN", 255), Authority: text("authority", 255), UniqueID: text("ID", maxUniqueID)}
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			return Header{Local: true}
		case 1:
			return h
		}
		h.Source, h.Destination, h.Datagram = addrPort("source"), addrPort("destination"), rapid.Bool().Draw(t, "UDP")
		return h
	})
}

// What is appended says the same when it is read, and is what the library
// writes.
func TestHeaderRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := genHeader().Draw(t, "header")
		rest := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "rest")
		for _, version := range []int{1, 2} {
			want := h
			if version == 1 {
				want = Header{Source: h.Source, Destination: h.Destination}
				if h.Datagram {
					want = Header{}
				}
			}
			head := h.Append(nil, version)
			if lib := byLibrary(t, h, version); string(head) != string(lib) {
				t.Fatalf("version %d is %q, the library writes %q", version, head, lib)
			}
			if got, n, err := ParseHeader(append(head, rest...)); got != want || n != len(head) || err != nil {
				t.Fatalf("version %d: %+v, %d bytes, %v; want %+v, %d bytes", version, got, n, err, want, len(head))
			}
		}
	})
}

var benchmarks = map[string]Header{"plain": tcp4, "tlvs": withTLVs("h2", "www.example.org", "0123456789abcdef")}

func BenchmarkParseHeader(b *testing.B) {
	for name, h := range benchmarks {
		for version := 1; version <= 2; version++ {
			head := h.Append(nil, version)
			b.Run(name+"/v"+string(rune('0'+version)), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, _, err := ParseHeader(head); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkAppendHeader(b *testing.B) {
	for name, h := range benchmarks {
		for version := 1; version <= 2; version++ {
			b.Run(name+"/v"+string(rune('0'+version)), func(b *testing.B) {
				b.ReportAllocs()
				buf := make([]byte, 0, MaxHeader)
				for b.Loop() {
					buf = h.Append(buf[:0], version)
				}
			})
		}
	}
}
