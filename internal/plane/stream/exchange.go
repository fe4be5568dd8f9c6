package stream

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"pen/internal/edge"
	"pen/internal/wire"
)

// An exchange is the HTTP state of a link. One half moves requests, the other one their
// answers.
type exchange struct {
	link *link

	mu         sync.Mutex // guards all below, and is never held while one waits
	requests   *wire.Requests
	answers    *wire.Answers
	refusal    *wire.Refusal // why no more requests are taken; sent after the answers that are owed
	delivering bool          // bytes of answers are on their way to the client
	waiting    bool          // the client's half waits for answers
	starved    bool          // the server was told that the rest of a request will not come
	over       bool          // the client has all that it will get
}

func newExchange(l *link, f wire.Forwarding) *exchange {
	x := &exchange{link: l, requests: wire.NewRequests(f)}
	x.answers = x.requests.Answers()
	return x
}

// rewrite is [wire.Requests.Rewrite]. It keeps a refusal at once: all answers that are
// owed may have passed already. waits reports whether the remaining bytes must wait for
// answers, which may have come since.
func (x *exchange) rewrite(dst, src []byte) (out []byte, used int, waits bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	out, used, err = x.requests.Rewrite(dst, src)
	errors.As(err, &x.refusal)
	return out, used, x.requests.Waiting(), err
}

// passed counts bytes of a request's body that have passed.
func (x *exchange) passed(n int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.requests.Passed(n)
}

// through returns how many of the client's bytes may pass unseen; see
// [wire.Requests.Through].
func (x *exchange) through() int64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.requests.Through()
}

// refuse takes no more requests. It reports whether the client can be told why: that is
// so if it is known which answers are owed.
func (x *exchange) refuse(why *wire.Refusal) bool {
	x.mu.Lock()
	x.requests.Refuse(why)
	x.refusal = why
	blind := x.requests.Blind()
	x.mu.Unlock()
	x.check()
	return !blind
}

// follow looks at bytes of the server before they are delivered. It returns how many of
// the next ones need not be looked at, as [wire.Answers.Through] does, and whether the
// client has all that it will get: then these bytes are dropped.
func (x *exchange) follow(b []byte) (through int64, over bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		return 0, true
	}
	x.delivering = true
	x.answers.Follow(b)
	return x.answers.Through(), false
}

// skip is follow for n bytes that need not be looked at.
func (x *exchange) skip(n int64) (through int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.delivering = true
	x.answers.Passed(n)
	return x.answers.Through()
}

// delivered is called when the client has what was followed and skipped.
func (x *exchange) delivered() {
	x.mu.Lock()
	x.delivering = false
	x.mu.Unlock()
	x.check()
}

// end is called when the server sends no more.
func (x *exchange) end() {
	x.mu.Lock()
	x.answers.End()
	x.mu.Unlock()
	x.check()
}

// isOver reports whether the client has all that it will get.
func (x *exchange) isOver() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.over
}

// check wakes the client's half when it need not wait any more, and finishes the
// exchange when it is over. It reports whether requests must wait.
func (x *exchange) check() (waits bool) {
	x.mu.Lock()
	waits = x.requests.Waiting()
	if x.waiting && !waits {
		x.waiting = false
		x.link.wake()
	}
	starved := !x.starved && x.requests.Starved()
	x.starved = x.starved || starved
	over := !x.over && !x.delivering && x.requests.Over()
	x.over = x.over || over
	refusal := x.refusal
	cut, answered := x.requests.Cut()
	x.mu.Unlock()
	if starved {
		x.link.up.dst.CloseWrite()
	}
	if over {
		if answered {
			refusal = nil
		}
		x.finish(refusal, cut)
	}
	return waits
}

// finish ends the stream to the client, perhaps with the reason why its request was
// refused, and then stops the server's half. A server that was asked to close has time to
// do so first: the side that closes first must remember the connection for a while
// (TIME_WAIT). A server that has only a part of a request gets a reset, lest it take the
// part for the whole.
func (x *exchange) finish(refusal *wire.Refusal, cut bool) {
	l := x.link
	until := time.Now().Add(l.plane.timeouts.linger)
	if refusal != nil {
		n, _ := io.WriteString(l.up.src, refusal.Answer())
		l.down.written.Add(uint64(n))
		until = time.Unix(1, 0)
	}
	if tcp, ok := l.server.(*net.TCPConn); ok && cut {
		tcp.SetLinger(0)
	}
	l.up.src.CloseWrite()
	l.server.SetReadDeadline(until)
}

// errGone: the client sends no more while it waits to leave HTTP.
var errGone = fmt.Errorf("the client ended while its Upgrade waited for the answer: %w", io.EOF)

// await waits until answers let requests continue, and notices meanwhile when the client
// has gone. A client that sends no more still gets its answers, but can't use an Upgrade:
// the server has some time to answer that.
func (x *exchange) await() error {
	for x.wait(0) {
		ended, err := x.link.untilEnd()
		if err = errors.Join(err, x.awake()); err != nil {
			return err
		}
		if !ended {
			continue
		}
		if goOn, atMost := x.hurry(); goOn {
			return nil
		} else if x.wait(atMost) {
			err = watch(x.link.client)
		}
		if err == nil && x.wait(0) {
			err = errGone
		}
		return errors.Join(err, x.awake())
	}
	return nil
}

// wait starts a wait, if requests must wait, and reports whether they must. The wait ends
// after some time (0: never), or when check finds that they need not wait any more.
func (x *exchange) wait(atMost time.Duration) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.waiting = x.requests.Waiting()
	if x.waiting && atMost > 0 {
		x.link.client.SetReadDeadline(time.Now().Add(atMost))
	}
	return x.waiting
}

// awake ends a wait. It returns an error where the link must stop, since the deadline
// that says so is replaced here.
func (x *exchange) awake() error {
	x.mu.Lock()
	x.waiting = false
	edge.Within(x.link.client, 0)
	x.mu.Unlock()
	return x.link.stopping()
}

// hurry shortens the wait, since the client sends no more. It reports whether any request
// can continue, and how long the others may wait (0: for ever, as other requests do).
func (x *exchange) hurry() (goOn bool, atMost time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if goOn = x.requests.Hurry(); goOn || !x.requests.Switching() {
		return goOn, 0
	}
	return false, x.link.plane.timeouts.linger
}

// untilEnd waits until the client sends no more, and reads nothing of what it has sent
// before. A read deadline ends the wait as well: then ended is false, without an error.
func (l *link) untilEnd() (ended bool, err error) {
	raw, err := l.client.SyscallConn()
	if err != nil {
		return false, err
	}
	var b [1]byte
	rerr := raw.Read(func(fd uintptr) bool {
		n, _, perr := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		if perr == syscall.EAGAIN || perr == syscall.EINTR {
			return false
		}
		err = perr
		ended = err == nil && (n == 0 || sendsNoMore(int(fd)))
		return ended || err != nil
	})
	if errors.Is(rerr, os.ErrDeadlineExceeded) {
		return false, nil
	}
	if err = errors.Join(rerr, err); err == nil && wasReset(l.client) {
		err = syscall.ECONNRESET
	}
	return ended, err
}

// stopping returns an error if the link must stop.
func (l *link) stopping() error {
	select {
	case <-l.quit:
		return os.ErrDeadlineExceeded
	default:
		return nil
	}
}
