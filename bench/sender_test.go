//go:build linux

package main

import (
	"bufio"
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

const goodAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// answering serves connections; reply gets the number of requests before this
// one on its connection and returns the answer, empty for the end.
func answering(t *testing.T, reply func(earlier int) string) string {
	return serve(t, func(ctx context.Context, l net.Listener) error {
		var conns sync.WaitGroup
		defer conns.Wait()
		defer context.AfterFunc(ctx, func() { l.Close() })()
		for {
			conn, err := l.Accept()
			if err != nil {
				return nil
			}
			conns.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { conn.Close() })()
				requests := bufio.NewScanner(conn)
				for n := 0; requests.Scan(); {
					if requests.Text() != "" {
						continue // a line of the header
					}
					text := reply(n)
					if _, err := conn.Write([]byte(text)); text == "" || err != nil {
						return
					}
					n++
				}
			})
		}
	})
}

// gathering returns a reply that keeps all requests but the first of each
// connection waiting until some have come, and what tells how many ever waited
// at the same time.
func gathering(ctx context.Context, some int) (reply func(int) string, most func() int) {
	var mu sync.Mutex
	waiting, seen, peak := 0, 0, 0
	enough := make(chan struct{})
	reply = func(earlier int) string {
		if earlier == 0 {
			return goodAnswer
		}
		mu.Lock()
		seen++
		waiting++
		peak = max(peak, waiting)
		if seen == some {
			close(enough)
		}
		mu.Unlock()
		select {
		case <-enough:
		case <-ctx.Done():
		}
		mu.Lock()
		waiting--
		mu.Unlock()
		return goodAnswer
	}
	return reply, func() int {
		mu.Lock()
		defer mu.Unlock()
		return peak
	}
}

// send runs a plan on conns connections.
func send(t *testing.T, addr string, conns int, p plan) (outcome, error) {
	t.Helper()
	s, err := newSender(addr, conns, p)
	if err != nil {
		return outcome{}, err
	}
	defer s.close()
	return s.run()
}

// The first 50 of 100 requests get no answer until all 50 have come, each on a
// connection of its own: who waits for answers never gets there. Latencies
// count from the schedule, so half of the requests have seen the stall.
func TestSenderKeepsItsSchedule(t *testing.T) {
	reply, _ := gathering(t.Context(), 50)
	o, err := send(t, answering(t, reply), 50, plan{rate: 1000, length: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if o.Requests != 100 {
		t.Errorf("%v requests, want 100", o.Requests)
	}
	// Request 0 waited for request 49, which was not due before 49 ms.
	if o.Max < 49000 || o.P50 > o.P99 || o.P99 > o.P999 || o.P999 > o.Max {
		t.Errorf("latencies of a stall: %+v", o)
	}
}

// Without a rate there are always as many requests under way as the window has.
func TestSenderKeepsItsWindow(t *testing.T) {
	const window = 7
	reply, most := gathering(t.Context(), window)
	o, err := send(t, answering(t, reply), 20, plan{window: window, length: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if o.Requests < window || most() != window {
		t.Errorf("%v requests, %d at a time, want %d", o.Requests, most(), window)
	}
}

func TestSenderErrors(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers []string // to the first requests of a connection, then the end
		want    string
	}{
		{"end instead of an answer", nil, "0 bytes came"},
		{"refusal", []string{"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"}, "HTTP/1.1 503"},
		{"end later", []string{goodAnswer}, "closed by the other side"},
		{"refusal later", []string{goodAnswer, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"}, "HTTP/1.1 503"},
		{"two answers", []string{goodAnswer, goodAnswer + goodAnswer}, "without a request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := answering(t, func(earlier int) string {
				if earlier < len(c.answers) {
					return c.answers[earlier]
				}
				return ""
			})
			_, err := send(t, addr, 1, plan{rate: 1, length: 50 * time.Millisecond})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	for _, addr := range []string{"", "localhost:80", "[::1]:80", "127.0.0.1"} {
		if _, err := newSender(addr, 1, plan{window: 1}); err == nil {
			t.Errorf("address %q was accepted", addr)
		}
	}
	for _, args := range []string{"", "0 1 1 1 x", "1 -1 1 1 x", "1 0 0 1 x", "1 0 2 1 x", "1 NaN 1 1 x", "1 1 1 61 x", "x 1 1 1 x", "1 1e9 1 1 x"} {
		if err := roleSend(strings.Fields(args)); err == nil || strings.Contains(err.Error(), "IPv4") {
			t.Errorf("send %s: error %v", args, err)
		}
	}
}

func TestPlan(t *testing.T) {
	open := plan{rate: 3000, length: time.Second}
	for k, want := range map[int]time.Duration{0: 0, 1: 300 * time.Microsecond, 2: 600 * time.Microsecond, 3: time.Millisecond, 2999: 999600 * time.Microsecond} {
		if got := open.due(k, 77); got != want {
			t.Errorf("request %d is due after %v, want %v", k, got, want)
		}
	}
	ring := plan{window: 1, length: time.Second}
	for _, c := range []struct {
		p    plan
		k    int
		now  time.Duration
		want bool
	}{
		{open, 2999, time.Hour, false},
		{open, 3000, 0, true},
		{ring, 5, time.Second - 1, false},
		{ring, 5, time.Second, true},
	} {
		if got := c.p.over(c.k, c.now); got != c.want {
			t.Errorf("%+v: over(%d, %v) = %v", c.p, c.k, c.now, got)
		}
	}
}

func TestAnswerSize(t *testing.T) {
	for _, c := range []struct {
		in   string
		want int
		bad  bool
	}{
		{in: goodAnswer, want: len(goodAnswer)},
		{in: goodAnswer + "HTTP", want: len(goodAnswer)},
		{in: goodAnswer[:len(goodAnswer)-4], want: 0},
		{in: "HTTP/1.1 20", want: 0},
		{in: "", want: 0},
		{in: "HTTP/1.1 200 OK\r\ncontent-length:10\r\n\r\n", want: len("HTTP/1.1 200 OK\r\ncontent-length:10\r\n\r\n") + 10},
		{in: "HTTP/1.1 404 Not Found\r\n", bad: true},
		{in: "HTTP/1.1 200 OK\r\n\r\n", bad: true},
		{in: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", bad: true},
		{in: "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", bad: true},
		{in: "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxAnswer), bad: true},
	} {
		got, err := answerSize([]byte(c.in))
		if got != c.want || (err != nil) != c.bad {
			t.Errorf("answerSize(%.60q) = %d, %v", c.in, got, err)
		}
	}
}

// FuzzAnswerSize: nothing that is read may crash or pass the bound.
func FuzzAnswerSize(f *testing.F) {
	f.Add([]byte(goodAnswer))
	f.Fuzz(func(t *testing.T, in []byte) {
		if size, err := answerSize(in); size < 0 || size > maxAnswer || err != nil && size != 0 {
			t.Errorf("size %d, error %v", size, err)
		}
	})
}
