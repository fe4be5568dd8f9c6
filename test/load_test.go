package pen_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// A load makes HTTP requests, a new connection each, at a steady rate from
// many client addresses, and counts what became of those begun after mark.
type load struct {
	addr     string
	quit     chan struct{}
	wg       sync.WaitGroup
	counting atomic.Bool
	begin    time.Time
	ok       atomic.Int64
	bad      atomic.Int64

	mu    sync.Mutex // guards first
	first string     // the first failure
}

const loadWorkers = 50

// load RATE begins RATE connections a second to Pen, counted from now on.
// load -unmarked RATE counts only after the next killserver.
func startLoad(ts *testscript.TestScript, _ bool, args []string) {
	unmarked := args[0] == "-unmarked"
	if unmarked {
		args = args[1:]
	}
	rate, err := strconv.Atoi(args[0])
	ts.Check(err)
	worldOf(ts).load = newLoad(worldOf(ts).listen, rate, !unmarked)
}

// newLoad begins to make requests; marked is whether they count from now on.
func newLoad(addr string, rate int, marked bool) *load {
	l := &load{addr: addr, quit: make(chan struct{}), begin: time.Now()}
	l.counting.Store(marked)
	tickets := make(chan struct{}, 4*loadWorkers)
	l.wg.Go(func() { l.pace(rate, tickets) })
	for i := range loadWorkers {
		from := &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i))}
		l.wg.Go(func() {
			for range tickets {
				l.request(from)
			}
		})
	}
	return l
}

// made is how many requests were counted.
func (l *load) made() int64 { return l.ok.Load() + l.bad.Load() }

// verdict is how the load went, to be called after its end.
func (l *load) verdict() string {
	return fmt.Sprintf("%d of %d requests failed, %.0f a second; the first: %q",
		l.bad.Load(), l.made(), float64(l.made())/time.Since(l.begin).Seconds(), l.first)
}

// pace hands out tickets at the rate, as many as are due at each turn.
func (l *load) pace(rate int, tickets chan<- struct{}) {
	defer close(tickets)
	begin, given := time.Now(), 0
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-l.quit:
			return
		case <-tick.C:
		}
		for due := int(time.Since(begin).Seconds() * float64(rate)); given < due; given++ {
			select {
			case tickets <- struct{}{}:
			case <-l.quit:
				return
			}
		}
	}
}

func (l *load) request(from *net.TCPAddr) {
	counts := l.counting.Load() // before the connection begins
	err := request(l.addr, from)
	switch {
	case !counts:
	case err == nil:
		l.ok.Add(1)
	default:
		l.bad.Add(1)
		l.mu.Lock()
		if l.first == "" {
			l.first = err.Error()
		}
		l.mu.Unlock()
	}
}

func request(addr string, from *net.TCPAddr) error {
	_, err := fetch(addr, from)
	return err
}

// fetch makes a request with a connection of its own and returns what came after
// the head of the answer, which must be a good one.
func fetch(addr string, from *net.TCPAddr) (body string, err error) {
	d := net.Dialer{Timeout: patience, LocalAddr: from}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(string(answer), "HTTP/1.1 200") {
		return "", fmt.Errorf("answer %.40q", answer)
	}
	_, body, _ = strings.Cut(string(answer), "\r\n\r\n")
	return strings.TrimSpace(body), nil
}

func (l *load) mark() { l.counting.Store(true) }

func (l *load) stop() {
	close(l.quit)
	l.wg.Wait()
}

// endload MIN waits until at least MIN counted requests were made, ends the
// load, and fails if one of them did.
func endLoad(ts *testscript.TestScript, _ bool, args []string) {
	least, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	l := worldOf(ts).load
	waitFor(ts, args[0]+" requests", func() bool { return l.made() >= least })
	l.stop()
	worldOf(ts).load = nil
	if n := l.bad.Load(); n > 0 {
		ts.Fatalf("%d of %d requests failed; the first: %s; the log:\n%s", n, n+l.ok.Load(), l.first, readFile(worldOf(ts).log))
	}
	ts.Logf("%d requests, none failed, %.0f a second", l.ok.Load(), float64(l.ok.Load())/time.Since(l.begin).Seconds())
}

// A wrkLoad is a wrk that makes a new connection for each request, as fast as
// it can.
type wrkLoad struct {
	cmd  *exec.Cmd
	out  bytes.Buffer
	done chan error
}

// wrk SECONDS starts wrk against Pen.
func startWrk(ts *testscript.TestScript, _ bool, args []string) {
	w := &wrkLoad{done: make(chan error, 1)}
	w.cmd = exec.Command("wrk", "-t1", "-c50", "-d"+args[0], "-H", "Connection: close", "http://"+worldOf(ts).listen+"/")
	w.cmd.Stdout, w.cmd.Stderr = &w.out, &w.out
	ts.Check(w.cmd.Start())
	go func() { w.done <- w.cmd.Wait() }()
	worldOf(ts).wrk = w
}

// endwrk waits for wrk's end, prints what it says, and fails if it had errors.
func endWrk(ts *testscript.TestScript, _ bool, _ []string) {
	w := worldOf(ts).wrk
	err := <-w.done
	worldOf(ts).wrk = nil
	ts.Check(err)
	ts.Logf("%s", w.out.String())
	for _, bad := range []string{"Socket errors", "Non-2xx"} {
		if strings.Contains(w.out.String(), bad) {
			ts.Fatalf("wrk had errors; the log:\n%s", readFile(worldOf(ts).log))
		}
	}
	if !strings.Contains(w.out.String(), "Requests/sec") {
		ts.Fatalf("wrk did not finish")
	}
}
