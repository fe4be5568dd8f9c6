package wire

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

var (
	v4 = Forwarding{Client: netip.MustParseAddr("192.0.2.1"), Proto: "https"}
	v6 = Forwarding{Client: netip.MustParseAddr("2001:db8::1"), Proto: "http", Forwarded: true}
)

const (
	get  = "GET / HTTP/1.1\r\nHost: a\r\n"
	mark = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n\r\n"
)

// rewrite shows a stream to Rewrite, piece by piece, as who relays it does.
func rewrite(r *Requests, pieces ...string) (string, error) {
	var out, in []byte
	for _, piece := range pieces {
		in = append(in, piece...)
		next, n, err := r.Rewrite(out, in)
		if err != nil {
			return string(next), err
		}
		out, in = next, in[n:]
	}
	return string(out), nil
}

// What heads become.
func TestHeads(t *testing.T) {
	trusted, both, v6trusted := v4, v4, v6
	trusted.Trusted, both.Trusted, both.Forwarded, v6trusted.Trusted = true, true, true, true
	for _, tt := range []struct {
		name    string
		f       Forwarding
		in, out string
	}{
		{"plain", v4, get + "\r\n", get + mark},
		{"every request", v4, get + "\r\n" + get + "\r\n", get + mark + get + mark},
		{"not only GET", v4, "M-SEARCH * HTTP/1.0\r\n\r\n", "M-SEARCH * HTTP/1.0\r\n" + mark},
		{"body", v4, get + "Content-Length: 2\r\n\r\n\r\n", get + "Content-Length: 2\r\n" + mark + "\r\n"},
		{"largest length", v4, get + "Content-Length: 9223372036854775807\r\n\r\n..", get + "Content-Length: 9223372036854775807\r\n" + mark + ".."},
		{"expectation", v4, get + "Expect: 100-Continue\r\n\r\n", get + "Expect: 100-Continue\r\n" + mark},
		{"chunks", v4, get + "Transfer-Encoding: Chunked\r\n\r\n2;x=y\r\nab\r\n0\r\nx: y\r\nX-FORWARDED-for: z\r\n\r\n", get + "Transfer-Encoding: Chunked\r\n" + mark + "2\r\nab\r\n0\r\nx: y\r\n\r\n"},
		{"empty lines", v4, "\r\n\r\n" + get + "\r\n\r\n", get + mark},

		{"IPv6", v6, get + "\r\n", get + "X-Forwarded-For: 2001:db8::1\r\nX-Forwarded-Proto: http\r\nForwarded: for=\"[2001:db8::1]\";proto=http\r\n\r\n"},
		{"zone", Forwarding{Client: netip.MustParseAddr("fe80::1%eth0"), Proto: "http"}, get + "\r\n", get + "X-Forwarded-For: fe80::1\r\nX-Forwarded-Proto: http\r\n\r\n"},
		{"IPv4 in IPv6", Forwarding{Client: netip.MustParseAddr("::ffff:192.0.2.1"), Proto: "http", Forwarded: true}, get + "\r\n", get + "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nForwarded: for=192.0.2.1;proto=http\r\n\r\n"},
		{"Unix", Forwarding{Proto: "http", Forwarded: true}, get + "\r\n", get + "X-Forwarded-For: unknown\r\nX-Forwarded-Proto: http\r\nForwarded: for=unknown;proto=http\r\n\r\n"},

		{"claims", v4, get + "x-forwarded-FOR: b\r\nX: 1\r\nForwarded: for=b\r\nX-Real-IP: b\r\nX-Forwarded-Port: 1\r\nX-Forwarded: b\r\nX_Forwarded_For: b\r\nX-Forwarded-Proto: b\r\nY: 2\r\n\r\n", get + "X: 1\r\nY: 2\r\n" + mark},
		{"names that only begin alike", v4, get + "X-Forward: b\r\nX-Forwards-For: b\r\nXX-Forwarded-For: b\r\n\r\n", get + "X-Forward: b\r\nX-Forwards-For: b\r\nXX-Forwarded-For: b\r\n" + mark},
		{"claims first", v4, "GET / HTTP/1.1\r\nX-Forwarded-For: b\r\nHost: a\r\n\r\n", get + mark},
		{"trusted", trusted, get + "X-Forwarded-For: b\r\nX: 1\r\nX-Forwarded-For: \r\nx-forwarded-for: c, d \r\nX-Forwarded-Proto: http\r\nX-Real-IP: b\r\n\r\n", get + "X: 1\r\nX-Forwarded-Proto: http\r\nX-Real-IP: b\r\nX-Forwarded-For: b, c, d, 192.0.2.1\r\n\r\n"},
		{"trusted without claims", trusted, get + "X-Forwarded-Proto:\r\n\r\n", get + mark},
		{"trusted but forged", trusted, get + "X_Forwarded_For: b\r\nX-Forwarded_Host: b\r\nX-Real_IP: b\r\nX-Forwarded.Proto: b\r\n\r\n", get + mark},
		{"trusted with Forwarded", trusted, get + "Forwarded: for=b\r\n\r\n", get + "Forwarded: for=b\r\n" + mark},
		{"trusted and Forwarded", both, get + "Forwarded: for=b\r\nForwarded: for=\"c\\\"\"\r\nforwarded: for=\"open\r\n\r\n", get + strings.TrimSuffix(mark, "\r\n") + "Forwarded: for=b, for=\"c\\\"\", for=192.0.2.1;proto=https\r\n\r\n"},
		{"trusted IPv6", v6trusted, get + "X-Forwarded-For: b\r\n\r\n", get + "X-Forwarded-For: b, 2001:db8::1\r\nX-Forwarded-Proto: http\r\nForwarded: for=\"[2001:db8::1]\";proto=http\r\n\r\n"},

		{"upgrade", v4, get + "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x00 GET", get + "Upgrade: websocket\r\nConnection: Upgrade\r\n" + mark},
		{"upgrade after the body", v4, get + "Upgrade: x\r\nConnection: close, keep-alive\r\nConnection: upgrade\r\nContent-Length: 1\r\n\r\na\n", get + "Content-Length: 1\r\nUpgrade: x\r\nConnection: close, keep-alive, upgrade\r\n" + mark + "a"},
		{"upgrade to one of two", v4, get + "Upgrade: h2c, foo/1\r\nUpgrade: HTTP/3\r\nConnection: HTTP2-Settings, Upgrade\r\nHTTP2-Settings: x\r\n\r\n..", get + "Upgrade: foo/1\r\nConnection: Upgrade\r\n" + mark},
		{"upgrade to h2c", v4, get + "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: x\r\n\r\n" + get + "\r\n", get + mark + get + mark},
		{"upgrade to h2c and keep-alive", v4, get + "Upgrade: h2c\r\nConnection: keep-alive, Upgrade\r\n\r\n", get + "Connection: keep-alive\r\n" + mark},
		{"upgrade to TLS", v4, get + "Upgrade: TLS/1.2\r\nConnection: Upgrade\r\n\r\n" + get + "\r\n", get + mark + get + mark},
		{"upgrade without the option", v4, get + "Upgrade: websocket, h2\r\n\r\n" + get + "\r\n", get + "Upgrade: websocket\r\n" + mark + get + mark},
		{"the option without upgrade", v4, get + "Connection: upgrade\r\n\r\n" + get + "\r\n", get + "Connection: upgrade\r\n" + mark + get + mark},
		{"upgrade that waits", v4, get + "\r\n" + get + "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\r\n" + get + "\r\n", get + mark},
		{"upgrade in HTTP/1.0", v4, "GET / HTTP/1.0\r\nConnection: upgrade, keep-alive\r\nUpgrade: x\r\n\r\n", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n" + mark},
		{"tabs around a length", v4, get + "Content-length:\t2 \t\r\nX:\ty\r\n\r\n\r\n", get + "Content-length: 2\r\nX:\ty\r\n" + mark + "\r\n"},
		{"tab before a coding", v4, get + "Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n", get + "Transfer-Encoding: chunked\r\n" + mark + "0\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := rewrite(NewRequests(tt.f), tt.in)
			if out != tt.out || err != nil {
				t.Errorf("%q, %v\nwant %q", out, err, tt.out)
			}
		})
	}
}

