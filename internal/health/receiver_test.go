package health

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pen/internal/check"
	"pen/internal/testenv"
)

// A hall is a Receiver with what it tells.
type hall struct {
	*Receiver
	logs book

	mu   sync.Mutex // guards all below
	skew time.Duration
	told []string
}

func newHall() *hall {
	h := &hall{}
	say := func(what string, a netip.Addr, x any) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.told = append(h.told, fmt.Sprint(a, what, x))
	}
	h.Receiver = NewReceiver(ReceiverOptions{
		Log:      slog.New(slog.NewTextHandler(&h.logs, nil)),
		OnChange: func(a netip.Addr, s check.State) { say(" is ", a, s) },
		OnReport: func(a netip.Addr, r check.Report) { say(" says ", a, r) },
		Now: func() time.Time {
			h.mu.Lock()
			defer h.mu.Unlock()
			return time.Now().Add(h.skew)
		},
	})
	return h
}

// news returns what was told since it was last called.
func (h *hall) news() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := strings.Join(h.told, ", ")
	h.told = nil
	return s
}

// serve runs the Receiver until the test ends.
func (h *hall) serve(t *testing.T, ln net.Listener) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.Serve(ctx, ln)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
}

// A doorless listener is for bubbles, which sockets are not part of: nobody
// comes in.
type doorless chan bool

func (d doorless) Accept() (net.Conn, error) { <-d; return nil, net.ErrClosed }
func (d doorless) Close() error              { close(d); return nil }
func (doorless) Addr() net.Addr              { return nil }

// A server from which no line comes is down until the next one.
func TestMissedReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall()
		one := netip.MustParseAddr("10.0.0.1")
		h.Set([]Reporter{{Addr: one, Every: 3 * time.Second, Subscribers: []Subscriber{{"web", "a"}}}})
		h.serve(t, make(doorless))
		say := func(line string) {
			h.Receiver.mu.Lock()
			p := h.reporters[one]
			h.Receiver.mu.Unlock()
			h.line(p, line)
		}
		step := func(what string, d time.Duration, line, told string) {
			t.Helper()
			time.Sleep(d) // in the bubble
			synctest.Wait()
			if line != "" {
				say(line)
			}
			want(t, what, h.news(), told)
		}
		step("nothing yet", 2*time.Second, "", "")
		step("the first report is missing", 2*time.Second, "", "10.0.0.1 is down")
		step("it comes", 2*time.Second, "up", "10.0.0.1 is up, 10.0.0.1 says up")
		step("again, the same", 2*time.Second, "up", "")
		step("again, without a word of it", 2*time.Second, "50%", "10.0.0.1 says 50%")
		step("in time", 2900*time.Millisecond, "", "")
		step("too late", time.Second, "", "10.0.0.1 is down")
		step("any line will do", time.Second, "50%", "10.0.0.1 is up")
		step("down by word", time.Second, "down", "10.0.0.1 is down, 10.0.0.1 says down")
		step("still down when no line comes", 5*time.Second, "", "")
		step("and when one comes that does not speak of it", time.Second, "75%", "10.0.0.1 says 75%")
		step("up by word", time.Second, "up", "10.0.0.1 is up, 10.0.0.1 says up")
		s := h.States()[0]
		if s.State != check.Up || s.Lines != 7 || s.Missed != 3 || s.Transitions != 6 || s.Report.State != check.Up {
			t.Errorf("%+v", s)
		}
		if log := h.logs.String(); !strings.Contains(log, `"server check: down" services=web servers=a address=10.0.0.1 check=report reason="missed report"`) {
			t.Error(log)
		}
		// This process was stopped: nobody could have heard a line.
		h.mu.Lock()
		h.skew += time.Minute
		h.mu.Unlock()
		step("after a pause", 2*time.Second, "", "")
		step("after a pause, really missing", 2*time.Second, "", "10.0.0.1 is down")
		h.Set([]Reporter{{Addr: netip.MustParseAddr("10.0.0.2"), Every: time.Second}})
		step("another in its place", 2*time.Second, "", "10.0.0.2 is down")
	})
}

