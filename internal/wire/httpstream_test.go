package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pen/internal/testenv"
)

// A result is what became of a stream.
type result struct {
	out      string
	requests int // that were handed on whole
	complete bool
	err      error
}

// follow shows a stream to Rewrite in pieces that end at cuts. Where beside is
// set, bytes that need not go through Rewrite don't.
func follow(in []byte, beside bool, cuts ...int) result {
	r := NewRequests(v4)
	var got result
	var out []byte
	start := 0
	for _, end := range append(cuts, len(in)) {
		for start < end {
			if n := r.Through(); beside && n != 0 {
				n = min(n, int64(end-start))
				out = append(out, in[start:start+int(n)]...)
				r.Passed(n)
				start += int(n)
				continue
			}
			var n int
			out, n, got.err = r.Rewrite(out, in[start:end])
			start += n
			waited := answerAll(r)
			if got.err != nil || n == 0 && !waited {
				break
			}
		}
	}
	got.out, got.complete = string(out), r.Complete()
	return got
}

// answerAll has a server answer, where requests wait for that, with no 101. It
// reports whether they did.
func answerAll(r *Requests) (waited bool) {
	for r.Waiting() {
		waited = true
		r.Answers().Follow([]byte("HTTP/1.1 204 No Content\r\n\r\n"))
	}
	return waited
}

// bytewise follows a stream byte by byte, and counts requests.
func bytewise(in []byte) result {
	r := NewRequests(v4)
	var got result
	var out []byte
	start, seen := 0, 0
	for end := 1; end <= len(in) && got.err == nil; end++ {
		for again := true; again && got.err == nil; again = answerAll(r) {
			var n int
			out, n, got.err = r.Rewrite(out, in[start:end])
			start += n
		}
		if r.Complete() && len(out) > seen {
			got.requests++
			seen = len(out)
		}
	}
	got.out, got.complete = string(out), r.Complete()
	return got
}

// sameInPieces checks that it makes no difference how a stream is cut, at at
// most that many places, and returns what becomes of it.
func sameInPieces(t *testing.T, in []byte, places int) result {
	t.Helper()
	want := bytewise(in)
	for i := 0; i <= len(in); i += 1 + len(in)/places {
		for _, beside := range []bool{false, true} {
			got := follow(in, beside, i)
			if want.err != nil {
				// What was handed on of a refused request depends on cuts.
				if !errors.Is(got.err, want.err) || !strings.HasPrefix(want.out, got.out) {
					t.Fatalf("%.1000q cut at %d: %.1000q, %v, want %.1000q, %v", in, i, got.out, got.err, want.out, want.err)
				}
				continue
			}
			got.requests = want.requests
			if got != want {
				t.Fatalf("%.1000q cut at %d: %.1000v, want %.1000v", in, i, got, want)
			}
		}
	}
	return want
}

// serve reads requests as a server in Go does, and returns their bodies. It
// checks that each says once who the client is.
func serve(t *testing.T, out string, untilClose bool) (bodies []string, err error) {
	t.Helper()
	r := bufio.NewReaderSize(strings.NewReader(out), 4*DefaultHead)
	for {
		req, err := http.ReadRequest(r)
		if err == io.EOF {
			return bodies, nil
		}
		if err != nil {
			return bodies, err
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return bodies, err
		}
		bodies = append(bodies, string(body))
		for _, fields := range []http.Header{req.Header, req.Trailer} {
			for name := range fields {
				about := strings.ReplaceAll(strings.ToLower(name), "_", "-")
				mine := name == "X-Forwarded-For" || name == "X-Forwarded-Proto"
				if strings.HasPrefix(about, "x-forwarded-") && !mine || about == "forwarded" {
					t.Errorf("%s: %q in %.1000q", name, fields[name], out)
				}
			}
		}
		if f := req.Header["X-Forwarded-For"]; !slices.Equal(f, []string{"192.0.2.1"}) {
			t.Errorf("X-Forwarded-For: %q in %.1000q", f, out)
		}
		if f := req.Header["X-Forwarded-Proto"]; !slices.Equal(f, []string{"https"}) {
			t.Errorf("X-Forwarded-Proto: %q in %.1000q", f, out)
		}
		if untilClose && req.Close {
			return bodies, nil
		}
	}
}

// smugglings is the folder of streams that others have understood differently.
const smugglings = "testdata/smuggling"

func TestSmuggling(t *testing.T) {
	for _, s := range testenv.Smugglings(t, smugglings) {
		t.Run(s.Name, func(t *testing.T) {
			got := sameInPieces(t, s.Stream, 100)
			if (got.err != nil) != s.Refused {
				t.Errorf("refused: %v, want %v", got.err, s.Refused)
			}
			if whole := follow(s.Stream, false); whole.err != nil {
				got.out = whole.out
			} else if !got.complete {
				t.Error("not complete")
			}
			bodies, err := serve(t, got.out, true)
			if len(bodies) != s.Requests || err != nil {
				t.Errorf("a server sees %d requests, %v, want %d", len(bodies), err, s.Requests)
			}
			if got.requests != s.Requests {
				t.Errorf("followed %d requests, want %d", got.requests, s.Requests)
			}
		})
	}
}

