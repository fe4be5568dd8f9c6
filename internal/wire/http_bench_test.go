package wire

import (
	"net/netip"
	"strings"
	"testing"
)

// What a browser sends, some 700 bytes.
const browserHead = "GET /static/app.js?v=1234 HTTP/1.1\r\n" +
	"Host: www.example.com\r\n" +
	"Connection: keep-alive\r\n" +
	"sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"\r\n" +
	"sec-ch-ua-mobile: ?0\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" +
	"Sec-Fetch-Site: same-origin\r\n" +
	"Sec-Fetch-Mode: no-cors\r\n" +
	"Referer: https://www.example.com/some/page\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Accept-Language: en-GB,en;q=0.9\r\n" +
	"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=1\r\n\r\n"

func BenchmarkRequests(b *testing.B) {
	body := strings.Repeat("x", 200)
	for _, bb := range []struct {
		name, in string
		f        Forwarding
	}{
		{"small", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", Forwarding{}},
		{"browser", browserHead, Forwarding{}},
		{"forwarded", browserHead, Forwarding{Forwarded: true}},
		{"trusted", strings.Replace(browserHead, "Cookie", "X-Forwarded-For: 198.51.100.1\r\nCookie", 1), Forwarding{Trusted: true}},
		{"post", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200\r\n\r\n" + body, Forwarding{}},
		{"chunked", "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nc8\r\n" + body + "\r\n0\r\n\r\n", Forwarding{}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			bb.f.Client, bb.f.Proto = netip.MustParseAddr("192.0.2.77"), "https"
			r := NewRequests(bb.f)
			in, out := []byte(bb.in), make([]byte, 0, 4096)
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				if _, n, err := r.Rewrite(out, in); n < len(in) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}