func TestReceiver(t *testing.T) {
	testenv.CheckLeaks(t)
	h := newHall()
	h.Set([]Reporter{{Addr: netip.MustParseAddr("::ffff:127.0.0.1"), Every: testenv.Limit}})
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	h.serve(t, ln.Listener)

	told := func(want string) {
		t.Helper()
		var all []string
		testenv.Eventually(t, "told "+want, func() bool {
			if s := h.news(); s != "" {
				all = append(all, s)
			}
			return strings.Join(all, ", ") == want
		})
	}
	long := testenv.Dial(t, ln.Addr())
	testenv.Write(t, long, "\r\n\nup 10%\r\nup 10%\n")
	told("127.0.0.1 is up, 127.0.0.1 says up 10%")
	testenv.Write(t, long, "up 20%\n")
	told("127.0.0.1 says up 20%")
	short := testenv.Dial(t, ln.Addr())
	testenv.Write(t, short, "down #full\n")
	testenv.CloseWrite(t, short)
	told("127.0.0.1 is down, 127.0.0.1 says down #full")
	testenv.WantClosed(t, short)

	// What can't be understood ends the connection, however long it is.
	for _, line := range []string{
		"hello\n", "1001%\n", strings.Repeat("x", 5000), "POST /up HTTP/1.1\r\nup 30%\n", "up /30% HTTP/1.1\n", "Host: up 30%\n",
	} {
		c := testenv.Dial(t, ln.Addr())
		testenv.Write(t, c, line)
		testenv.WantClosed(t, c)
	}
	testenv.Eventually(t, "six bad lines are counted", func() bool { return h.States()[0].Bad == 6 })
	// A part of a line may be the beginning of another one.
	part := testenv.Dial(t, ln.Addr())
	testenv.Write(t, part, "up 1")
	testenv.CloseWrite(t, part)
	testenv.WantClosed(t, part)
	testenv.Eventually(t, "seven bad lines are counted", func() bool { return h.States()[0].Bad == 7 })

	// Of too many connections the oldest goes.
	var conns []testenv.Conn
	for range maxOfOneServer {
		conns = append(conns, testenv.Dial(t, ln.Addr()))
	}
	testenv.WantClosed(t, long)
	testenv.Write(t, conns[0], "up\n")
	told("127.0.0.1 is up, 127.0.0.1 says up")

	// A stranger is closed at once, and so is who is one from now on.
	h.Set(nil)
	for _, c := range conns {
		testenv.WantClosed(t, c)
	}
	testenv.WantClosed(t, testenv.Dial(t, ln.Addr()))
	if len(h.States()) > 0 {
		t.Errorf("states %+v", h.States())
	}
}

// Nobody holds a connection in silence for longer than the time agreed.
func TestReceiverEndsSilence(t *testing.T) {
	testenv.CheckLeaks(t)
	h := newHall()
	h.Set([]Reporter{{Addr: netip.MustParseAddr("127.0.0.1"), Every: 200 * time.Millisecond}})
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	h.serve(t, ln.Listener)
	testenv.WantClosed(t, testenv.Dial(t, ln.Addr()))
	part := testenv.Dial(t, ln.Addr())
	testenv.Write(t, part, "u")
	testenv.WantClosed(t, part)
	testenv.Eventually(t, "it is down", func() bool { return h.States()[0].State == check.Down })
	want(t, "told", h.news(), "127.0.0.1 is down")
}

// More connections than there is room for are closed, and there is room again
// when others have gone.
func TestReceiverIsFull(t *testing.T) {
	testenv.CheckLeaks(t)
	h := newHall()
	h.Set([]Reporter{{Addr: netip.MustParseAddr("127.0.0.1"), Every: testenv.Limit}})
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	h.serve(t, ln.Listener)
	room := func(n int) {
		h.Receiver.mu.Lock()
		defer h.Receiver.mu.Unlock()
		h.conns += n
	}
	room(maxReporters)
	testenv.WantClosed(t, testenv.Dial(t, ln.Addr()))
	room(-maxReporters)
	c := testenv.Dial(t, ln.Addr())
	testenv.Write(t, c, "up\n")
	testenv.Eventually(t, "a line is heard", func() bool { return h.States()[0].Lines == 1 })
}

// What an agent sends beyond ten lines a second waits with the agent, also
// empty lines, and over all of its connections.
func TestAgentsArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall()
		one := netip.MustParseAddr("10.0.0.1")
		h.Set([]Reporter{{Addr: one, Every: time.Minute}})
		ctx, cancel := context.WithCancel(t.Context())
		h.Receiver.mu.Lock()
		p := h.reporters[one]
		h.Receiver.mu.Unlock()
		var running sync.WaitGroup
		written := [2]int{}
		for i, line := range []string{"up\n", "\n"} {
			ours, theirs := net.Pipe()
			running.Go(func() { h.Receiver.serve(ctx, p, theirs) })
			running.Go(func() {
				for {
					if _, err := ours.Write([]byte(line)); err != nil {
						return
					}
					written[i]++
				}
			})
		}
		time.Sleep(10*time.Second + time.Millisecond)
		synctest.Wait()
		// A connection reads ahead by a line or two.
		if n := written[0] + written[1]; n < 11*linesPerSecond-4 || n > 11*linesPerSecond+4 {
			t.Errorf("%d lines were read in 10 s, want %d", n, 11*linesPerSecond)
		}
		begun := time.Now()
		cancel()
		running.Wait()
		if d := time.Since(begun); d != 0 {
			t.Errorf("the end took %v", d)
		}
		// A pause earns no more than the lines of a second.
		time.Sleep(time.Hour)
		for range linesPerSecond {
			if d := h.pace(p); d > 0 {
				t.Errorf("after a pause the next line has to wait %v", d)
			}
		}
		if d := h.pace(p); d != time.Second/linesPerSecond {
			t.Errorf("the line behind them has to wait %v", d)
		}
	})
}
