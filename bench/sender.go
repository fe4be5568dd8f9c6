//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Bounds of the sender.
const (
	maxConns   = 100000
	maxPending = 1024 // unanswered requests of a connection
	maxRate    = 1e6  // requests a second
	lateness   = time.Millisecond
)

// step is the grid of the times when requests are due. A timer for each single
// request would cost the sender more than the request, and its core is the
// backend's too.
const step = 100 * time.Microsecond

// plan is when the sender sends. With a rate it is an open loop: request k is
// due k/rate seconds after the begin, rounded down to a step, whatever has been
// answered. Without one it keeps window requests under way until the length is over.
type plan struct {
	rate   float64
	window int
	length time.Duration
}

// due returns when request k is to be sent, as a distance from the begin.
// Without a rate that is now.
func (p plan) due(k int, now time.Duration) time.Duration {
	if p.rate == 0 {
		return now
	}
	return time.Duration(float64(k) / p.rate * float64(time.Second)).Truncate(step)
}

// over says whether request k is past the end.
func (p plan) over(k int, now time.Duration) bool { return p.due(k, now) >= p.length }

// outcome is what the sender has seen, times in microseconds. Latencies count
// from the time when a request was due, so a stall is seen by all the requests
// that it holds up; without a rate there are none.
type outcome struct {
	Requests, Seconds   float64
	Late                float64 // share of the requests sent more than a millisecond after they were due
	P50, P99, P999, Max float64
}

// link is one connection of the sender.
type link struct {
	fd      int
	got     int             // bytes of the answer that is coming in
	pending []time.Duration // when the requests without an answer were due, oldest first
}

// sender keeps many HTTP connections busy from one thread, with system calls
// of its own: Go's scheduler would add its own delays to those measured.
type sender struct {
	plan      plan
	links     []link
	epoll     int
	request   []byte
	size      int // bytes of an answer: all are alike
	begin     time.Time
	sent      int
	answered  int
	late      int
	latencies []time.Duration
	buf       [64 << 10]byte
}

// roleSend is a companion: it opens CONNS connections through ADDR, each
// proved by an answer, and once its input ends sends for LENGTH seconds, in
// turn on every connection, RATE requests a second or, with RATE 0, WINDOW at a
// time. It prints an outcome.
func roleSend(args []string) error {
	usage := errors.New("send: usage: send CONNS RATE WINDOW LENGTH ADDR")
	if len(args) != 5 {
		return usage
	}
	conns, err1 := strconv.Atoi(args[0])
	rate, err2 := strconv.ParseFloat(args[1], 64)
	window, err3 := strconv.Atoi(args[2])
	seconds, err4 := strconv.ParseFloat(args[3], 64)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return fmt.Errorf("%w: %w", usage, err)
	}
	if !(conns >= 1 && conns <= maxConns && rate >= 0 && rate <= maxRate && seconds > 0 && seconds <= 60 && window <= conns && (rate > 0 || window >= 1)) {
		return fmt.Errorf("send: %v: up to %d connections, %.0f requests/s, 60 seconds, and no more at a time than connections", args, maxConns, float64(maxRate))
	}
	// Nothing but the requests may take the sender's time, and timers shall
	// end when they are due instead of 50 us later.
	debug.SetGCPercent(-1)
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("send: timer slack: %w", err)
	}
	s, err := newSender(args[4], conns, plan{rate, window, time.Duration(seconds * float64(time.Second))})
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	defer s.close()
	if err := awaitStart(); err != nil {
		return err
	}
	o, err := s.run()
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return json.NewEncoder(os.Stdout).Encode(o)
}

// newSender opens conns connections to addr, an IPv4 address with port. The
// caller must close it.
func newSender(addr string, conns int, p plan) (*sender, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil || !to.Addr().Is4() {
		return nil, fmt.Errorf("address %q: must be IPv4:PORT", addr)
	}
	s := &sender{plan: p, request: []byte("GET / HTTP/1.1\r\nHost: bench\r\n\r\n")}
	s.latencies = make([]time.Duration, 0, int(p.rate*p.length.Seconds())+1)
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	for i := range conns {
		if err := s.open(to); err != nil {
			s.close()
			return nil, fmt.Errorf("connection %d of %d: %w", i+1, conns, err)
		}
	}
	return s, nil
}

// close ends every connection.
func (s *sender) close() {
	for _, l := range s.links {
		unix.Close(l.fd)
	}
	unix.Close(s.epoll)
}

// connect waits for a connection, also when a signal of Go's scheduler
// interrupts it: then it goes on, and the next call waits for it (signal(7),
// SO_SNDTIMEO).
func connect(fd int, to netip.AddrPort) error {
	sa := &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	for {
		switch err := unix.Connect(fd, sa); err {
		case unix.EINTR:
		case unix.EISCONN:
			return nil
		default:
			return err
		}
	}
}

// open opens one connection, waits for its first answer and adds it to the links.
func (s *sender) open(to netip.AddrPort) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	s.links = append(s.links, link{fd: fd})
	wait := unix.NsecToTimeval(int64(patience))
	err = errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
	if err != nil {
		return err
	}
	if err := connect(fd, to); err != nil {
		return err
	}
	if _, err := unix.Write(fd, s.request); err != nil {
		return err
	}
	if err := s.firstAnswer(fd); err != nil {
		return err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	return unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(len(s.links) - 1)})
}

