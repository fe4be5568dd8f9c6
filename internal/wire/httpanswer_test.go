package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// asking returns a Requests that has handed on these requests.
func asking(t testing.TB, requests string) *Requests {
	t.Helper()
	r := NewRequests(v4)
	if _, err := rewrite(r, requests); err != nil {
		t.Fatal(err)
	}
	return r
}

const (
	ok     = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	last   = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
	begun  = "HTTP/1.1 200 OK\r\n"
	asks   = get + "Connection: upgrade\r\nUpgrade: x\r\n\r\n"
	agrees = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
	hints  = "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n"
)

// Where answers end, and which can't be followed, wherever they are cut.
func TestAnswers(t *testing.T) {
	const head = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
	const get = get + "\r\n"
	type known struct {
		owed        int
		blind, rest bool // to the end of the connection
	}
	for _, tt := range []struct {
		name, requests, answers string
		want                    known
	}{
		{"nothing", get, "", known{1, false, false}},
		{"length", get, ok, known{0, false, false}},
		{"one of two", get + get, ok, known{1, false, false}},
		{"several", get + head + get, ok + begun + "Content-Length: 9\r\n\r\n" + ok, known{0, false, false}},
		{"not all of it", get, ok[:len(ok)-1], known{1, false, false}},
		{"no body", get + get + get, begun + "content-length:\t0 \r\n\r\nHTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\nHTTP/1.0 304\r\n\r\n", known{0, false, false}},
		{"205 has a length", get, "HTTP/1.1 205 Reset\r\nContent-Length: 1\r\n\r\n", known{1, false, false}},
		{"no reason", get, "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", known{0, false, false}},
		{"interim", get, hints + hints + "HTTP/1.1 100 \r\n\r\n" + ok, known{0, false, false}},
		{"only interim", get, hints, known{1, false, false}},
		{"chunks", get + get, begun + "Transfer-Encoding: chunked\r\n\r\n3\r\nab\n\r\n0A ;x=\"y\r\n0123456789\r\n0  \r\nContent-Length: 5\r\n\r\n" + ok, known{0, false, false}},
		{"chunks behind gzip", get, begun + "Transfer-Encoding: gzip, Chunked\r\n\r\n0\r\n\r\n", known{0, false, false}},
		{"chunks that go on", get, begun + "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n", known{1, false, false}},
		{"long lines", get, begun + "X: " + strings.Repeat("y", 100<<10) + "\r\n" + strings.Repeat("x", 100) + ": y\r\nContent-Length: 0\r\n\r\n", known{0, false, false}},
		{"a field that looks like one", get, begun + "Content_Length: 5\r\nX-Content-Length: 6\r\nContent-Length: 0\r\n\r\n", known{0, false, false}},

		{"to the end", get, begun + "\r\n" + ok, known{1, false, true}},
		{"another coding", get, begun + "Transfer-Encoding: chunked, gzip\r\n\r\n", known{1, false, true}},
		{"HTTP/1.0", get, "HTTP/1.0 200 OK\r\n\r\nHTTP/1.1 101 x\r\n", known{1, false, true}},

		{"unasked", "", ok, known{0, true, false}},
		{"one too many", get, ok + "H", known{0, true, false}},
		{"unasked switch", get, agrees, known{1, true, false}},
		{"two lengths", get, begun + "Content-Length: 0\r\nContent-Length: 0\r\n\r\n", known{1, true, false}},
		{"a list of lengths", get, begun + "Content-Length: 0, 0\r\n\r\n", known{1, true, false}},
		{"a long length", get, begun + "Content-Length: " + strings.Repeat(" ", 64) + "0\r\n\r\n", known{1, true, false}},
		{"length and chunks", get, begun + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", known{1, true, false}},
		{"chunks in HTTP/1.0", get, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", known{1, true, false}},
		{"two codings", get, begun + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", known{1, true, false}},
		{"LF in the head", get, begun + "X: y\nContent-Length: 0\r\n\r\n", known{1, true, false}},
		{"LF at its end", get, begun + "Content-Length: 0\r\n\n", known{1, true, false}},
		{"CR in a field", get, begun + "X: y\rContent-Length: 0\r\n\r\n", known{1, true, false}},
		{"folded", get, begun + "X: y\r\n Content-Length: 0\r\n\r\n", known{1, true, false}},
		{"no colon", get, begun + "X\r\n\r\n", known{1, true, false}},
		{"space before the colon", get, begun + "Content-Length : 0\r\n\r\n", known{1, true, false}},
		{"no HTTP", get, "220 ready\r\n", known{1, true, false}},
		{"HTTP/2", get, "HTTP/2.0 200 OK\r\n", known{1, true, false}},
		{"HTTP/1.2", get, "HTTP/1.2 200 OK\r\n", known{1, true, false}},
		{"no status", get, "HTTP/1.1 2x0 OK\r\n", known{1, true, false}},
		{"status with four digits", get, "HTTP/1.1 2000 OK\r\n", known{1, true, false}},
		{"status below 100", get, "HTTP/1.1 099 OK\r\n", known{1, true, false}},
		{"chunk without size", get, begun + "Transfer-Encoding: chunked\r\n\r\n;x\r\n", known{1, true, false}},
		{"chunk with a bad size", get, begun + "Transfer-Encoding: chunked\r\n\r\n1x\r\n", known{1, true, false}},
		{"chunk that is longer", get, begun + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", known{1, true, false}},
		{"what a lax server takes for HEAD", "head / HTTP/1.1\r\nHost: a\r\n\r\n", ok, known{1, true, false}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := []byte(tt.answers)
			for i := 0; i <= len(in); i += 1 + len(in)/300 {
				for _, beside := range []bool{false, true} {
					a := asking(t, tt.requests).Answers()
					for _, piece := range [][]byte{in[:i], in[i:]} {
						if n := a.Through(); beside && n > 0 {
							n = min(n, int64(len(piece)))
							a.Passed(n)
							piece = piece[n:]
						}
						a.Follow(piece)
					}
					if got := (known{a.owed, a.blind, a.state == inRest}); got != tt.want {
						t.Fatalf("cut at %d: %+v, want %+v", i, got, tt.want)
					}
				}
			}
			a := asking(t, tt.requests).Answers()
			for i := range in {
				a.Follow(in[i : i+1])
			}
			if got := (known{a.owed, a.blind, a.state == inRest}); got != tt.want {
				t.Errorf("byte by byte: %+v, want %+v", got, tt.want)
			}
		})
	}
}

// What passes beside Follow has to be what may.
func TestTooMuchOfAnAnswer(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("3 bytes of a body of 2 passed")
		}
	}()
	a := asking(t, get+"\r\n").Answers()
	a.Follow([]byte(ok[:len(ok)-2]))
	a.Passed(3)
}

// What comes behind a request that may end HTTP waits for the answer to that very
// request, and passes unseen only if that is 101.
func TestSwitching(t *testing.T) {
	const get = get + "\r\n"
	for _, tt := range []struct {
		name, requests, answers string
		more                    string // comes then
		out                     string // what becomes of it
		waits                   bool
	}{
		{"agreed", asks, agrees, "\x00GET", "\x00GET", false},
		{"agreed by LF", asks, "HTTP/1.1 101 Switching\n\n", "\x00", "\x00", false},
		{"agreed behind others", asks, hints + "HTTP/1.1 100 Continue\r\n\r\n" + agrees, "\x00", "\x00", false},
		{"not yet", asks, hints, "GET", "", true},
		{"in part", asks, agrees[:len("HTTP/1.1 101")], "GET", "", true},
		{"refused", asks, begun, get, get[:len(get)-2] + mark, false},
		{"refused at last", asks, hints + "HTTP/1.1 404 No\r\n", get, get[:len(get)-2] + mark, false},
		{"another version", asks, "HTTP/2.0 101 x\r\n", get, get[:len(get)-2] + mark, false},
		{"no status", asks, "HTTP/1.1 1O1 x\r\n", get, get[:len(get)-2] + mark, false},
		{"200 with 101 in it", asks, begun + "Content-Length: 100\r\n\r\n" + agrees, get, get[:len(get)-2] + mark, false},
		{"behind an answer", get + asks, ok + agrees, "\x00", "", true},
		{"the first of two answers", get + asks, begun, "", "", true},
		{"101 for another one", get + asks, agrees, "", get + "", false},
		{"with a body, agreed before it is there", strings.Replace(asks, "\r\n\r\n", "\r\nContent-Length: 3\r\n\r\na", 1), agrees, "bc\x00", "bc\x00", false},
		{"with a body, refused before it is there", strings.Replace(asks, "\r\n\r\n", "\r\nContent-Length: 3\r\n\r\na", 1), ok, "bc" + get, "bc" + get[:len(get)-2] + mark, false},
		{"the last one, agreed", strings.Replace(asks, "upgrade", "upgrade, close", 1), agrees, "\x00", "\x00", false},
		{"the last one, refused", strings.Replace(asks, "upgrade", "upgrade, close", 1), ok, get, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := NewRequests(v4)
			_, used, err := r.Rewrite(nil, []byte(tt.requests))
			if err != nil {
				t.Fatal(err)
			}
			rest := tt.requests[used:]
			a := r.Answers()
			for i := range tt.answers {
				a.Follow([]byte(tt.answers[i : i+1]))
			}
			out, _, err := r.Rewrite(nil, []byte(rest+tt.more))
			if tt.name == "behind an answer" { // the 101 came before it was asked for
				if !a.blind || strings.Contains(string(out), "Upgrade") || !errors.Is(err, errRequestLine) {
					t.Errorf("%q, %v, want no Upgrade, and what follows refused", out, err)
				}
				return
			}
			if tt.name == "101 for another one" {
				tt.out = get[:len(get)-2] + mark
			}
			if string(out) != tt.out || err != nil || r.Waiting() != tt.waits {
				t.Errorf("%q, %v, waiting %v, want %q, waiting %v", out, err, r.Waiting(), tt.out, tt.waits)
			}
		})
	}
}