// Whatever clients send, a server sees the same requests with the same bodies,
// and each says once who the client is.
func TestRandomStreams(t *testing.T) {
	for seed := range uint64(150) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var in []byte
		var want []string
		for range 1 + rnd.IntN(5) {
			body := randomBody(rnd)
			in = appendRequest(in, rnd, body)
			want = append(want, body)
		}
		got := sameInPieces(t, in, 100)
		if got.err != nil || !got.complete || got.requests != len(want) {
			t.Fatalf("seed %d: %d requests of %d, complete %v, %v: %q", seed, got.requests, len(want), got.complete, got.err, in)
		}
		bodies, err := serve(t, got.out, false)
		if err != nil || !slices.Equal(bodies, want) {
			t.Fatalf("seed %d: a server sees %q, %v, want %q", seed, bodies, err, want)
		}
	}
}

func randomBody(rnd *rand.Rand) string {
	parts := []string{"", "\r\n", "\r\n0\r\n\r\n", "X-Forwarded-For: b\r\n\r\n", get + "\r\n", "\x00", strings.Repeat("x", 300)}
	var b strings.Builder
	for range rnd.IntN(4) {
		b.WriteString(parts[rnd.IntN(len(parts))])
	}
	return b.String()
}

func appendRequest(in []byte, rnd *rand.Rand, body string) []byte {
	some := func(s ...string) string { return s[rnd.IntN(len(s))] }
	in = append(in, some("", "\r\n")...)
	in = append(in, some("GET", "POST", "PROPFIND", "get")+" "+some("/", "/a?b", "*", "http://b/")+" HTTP/1.1\r\n"...)
	fields := []string{some("Host", "hOST") + ":" + some("", " ") + some("a", "a:80", "[::1]", "")}
	chunked := body != "" && rnd.IntN(2) == 0
	if chunked {
		fields = append(fields, "Transfer-Encoding: chunked")
	} else if body != "" || rnd.IntN(2) == 0 {
		fields = append(fields, fmt.Sprintf("Content-Length: %d ", len(body)))
	}
	for range rnd.IntN(5) {
		fields = append(fields, some("X-Forwarded-For: b", "x-forwarded-for:", "X_Forwarded-For: b", "Forwarded: for=b", "X-Forwarded-Proto: b",
			"X-Real-IP: b", "Upgrade: h2c", "Upgrade: x", "HTTP2-Settings: b", "Connection: keep-alive", "Cookie: b=\x80", "X:\t", "Connection: HTTP2-Settings"))
	}
	rnd.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	for _, f := range fields {
		in = append(in, f+some("", " ")+"\r\n"...)
	}
	in = append(in, "\r\n"...)
	if !chunked {
		return append(in, body...)
	}
	for len(body) > 0 {
		n := 1 + rnd.IntN(len(body))
		in = fmt.Appendf(in, some("%x", "%X", "00%x")+some("", ";x", ";x=\"y;\"")+"\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	return append(in, "0\r\n"+some("", "X: y\r\n", "X-Forwarded-For: b\r\n")+"\r\n"...)
}

// Whatever comes, there is no panic, it does not matter how it is cut, and what
// is handed on is understood by a server in Go as it was here.
func FuzzRequests(f *testing.F) {
	for _, s := range testenv.Smugglings(f, smugglings) {
		if len(s.Stream) < 1000 { // longer ones are slow, and grow
			f.Add(s.Stream)
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		sameAsServer(t, sameInPieces(t, in, 50))
	})
}

// The same for the body of a request that comes in chunks.
func FuzzChunks(f *testing.F) {
	f.Fuzz(func(t *testing.T, in []byte) {
		in = append([]byte(get+"Transfer-Encoding: chunked\r\n\r\n"), in...)
		sameAsServer(t, sameInPieces(t, in, 50))
	})
}

// sameAsServer checks that a server sees the requests that were handed on. It
// may refuse their targets, which were not looked at.
func sameAsServer(t *testing.T, got result) {
	t.Helper()
	if got.err != nil || !got.complete {
		return
	}
	bodies, err := serve(t, got.out, false)
	if bad := new(url.Error); errors.As(err, &bad) {
		return
	}
	if err != nil || len(bodies) != got.requests {
		t.Errorf("a server sees %d requests, %v, want %d: %q", len(bodies), err, got.requests, got.out)
	}
	if bytes.Count([]byte(got.out), []byte("\r\nX-Forwarded-For: 192.0.2.1\r\n")) < got.requests {
		t.Errorf("not all %d requests say who the client is: %q", got.requests, got.out)
	}
}