// firstAnswer reads one answer and notes its size, which all must share.
func (s *sender) firstAnswer(fd int) error {
	for got, size := 0, 0; size == 0 || got < size; {
		n, err := unix.Read(fd, s.buf[got:])
		if err != nil {
			return err
		}
		got += n
		if size, err = answerSize(s.buf[:got]); err != nil {
			return err
		}
		if n == 0 || size != 0 && got > size {
			return fmt.Errorf("%d bytes came for an answer of %d", got, size)
		}
		if s.size == 0 {
			s.size = size
		}
		if size != 0 && size != s.size {
			return fmt.Errorf("an answer of %d bytes, the first had %d", size, s.size)
		}
	}
	return nil
}

// run sends and receives until every request that the plan had time for is
// answered.
func (s *sender) run() (outcome, error) {
	s.begin = time.Now()
	var events [64]unix.EpollEvent
	heard := time.Duration(0) // when the last answer came
	for {
		now := time.Since(s.begin)
		if err := s.sendDue(now); err != nil {
			return outcome{}, err
		}
		if s.answered == s.sent && s.plan.over(s.sent, now) {
			return s.outcome(now), nil
		}
		timeout := patience
		if s.plan.rate > 0 && !s.plan.over(s.sent, now) {
			timeout = max(0, s.plan.due(s.sent, now)-time.Since(s.begin))
		}
		n, err := epollWait(s.epoll, events[:], timeout)
		if err != nil {
			return outcome{}, err
		}
		now = time.Since(s.begin)
		if n > 0 || s.answered == s.sent {
			heard = now
		} else if now-heard > patience {
			return outcome{}, fmt.Errorf("%d of %d requests have no answer after %v", s.sent-s.answered, s.sent, patience)
		}
		for _, e := range events[:n] {
			if err := s.receive(&s.links[e.Fd]); err != nil {
				return outcome{}, fmt.Errorf("connection %d: %w", e.Fd, err)
			}
			if err := s.sendDue(time.Since(s.begin)); err != nil {
				return outcome{}, err
			}
		}
	}
}

// sendDue sends every request that is due at now.
func (s *sender) sendDue(now time.Duration) error {
	for !s.plan.over(s.sent, now) {
		due := s.plan.due(s.sent, now)
		if due > now || s.plan.rate == 0 && s.sent-s.answered >= s.plan.window {
			return nil
		}
		l := &s.links[s.sent%len(s.links)]
		if len(l.pending) >= maxPending {
			return fmt.Errorf("connection %d: %d requests have no answer", s.sent%len(s.links), maxPending)
		}
		if n, err := unix.Write(l.fd, s.request); err != nil || n < len(s.request) {
			return fmt.Errorf("connection %d: %d of %d bytes of a request sent: %v", s.sent%len(s.links), n, len(s.request), err)
		}
		l.pending = append(l.pending, due)
		s.sent++
		if s.plan.rate > 0 {
			if now = time.Since(s.begin); now-due > lateness {
				s.late++
			}
		}
	}
	return nil
}

// receive reads what a connection has and counts the answers in it.
func (s *sender) receive(l *link) error {
	n, err := unix.Read(l.fd, s.buf[:])
	if err == unix.EAGAIN || err == unix.EINTR {
		return nil
	}
	if err != nil {
		return err
	}
	if n == 0 {
		return errors.New("closed by the other side")
	}
	if l.got == 0 && n >= len(answerStart) && string(s.buf[:len(answerStart)]) != answerStart {
		return fmt.Errorf("an answer begins with %q", s.buf[:len(answerStart)])
	}
	now := time.Since(s.begin)
	for l.got += n; l.got >= s.size; l.got -= s.size {
		if len(l.pending) == 0 {
			return errors.New("an answer without a request")
		}
		if s.plan.rate > 0 {
			s.latencies = append(s.latencies, now-l.pending[0])
		}
		l.pending = l.pending[:copy(l.pending, l.pending[1:])]
		s.answered++
	}
	return nil
}

// outcome sums up. It sorts the latencies.
func (s *sender) outcome(now time.Duration) outcome {
	o := outcome{Requests: float64(s.answered), Seconds: now.Seconds()}
	if s.plan.rate == 0 || s.answered == 0 {
		return o
	}
	o.Late = float64(s.late) / float64(s.sent)
	q := quantiles(s.latencies, 0.5, 0.99, 0.999, 1)
	o.P50, o.P99, o.P999, o.Max = q[0], q[1], q[2], q[3]
	return o
}

// epollWait waits with a timeout finer than a millisecond, which epoll_wait(2)
// has not: epoll_pwait2(2), Linux 5.11.
func epollWait(fd int, events []unix.EpollEvent, timeout time.Duration) (int, error) {
	ts := unix.NsecToTimespec(int64(timeout))
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(fd), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, fmt.Errorf("epoll_pwait2: %w", errno)
}