// No more requests wait for answers than there is room to remember, and they go
// on when these come.
func TestOwed(t *testing.T) {
	r := NewRequests(v4)
	in := []byte(strings.Repeat("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 3*maxOwed))
	_, used, err := r.Rewrite(nil, in)
	if got := bytes.Count(in[:used], []byte("HEAD")); got != maxOwed || err != nil || !r.Waiting() {
		t.Fatalf("%d requests, %v, waiting %v, want %d", got, err, r.Waiting(), maxOwed)
	}
	if in = in[used:]; r.Hurry() {
		t.Error("more than can be remembered, for a client in a hurry")
	}
	for len(in) > 0 {
		r.Answers().Follow([]byte("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"))
		_, used, err := r.Rewrite(nil, in)
		if used == 0 || err != nil || r.Answers().owed != maxOwed {
			t.Fatalf("%d bytes, %v, %d owed", used, err, r.Answers().owed)
		}
		in = in[used:]
	}
}

// Whose answers are all there, so that the client may be told the rest.
func TestOver(t *testing.T) {
	const post = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	type known struct{ over, cut, answered, blind bool }
	for _, tt := range []struct {
		pieces  []string
		answers string
		want    known
	}{
		{[]string{"\n"}, "", known{over: true}},
		{[]string{get + "\r\n"}, ok, known{}},
		{[]string{get + "\r\n\n"}, "", known{}},
		{[]string{get + "\r\n\n"}, ok, known{over: true}},
		{[]string{get + "\r\n\n"}, hints, known{}},
		{[]string{get + "\r\n", get + "\r\n\n"}, ok, known{}},
		{[]string{get + "\r\n", get + "\r\n\n"}, ok + ok, known{over: true}},
		{[]string{get + "\r\n\n"}, begun + "\r\n", known{}},
		{[]string{get + "\r\n\n"}, "HTTP/1.1 200 OK\n\n", known{blind: true}},
		{[]string{get + "Connection: x, Close\r\n\r\n"}, "", known{}},
		{[]string{get + "Connection: x, Close\r\n\r\n" + get + "\r\n\n"}, ok, known{over: true}},
		{[]string{get + "Connection: keep-alive, close\r\n\r\n"}, ok, known{over: true}},
		{[]string{get + "Connection: closed\r\n\r\n"}, ok, known{}},
		{[]string{"GET / HTTP/1.0\r\n\r\n\n"}, ok, known{over: true}},
		{[]string{"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"}, ok, known{}},
		{[]string{"PUT / HTTP/1.0\r\nContent-Length: 2\r\n\r\na"}, ok, known{}},
		{[]string{get + "\r\n\n"}, last, known{over: true, answered: true}},
		{[]string{get + "\r\n\n"}, "HTTP/1.0 204 No Content\r\n\r\n", known{over: true, answered: true}},
		{[]string{get + "\r\n\n"}, "HTTP/1.0 204 No Content\r\nConnection: keep-alive\r\n\r\n", known{over: true}},
		{[]string{get + "\r\n", get + "\r\n\n"}, last, known{answered: true}},
		{[]string{get + "\r\n\n"}, last[:len(last)-2], known{}},
		{[]string{post + "x"}, "", known{over: true}},
		{[]string{get + "\r\n" + post + "x"}, ok, known{over: true}},
		{[]string{post, "x"}, "", known{over: true, cut: true}},
		{[]string{post, "x"}, hints, known{over: true, cut: true}},
		{[]string{post, "x"}, ok[:5], known{cut: true}},
		{[]string{post, "x"}, ok, known{over: true, cut: true, answered: true}},
	} {
		r := NewRequests(v4)
		for _, piece := range tt.pieces {
			r.Rewrite(nil, []byte(piece))
		}
		r.Answers().Follow([]byte(tt.answers))
		cut, answered := r.Cut()
		if got := (known{r.Over(), cut, answered, r.Blind()}); got != tt.want {
			t.Errorf("%q, answered %q: %+v, want %+v", tt.pieces, tt.answers, got, tt.want)
		}
	}
}

// A server that sends no more answers nothing: what waits for it is dropped.
func TestServerEnds(t *testing.T) {
	for _, requests := range []string{asks, get + "\r\n" + asks} {
		r := NewRequests(v4)
		_, used, _ := r.Rewrite(nil, []byte(requests))
		r.Answers().End()
		out, n, err := r.Rewrite(nil, []byte(requests[used:]+get+"\r\n"))
		if len(out) > 0 || n == 0 || err != nil || r.Waiting() || r.Over() {
			t.Errorf("%q passes, %v, waiting %v, over %v", out, err, r.Waiting(), r.Over())
		}
	}
}

// answersOf reads answers as a client in Go does. It returns the statuses of
// those that are complete, interim ones left out, until one is not or switches.
func answersOf(in []byte, methods []string) (statuses []int, err error) {
	b := bufio.NewReaderSize(bytes.NewReader(in), 1<<20)
	for len(methods) > 0 {
		a, err := http.ReadResponse(b, &http.Request{Method: methods[0]})
		if err != nil {
			return statuses, err
		}
		if a.StatusCode < 200 && a.StatusCode != 101 {
			continue
		}
		if a.StatusCode != 101 {
			if _, err := io.Copy(io.Discard, a.Body); err != nil {
				return statuses, err
			}
		}
		statuses, methods = append(statuses, a.StatusCode), methods[1:]
		if a.StatusCode == 101 {
			break
		}
	}
	return statuses, nil
}

// Whatever a server sends, what is followed ends where a client in Go sees it
// end, and cuts make no difference.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte(ok + begun + "Content-Length: 9\r\n\r\n" + ok))
	f.Add([]byte(begun + "Transfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nX: y\r\n\r\n" + hints + "HTTP/1.1 304 \r\n\r\n" + ok))
	f.Fuzz(func(t *testing.T, in []byte) {
		const requests = get + "\r\n" + "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + get + "\r\n"
		whole, pieces := asking(t, requests).Answers(), asking(t, requests).Answers()
		whole.Follow(in)
		for i := range in {
			pieces.Follow(in[i : i+1])
		}
		if whole.owed != pieces.owed || whole.blind != pieces.blind || whole.state != pieces.state {
			t.Fatalf("at once %d %v %v, in pieces %d %v %v", whole.owed, whole.blind, whole.state, pieces.owed, pieces.blind, pieces.state)
		}
		statuses, err := answersOf(in, []string{"GET", "HEAD", "GET"})
		if err == nil && !whole.blind && whole.state != inRest && 3-whole.owed != len(statuses) {
			t.Errorf("%d answers, a client sees %d: %q", 3-whole.owed, len(statuses), in)
		}
	})
}

// Whatever a client and a server say, in whatever order, each request that
// reaches the server says who the client is, and nothing passes unseen unless the
// answer to a request for an upgrade was 101.
func FuzzExchange(f *testing.F) {
	next := get + "X-Forwarded-For: b\r\n\r\n"
	for _, s := range []struct{ requests, answers string }{
		{"CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n" + next, ok + ok},
		{asks + next, agrees},
		{asks + next, hints + ok + agrees},
		{next + asks + next, ok + hints + agrees},
		{next + asks + next, begun + "Content-Length: 999\r\n\r\n" + agrees + agrees},
		{next + asks + next, "HTTP/1.1 204 No\r\n\r\n" + agrees},
		{"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + asks + next, begun + "Transfer-Encoding: chunked\r\n\r\n" + agrees},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n" + asks + next, "HTTP/1.1 100 Continue\r\n\r\n" + ok + agrees},
	} {
		f.Add([]byte(s.requests), []byte(s.answers), []byte{0, 255, 9, 128, 3})
		f.Add([]byte(s.requests), []byte(s.answers), []byte{255, 128, 255, 255})
	}
	f.Fuzz(checkExchange)
}

// checkExchange has pieces of requests and of answers come by turns: each byte of
// order is how long the next piece is, of answers where its high bit is set.
func checkExchange(t *testing.T, requests, answers, order []byte) {
	r := NewRequests(v4)
	a := r.Answers()
	var out []byte
	var err error
	seen, shown, sent := 0, 0, 0 // of requests: taken, and shown; of answers
	tunnel := -1                 // where in out it begins
	step := func() bool {
		before, n := len(out), 0
		out, n, err = r.Rewrite(out, requests[seen:shown])
		if seen += n; n > 0 && tunnel < 0 && r.Through() < 0 {
			t.Fatalf("%q becomes a tunnel without an answer", out[before:])
		}
		return n > 0 && err == nil
	}
	for i := 0; i < 2*len(order)+2 && err == nil; i++ {
		n, answer := 1<<20, i >= 2*len(order)+1
		if i < len(order) {
			n, answer = int(order[i]&127), order[i]&128 != 0
		}
		if answer {
			n = min(n, len(answers)-sent)
			a.Follow(answers[sent : sent+n])
			sent += n
			if tunnel < 0 && r.switches == agreed {
				tunnel = len(out)
			}
		} else {
			shown += min(n, len(requests)-shown)
		}
		for step() {
		}
		if r.Waiting() && seen < shown && len(out) > 0 {
			if more, n, _ := r.Rewrite(nil, requests[seen:shown]); len(more) > 0 || n > 0 {
				t.Fatalf("%q passes while requests wait", more)
			}
		}
	}
	handed := out
	if tunnel >= 0 {
		handed = out[:tunnel] // but for the rest of its body
	}
	b := bufio.NewReaderSize(bytes.NewReader(handed), 1<<20)
	var methods []string
	asked := false
	for {
		req, err := http.ReadRequest(b)
		if err != nil {
			break // perhaps its target
		}
		if f := req.Header["X-Forwarded-For"]; fmt.Sprint(f) != "[192.0.2.1]" {
			t.Fatalf("X-Forwarded-For: %q in %q", f, out)
		}
		methods = append(methods, req.Method)
		asked = req.Header.Get("Upgrade") != ""
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			break
		}
	}
	if tunnel < 0 {
		return
	}
	if len(methods) == 0 || !asked {
		if b.Buffered() == 0 {
			t.Fatalf("a tunnel behind %q", handed)
		}
		return // a request that Go does not understand
	}
	statuses, err := answersOf(answers[:sent], methods)
	if err == nil && (len(statuses) != len(methods) || statuses[len(statuses)-1] != 101) {
		t.Fatalf("a tunnel behind %d requests and the answers %v: %q", len(methods), statuses, answers[:sent])
	}
}
