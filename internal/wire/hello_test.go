package wire

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// A tape is a connection that has received some bytes and then ends; it keeps
// what is sent.
type tape struct {
	in  io.Reader
	out bytes.Buffer
}

func (t *tape) Read(b []byte) (int, error)       { return t.in.Read(b) }
func (t *tape) Write(b []byte) (int, error)      { return t.out.Write(b) }
func (t *tape) Close() error                     { return nil }
func (t *tape) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (t *tape) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (t *tape) SetDeadline(time.Time) error      { return nil }
func (t *tape) SetReadDeadline(time.Time) error  { return nil }
func (t *tape) SetWriteDeadline(time.Time) error { return nil }

// helloOf is what Go's client sends first.
func helloOf(t testing.TB, c *tls.Config) []byte {
	t.Helper()
	conn := &tape{in: strings.NewReader("")}
	if err := tls.Client(conn, c).Handshake(); err == nil || conn.out.Len() == 0 {
		t.Fatalf("handshake with nobody: %v, %d bytes sent", err, conn.out.Len())
	}
	return conn.out.Bytes()
}

// seenByGo is what Go's server understands.
func seenByGo(b []byte) (h Hello, ok bool) {
	stop := errors.New("seen")
	_ = tls.Server(&tape{in: bytes.NewReader(b)}, &tls.Config{GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
		h.Name, _ = HostName(info.ServerName)
		h.Protocols, ok = info.SupportedProtos, true
		return nil, stop
	}}).Handshake()
	return h, ok
}

// fragmented is the message that comes in some records, in records of n bytes.
func fragmented(hello []byte, n int) (records []byte) {
	var message []byte
	for rest := hello; len(rest) > 0; {
		end := recordHead + int(binary.BigEndian.Uint16(rest[3:]))
		message, rest = append(message, rest[recordHead:end]...), rest[end:]
	}
	for part := range slices.Chunk(message, n) {
		records = append(records, hello[:3]...)
		records = binary.BigEndian.AppendUint16(records, uint16(len(part)))
		records = append(records, part...)
	}
	return records
}

// record is a message in one record.
func record(kind byte, body string) string {
	return string([]byte{kind, 3, 1, byte(len(body) >> 8), byte(len(body))}) + body
}

// hello is a ClientHello with these extensions, each with its type and length.
func hello(extensions ...string) string {
	var b cryptobyte.Builder
	b.AddUint8(handshakeHello)
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddUint16(tls.VersionTLS12)
		b.AddBytes(make([]byte, 32))
		b.AddBytes([]byte{0, 0, 2, 0x13, 0x01, 1, 0}) // session, suites, compressions
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(strings.Join(extensions, ""))) })
	})
	return record(recordHandshake, string(b.BytesOrPanic()))
}

// long puts a length of two bytes before a text.
func long(s ...string) string {
	text := strings.Join(s, "")
	return string([]byte{byte(len(text) >> 8), byte(len(text))}) + text
}

func serverName(name string) string { return "\x00\x00" + long(long("\x00"+long(name))) }

// reads tests that a hello is understood, in all pieces it may come in, and in
// all sizes of records.
func reads(t *testing.T, b []byte, want Hello) {
	t.Helper()
	for i := range len(b) {
		if h, err := ParseHello(b[:i]); err != ErrShort || !reflect.DeepEqual(h, Hello{}) {
			t.Fatalf("%d bytes of %d: %+v, %v; want that more is needed", i, len(b), h, err)
		}
	}
	if h, err := ParseHello(b); err != nil || !reflect.DeepEqual(h, want) {
		t.Errorf("%+v, %v; want %+v", h, err, want)
	}
	for n := 1; n < len(b); n = n*3/2 + 1 {
		records := fragmented(b, n)
		if len(records) > MaxHello {
			continue
		}
		if h, err := ParseHello(append(records, "and more"...)); err != nil || !reflect.DeepEqual(h, want) {
			t.Errorf("in records of %d bytes: %+v, %v; want %+v", n, h, err, want)
		}
		for i := 0; i < len(records); i += 7 { // now here, now there in records of a few bytes
			if _, err := ParseHello(records[:i]); err != ErrShort {
				t.Fatalf("in records of %d bytes, %d bytes: %v; want that more is needed", n, i, err)
			}
		}
	}
}

func TestHelloOfGo(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13} {
		for _, want := range []Hello{
			{},
			{Name: "www.example.org"},
			{Name: "a", Protocols: []string{"h2"}},
			{Protocols: []string{"http/1.1", "h2", "\n\n", strings.Repeat("x", 255)}},
		} {
			c := &tls.Config{MinVersion: version, MaxVersion: version, ServerName: want.Name, NextProtos: want.Protocols, InsecureSkipVerify: true}
			b := helloOf(t, c)
			reads(t, b, want)
			if seen, ok := seenByGo(b); !ok || !reflect.DeepEqual(seen, want) {
				t.Errorf("Go's server sees %+v, %v; want %+v", seen, ok, want)
			}
		}
	}
}