// Nothing of a refused request is handed on, and nothing after it; what came
// before is.
func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		in  string
		err error
	}{
		{"\x16\x03\x01", errRequestLine},
		{"GET /\r\n", errRequestLine},
		{"GET  / HTTP/1.1\r\n", errRequestLine},
		{"GET / HTTQ", errRequestLine},
		{"GET / http/1.1", errRequestLine},
		{"GET /a b HTTP/1.1", errRequestLine},
		{"GET / HTTP/x", errRequestLine},
		{"GET / HTTP/1.2", errVersion},
		{"GET / HTTP/0", errVersion},
		{"PRI * HTTP/2", errVersion},
		{"GET / HTTP/1.1 ", errByte},
		{"GET / HTTP/1.1\n", errBareLF},
		{"GET / HTTP/1.1\rH", errBareCR},
		{"GET / HTTP/1.1\r\n Host: a\r\n", errFold},
		{get + "\n", errBareLF},
		{get + "\rX", errBareCR},
		{get + "X: y\n", errBareLF},
		{get + "X: y\rz", errBareCR},
		{get + "X: y\x00", errByte},
		{get + "X: 12345678\x7f", errByte},
		{get + "X: y\r\n\tz", errFold},
		{get + "X : y", errName},
		{get + ": y", errName},
		{get + "X\r\n", errName},
		{get + "Host: b\r\n", errHost},
		{get + "X: " + strings.Repeat("y", DefaultHead), errHeadSize},
		{"GET /" + strings.Repeat("y", DefaultHead), errHeadSize},
		{get + strings.Repeat("X: y\r\n", maxFields), errFields},
		{"GET / HTTP/1.1\r\n\r\n", errHost},
		{strings.Repeat("\r\n", maxEmpty+1), errEmptyLines},
		{get + "Content-Length: 1\r\nContent-Length: 1\r\n", errLength},
		{get + "Content-Length: 00000000000000000001\r\n", errLength},
		{get + "Content-Length: 9223372036854775808\r\n", errLength},
		{get + "Transfer-Encoding: gzip\r\n", errCoding},
		{get + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", errFraming},
		{get + "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", errFraming},
		{"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", errFraming},
		{get + "content_length: 0\r\n", errDisguise},
		{get + "Transfer~Encoding: chunked\r\n", errDisguise},
		{"CONNECT ", errConnect},
		{"connect /x HTTP/1.1\r\nHost: a\r\n\r\n", errConnect},
		{get + "Connection: x-forwarded-proto\r\n", errNominated},
		{get + "Connection: a b\r\n", errNominated},
		{get + "Trailer: host\r\n", errNominated},
		{get + "Upgrade: a b\r\n", errUpgrade},
		{get + "Expect: 200-ok\r\n", errExpect},
		{get + "Transfer-Encoding: chunked\r\n\r\nx", errChunkSize},
		{get + "Transfer-Encoding: chunked\r\n\r\n8000000000000000", errChunkSize},
		{get + "Transfer-Encoding: chunked\r\n\r\n00000000000000000", errChunkSize},
		{get + "Transfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("x", maxSize), errChunkLine},
		{get + "Transfer-Encoding: chunked\r\n\r\n1 ", errByte},
		{get + "Transfer-Encoding: chunked\r\n\r\n1\r\nxy", errChunkEnd},
		{get + "Transfer-Encoding: chunked\r\n\r\n0\r\nHost: a\r\n", errTrailer},
		{get + "Transfer-Encoding: chunked\r\n\r\n0\r\nx: " + strings.Repeat("y", DefaultHead), errTrailerSize},
		{get + "Transfer-Encoding: chunked\r\n\r\n0\r\nx: " + strings.Repeat("y", DefaultHead-5) + "\r\n", errTrailerSize},
		{get + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("x: y\r\n", maxFields+1), errFields},
	} {
		for _, before := range []struct{ in, out string }{{}, {get + "\r\n", get + mark}} {
			r := NewRequests(v4)
			out, err := rewrite(r, before.in+tt.in)
			if out != before.out || !errors.Is(err, tt.err) {
				t.Errorf("%.100q: %.100q, %v, want %v", tt.in, out, err, tt.err)
			}
			if cut, _ := r.Cut(); cut || r.Complete() {
				t.Errorf("%.100q: cut %v, complete %v", tt.in, cut, r.Complete())
			}
			if out, err := rewrite(r, get+"\r\n"); out != "" || !errors.Is(err, tt.err) {
				t.Errorf("%.100q, and then another request: %.100q, %v", tt.in, out, err)
			}
		}
	}
}

// The largest of everything passes.
func TestLargest(t *testing.T) {
	head := get + "X: " + strings.Repeat("y", DefaultHead-len(get)-len("X: \r\n\r\n")) + "\r\n\r\n"
	for _, in := range []string{
		head + head,
		get + strings.Repeat("X: y\r\n", maxFields-1) + "\r\n",
		get + "Transfer-Encoding: chunked\r\n\r\n0000000000000001;" + strings.Repeat("x", maxSize-19) + "\r\nx\r\n0\r\n\r\n",
		get + "Transfer-Encoding: chunked\r\n\r\n0\r\nx: " + strings.Repeat("y", DefaultHead-len("x: \r\n\r\n")) + "\r\n\r\n",
		get + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("x: y\r\n", maxFields) + "\r\n",
		strings.Repeat("\r\n", maxEmpty) + get + "\r\n" + strings.Repeat("\r\n", maxEmpty) + get + "\r\n",
	} {
		var short []string
		for piece := range slices.Chunk([]byte(in), 61) {
			short = append(short, string(piece))
		}
		for _, pieces := range [][]string{{in}, short} {
			r := NewRequests(v4)
			if _, err := rewrite(r, pieces...); err != nil || !r.Complete() {
				t.Errorf("%.100q in %d pieces: %v, complete %v", in, len(pieces), err, r.Complete())
			}
		}
	}
}

// The limit of a head can be set, and is also that of trailers.
func TestHeadLimit(t *testing.T) {
	for _, limit := range []int{1 << 10, 32 << 10, LargestHead} {
		f := v4
		f.MaxHead = limit
		head := get + "X: " + strings.Repeat("y", limit-len(get)-len("X: \r\nX-Forwarded-For: b\r\n\r\n")) + "\r\nX-Forwarded-For: b\r\n\r\n"
		trailers := get + "Transfer-Encoding: chunked\r\n\r\n0\r\nx: " + strings.Repeat("y", limit-len("x: \r\n\r\n")) + "\r\n\r\n"
		out, err := rewrite(NewRequests(f), head+trailers)
		if err != nil || len(out) != len(head)-len("X-Forwarded-For: b\r\n\r\n")+len(trailers)-len("\r\n")+2*len(mark) {
			t.Errorf("%d: %d bytes, %v", limit, len(out), err)
		}
		if _, err := rewrite(NewRequests(f), strings.Replace(head, "y", "yy", 1)); !errors.Is(err, errHeadSize) {
			t.Errorf("a head of %d bytes: %v, want %v", limit+1, err, errHeadSize)
		}
		if _, err := rewrite(NewRequests(f), strings.Replace(trailers, "y", "yy", 1)); !errors.Is(err, errTrailerSize) {
			t.Errorf("trailers of %d bytes: %v, want %v", limit+1, err, errTrailerSize)
		}
	}
}

// What is known of a connection between the pieces.
func TestBetween(t *testing.T) {
	type known struct {
		through  int64
		complete bool
	}
	for _, tt := range []struct {
		in   string
		pass int64 // and then Passed
		want known
	}{
		{"", 0, known{0, true}},
		{"\r", 0, known{0, false}},
		{"\r\n", 0, known{0, true}},
		{"GET / HTTP/1.1\r\nHost: a\r\n", 0, known{0, false}},
		{get + "\r\n", 0, known{0, true}},
		{get + "\r\nG", 0, known{0, false}},
		{get + "Content-Length: 5\r\n\r\n", 0, known{5, false}},
		{get + "Content-Length: 5\r\n\r\nab", 0, known{3, false}},
		{get + "Content-Length: 5\r\n\r\nab", 2, known{1, false}},
		{get + "Content-Length: 5\r\n\r\nab", 3, known{0, true}},
		{get + "Transfer-Encoding: chunked\r\n\r\n", 0, known{0, false}},
		{get + "Transfer-Encoding: chunked\r\n\r\n10\r", 0, known{0, false}},
		{get + "Transfer-Encoding: chunked\r\n\r\n10\r\n", 0, known{16, false}},
		{get + "Transfer-Encoding: chunked\r\n\r\n10\r\n", 16, known{0, false}},
		{get + "Transfer-Encoding: chunked\r\n\r\n0\r\n", 0, known{0, false}},
		{get + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, known{0, true}},
		{get + "Connection: upgrade\r\nUpgrade: x\r\n\r\n", 0, known{0, true}},
		{get + "Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 3\r\n\r\n", 0, known{3, false}},
		{get + "Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 3\r\n\r\n", 3, known{0, true}},
	} {
		r := NewRequests(v4)
		if _, err := rewrite(r, tt.in); err != nil {
			t.Errorf("%q: %v", tt.in, err)
		}
		if tt.pass > 0 {
			r.Passed(tt.pass)
		}
		if got := (known{r.Through(), r.Complete()}); got != tt.want {
			t.Errorf("%q: %+v, want %+v", tt.in, got, tt.want)
		}
	}
}

// What passes beside Rewrite has to be what may.
func TestPassedTooMuch(t *testing.T) {
	for _, in := range []string{"", get + "Content-Length: 5\r\n\r\n"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q: 6 bytes of a body passed", in)
				}
			}()
			r := NewRequests(v4)
			rewrite(r, in)
			r.Passed(6)
		}()
	}
}

// A refusal says what it is about, and answers the client.
func TestRefusal(t *testing.T) {
	_, err := rewrite(NewRequests(v4), "GET / HTTP/3\r\n")
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		t.Fatalf("%v is no Refusal", err)
	}
	if got, want := err.Error(), "request refused: the first line does not end in HTTP/1.0 or HTTP/1.1"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := refusal.Answer(), "HTTP/1.1 505 HTTP Version Not Supported\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Requests that are like others cost no memory, nor do those behind the first
// of a client that has its own ideas.
func TestAllocations(t *testing.T) {
	for _, in := range []string{
		browserHead,
		strings.Replace(browserHead, "Cookie", "X-Forwarded-For: 198.51.100.1\r\nForwarded: for=198.51.100.1\r\nUpgrade: h2c\r\nCookie", 1),
		get + "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
	} {
		r := NewRequests(Forwarding{Client: v6.Client, Proto: "https", Forwarded: true, Trusted: true})
		src, dst := []byte(in), make([]byte, 0, 4096)
		n := testing.AllocsPerRun(100, func() {
			if _, _, err := r.Rewrite(dst, src); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%v allocations for %q", n, in)
		}
	}
}