// What other clients sent. The files hold the bytes, as captured.
func TestHelloOfOthers(t *testing.T) {
	var many []string
	for i := range 50 {
		many = append(many, fmt.Sprintf("protocol-%02d", i))
	}
	want := map[string]Hello{
		"openssl-3.0-tls1.3":        {Name: "www.example.org", Protocols: []string{"h2", "http/1.1"}},
		"openssl-3.0-tls1.2":        {Name: "www.example.org"},
		"openssl-3.0-tls1.0":        {Name: "a.example"},
		"openssl-3.0-noname":        {Protocols: []string{"imap"}},
		"curl-7.88-openssl":         {Name: "www.example.org", Protocols: []string{"h2", "http/1.1"}},
		"gnutls-3.7":                {Name: "www.example.org", Protocols: []string{"h2"}},
		"openssl-3.0-small-records": {Name: "www.example.org", Protocols: many},
	}
	files, err := filepath.Glob("testdata/hello/*")
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d files, %v; want %d", len(files), err, len(want))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			reads(t, b, want[filepath.Base(file)])
		})
	}
}

func TestHelloByHand(t *testing.T) {
	alpn := "\x00\x10" + long(long("\x02h2"))
	for in, want := range map[string]Hello{
		hello():                                                              {},
		hello(serverName("A.Example.")):                                      {Name: "a.example"},
		hello(serverName("192.0.2.1")):                                       {},
		hello(serverName("../../etc/passwd")):                                {},
		hello(serverName("a\x00.example")):                                   {},
		hello(serverName(strings.Repeat("a.", 127))):                         {Name: strings.Repeat("a.", 126) + "a"},
		hello(serverName(strings.Repeat("a.", 128))):                         {},
		hello(serverName(strings.Repeat("x", 15000))):                        {},
		hello("\x00\x00" + long(long("\x07"+long("?"), "\x00"+long("a.b")))): {Name: "a.b"},
		hello("\x0a\x0a\x00\x00", serverName("a.b"), "\x1a\x1a\x00\x01\x00"): {Name: "a.b"}, // GREASE (RFC 8701)
		hello(alpn, serverName("a.b")):                                       {Name: "a.b", Protocols: []string{"h2"}},
		hello("\xfe\x0d"+long("\x00ech"), serverName("outer.example")):       {Name: "outer.example"},
	} {
		reads(t, []byte(in), want)
	}
	old := hello()
	old = record(recordHandshake, "\x01\x00\x00\x29"+old[recordHead+handshakeHead:len(old)-2])
	reads(t, []byte(old), Hello{}) // no extensions at all
}

func TestHelloRefused(t *testing.T) {
	good := hello(serverName("a.b"))
	body := good[recordHead:]
	for name, in := range map[string]string{
		"empty record":              record(recordHandshake, ""),
		"empty record within":       record(recordHandshake, body[:9]) + record(recordHandshake, ""),
		"record too long":           "\x16\x03\x01\x40\x01",
		"alert within":              record(recordHandshake, body[:9]) + "\x15",
		"other version within":      record(recordHandshake, body[:9]) + "\x16\x02",
		"ServerHello":               "\x16\x03\x03\x00\x40\x02",
		"too long":                  "\x16\x03\x01\x40\x00\x01\x00\x3f\xf8",
		"name of 64 KiB":            "\x16\x03\x01\x40\x00\x01\x01\x00\x00",
		"16 MiB":                    "\x16\x03\x01\x00\x04\x01\xff\xff\xff",
		"too long in small records": string(fragmented([]byte(hello(serverName(strings.Repeat("x", 3000)))), 1)),
		"empty":                     record(recordHandshake, "\x01\x00\x00\x00"),
		"no suites":                 record(recordHandshake, "\x01\x00\x00\x23"+strings.Repeat("\x00", 35)),
		"session past its end":      record(recordHandshake, "\x01\x00\x00\x23"+strings.Repeat("\x01", 35)),
		"more behind extensions":    record(recordHandshake, "\x01\x00\x00"+string(rune(len(body)-3))+body[4:]+"x"),
		"two names":                 hello(serverName("a.b"), serverName("a.c")),
		"two names in one":          hello("\x00\x00" + long(long("\x00"+long("a.b"), "\x00"+long("a.c")))),
		"no name":                   hello("\x00\x00" + long(long(""))),
		"name without bytes":        hello(serverName("")),
		"no list of names":          hello("\x00\x00\x00\x00"),
		"name past its end":         hello("\x00\x00" + long(long("\x00\x00\x09a.b"))),
		"more behind names":         hello("\x00\x00" + long(long("\x00"+long("a.b")), "x")),
		"extension past its end":    hello("\x00\x00\xff\xff"),
		"extension of one byte":     hello("\x00"),
		"two ALPN":                  hello("\x00\x10"+long(long("\x01x")), "\x00\x10"+long(long("\x01x"))),
		"ALPN without protocols":    hello("\x00\x10" + long(long(""))),
		"protocol without bytes":    hello("\x00\x10" + long(long("\x00"))),
		"protocol past its end":     hello("\x00\x10" + long(long("\x05h2"))),
		"more behind protocols":     hello("\x00\x10" + long(long("\x02h2"), "x")),
	} {
		t.Run(name, func(t *testing.T) {
			for _, more := range []string{"", "x", strings.Repeat("\x00", MaxHello)} {
				h, err := ParseHello([]byte(in + more))
				if err == nil || err == ErrShort || err == ErrNotTLS || !reflect.DeepEqual(h, Hello{}) {
					t.Errorf("%+v, %v; want an error", h, err)
				}
			}
			if seen, ok := seenByGo([]byte(in)); ok && len(in) <= MaxHello {
				t.Errorf("Go's server accepts it: %+v", seen)
			}
		})
	}
}

// What is not TLS is known by its first two bytes.
func TestNotTLS(t *testing.T) {
	for _, in := range []string{
		"G", "\x00", "\x15\x03", "\x17", "\x16\x02", "\x16\x00", "\x16\x04", "SSH-2.0", "\r", "PROXY ",
		"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10", // SSL 2
	} {
		if h, err := ParseHello([]byte(in)); err != ErrNotTLS {
			t.Errorf("%q: %+v, %v", in, h, err)
		}
	}
	for _, in := range []string{"", "\x16", "\x16\x03", "\x16\x03\x00\x00"} {
		if h, err := ParseHello([]byte(in)); err != ErrShort {
			t.Errorf("%q: %+v, %v", in, h, err)
		}
	}
}

// The longest hello is read, one that is a byte longer is not.
func TestHelloOfMostBytes(t *testing.T) {
	const around = recordHead + handshakeHead + 2 + 32 + 7 + 2 + 4
	for _, n := range []int{MaxHello, MaxHello + 1} {
		in := []byte(hello("\x0a\x0a" + long(strings.Repeat("x", n-around))))
		if len(in) != n {
			t.Fatalf("%d bytes, want %d", len(in), n)
		}
		if _, err := ParseHello(in); (err == nil) != (n == MaxHello) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestHostName(t *testing.T) {
	label := strings.Repeat("x", maxLabel)
	longest := strings.Repeat(label+".", 3) + strings.Repeat("y", 61)
	for in, want := range map[string]string{
		"a": "a", "A.Example.ORG": "a.example.org", "a.b.": "a.b", "_x.a-b.c1": "_x.a-b.c1", "1.example": "1.example", "xn--bcher-kva.example": "xn--bcher-kva.example",
		"1.2.3.4x": "1.2.3.4x", "0xg": "0xg", "a.0x1g": "a.0x1g", label: label, longest: longest, longest + ".": longest, "a-": "a-",
		"": "", ".": "", "..": "", "a..": "", ".a": "", "a..b": "", "a/b": "", `a\b`: "", "../a": "", "a b": "", "a\x00": "", "a\n": "", "*.a": "", "b\u00fccher": "", "\u212a": "", "\xff": "",
		"-": "", "-rf": "", "a.-b": "", "1": "", "127.1": "", "192.0.2.1": "", "192.0.2.1.": "", "::1": "", "[::1]": "", "::ffff:192.0.2.1": "", "fe80::1%a": "", "0x7f000001": "", "0X7F.0x1": "", "a.0x": "", "a.1": "",
		label + "x": "", longest + "y": "", longest + "y.": "", "a:80": "",
	} {
		if got, ok := HostName(in); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v; want %q", in, got, ok, want)
		}
	}
}

// While more is needed nothing is allocated, however many records there are.
func TestShortHelloAllocatesNothing(t *testing.T) {
	b := []byte(hello(serverName("a.b"), "\x0a\x0a"+long(strings.Repeat("x", 1500))))
	for _, b := range [][]byte{b, fragmented(b, 1)} {
		if n := testing.AllocsPerRun(10, func() { _, _ = ParseHello(b[:len(b)-1]) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

func BenchmarkParseHello(b *testing.B) {
	whole := helloOf(b, &tls.Config{ServerName: "www.example.org", NextProtos: []string{"h2", "http/1.1"}})
	pieces := fragmented(whole, 1)
	for name, in := range map[string][]byte{"whole": whole, "short": whole[:len(whole)-1], "small-records": pieces, "small-records-short": pieces[:len(pieces)-1]} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseHello(in); err != nil && err != ErrShort {
					b.Fatal(err)
				}
			}
		})
	}
}
