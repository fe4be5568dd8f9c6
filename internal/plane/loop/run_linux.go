package loop

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"pen/internal/dispatch"
	"pen/internal/plane/splice"
)

const (
	eventBatch = 256
	bufferSize = 64 << 10
	// maxBehind is by how many ticks timers may be late while there are events.
	maxBehind = 4
	// Tokens of descriptors that are not connections.
	tokenListener = -1
	tokenWake     = -2
)

// A loop is one goroutine with its connections.
type loop struct {
	p        *Plane
	d        *dispatch.Dispatcher
	ep       int
	wake     int // eventfd
	listener int
	begin    time.Time
	// waitsRaw: epoll_wait may be a raw system call. Go's scheduler can still end
	// it, with a signal.
	waitsRaw bool

	accepting acceptor
	live      atomic.Int32 // connections, and those on their way here

	rs     records
	taps   map[int32]*tap // of the connections with halves that are tapped
	gen    uint32
	wheel  wheel
	lent   []lentPipe
	tails  map[int32][]byte // bytes that a side did not take, by the token of their half
	buf    []byte
	events [eventBatch]unix.EpollEvent
	again  []int32 // tokens of halves that have more to do
	looked uint32  // the tick at which pipes were looked at last
	turn   []int32 // those whose turn it is
	due    []int32 // records whose timers went off

	mu     sync.Mutex // guards all below
	posted []note
	woken  bool
	closed bool
}

// A note is a request of another goroutine to a loop.
type note struct {
	kind  uint8
	why   dispatch.Ending // noteKill
	id    int32           // noteKill, noteWake
	gen   uint32          // noteKill, noteWake
	fd    int32           // noteAdopt
	start *dispatch.Start // noteAdopt
	c     *carrier
}

const (
	noteKill  uint8 = iota // end a connection
	noteWake               // a connection's wait is over
	noteAdopt              // take over a connection
	noteRoom               // there is room for another connection
	noteStop               // accept nothing more
	noteLook               // nothing but a look at whether this is the end
)

func newLoop(p *Plane) (*loop, error) {
	l := &loop{
		p: p, begin: time.Now(), taps: map[int32]*tap{}, tails: map[int32][]byte{}, buf: make([]byte, bufferSize),
		waitsRaw: !strings.Contains(os.Getenv("GODEBUG"), "asyncpreemptoff=1"),
		ep:       -1, wake: -1, listener: p.ln.FD(),
	}
	l.wheel.init(&l.rs)
	var err error
	if l.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err == nil {
		l.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	}
	if err == nil {
		err = unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, l.wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: tokenWake})
	}
	if err == nil {
		err = l.listen(true)
	}
	if err != nil {
		l.release()
		return nil, fmt.Errorf("event loop: %w", err)
	}
	return l, nil
}

// release closes the loop's own descriptors.
func (l *loop) release() {
	for _, fd := range []int{l.ep, l.wake} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// run serves until it was told to stop and its last connection has ended.
func (l *loop) run(ctx context.Context, d *dispatch.Dispatcher) {
	l.d = d
	for !l.isOver() {
		n := l.wait()
		l.wheel.clock = l.tick()
		// All events are noted before the first is acted on: where both sides of a
		// connection have one, both are served together.
		for _, e := range l.events[:n] {
			if e.Fd >= 0 {
				l.note(e.Fd, uint32(e.Pad), e.Events)
			}
		}
		for i, e := range l.events[:n] {
			switch e.Fd {
			case tokenListener:
				l.accept(ctx)
			case tokenWake:
				l.readNotes()
			default:
				l.act(e.Fd, uint32(e.Pad))
			}
			l.keepTime(i)
		}
		if n < eventBatch {
			l.timersUp()
		}
		l.accepting.resume(l)
		l.again, l.turn = l.turn[:0], l.again
		for i, token := range l.turn {
			l.goOn(token)
			l.keepTime(i)
		}
		l.rescuePipes()
	}
}

// keepTime fires overdue timers amid a long turn, of which n steps are done. A loop that
// is always busy, with full batches, has no other time for them.
func (l *loop) keepTime(n int) {
	const often = 16
	if n%often != often-1 {
		return
	}
	l.wheel.clock = l.tick()
	if l.wheel.clock-l.wheel.now >= maxBehind {
		l.timersUp()
	}
}

// timersUp fires the timers that are due. Where there are few events it is called after
// them: what happened in time should not count as late because this loop is late.
func (l *loop) timersUp() {
	l.due = l.wheel.advance(l.wheel.clock, l.due[:0])
	for _, id := range l.due {
		l.timeUp(id)
	}
}

func (l *loop) tick() uint32 { return uint32(time.Since(l.begin) / tick) }

// wait waits for events and returns their number. While there is other work it only
// polls.
//
// It first waits in a raw system call, of which Go's scheduler does not know. Otherwise
// the scheduler would take the processor away after 20 us, and the loop would have to get
// it back. Measured: a fifth less CPU with one connection, a twentieth less with 64. When
// Go needs the processor, to stop the world or after 10 ms, it sends a signal, which ends
// the wait (epoll_wait(2), EINTR). The next wait is an ordinary one.
func (l *loop) wait() int {
	if len(l.again) > 0 {
		return l.poll(0)
	}
	timeout := -1
	if l.wheel.armed > 0 {
		timeout = int(time.Duration(l.wheel.next()) * tick / time.Millisecond)
	}
	if pause := int(acceptPause / time.Millisecond); l.accepting.paused && (timeout < 0 || timeout > pause) {
		timeout = pause
	}
	if most := int(splice.StuckTime / time.Millisecond); len(l.lent) > 0 && (timeout < 0 || timeout > most) {
		timeout = most
	}
	if l.waitsRaw && l.p.processors.suffice() {
		most := -1 // without a time-out the kernel has no timer to set
		if timeout >= 0 {
			most = min(timeout, 1)
		}
		if n := l.poll(most); n > 0 || timeout >= 0 && timeout <= 1 {
			return n
		}
	}
	n, err := unix.EpollWait(l.ep, l.events[:], timeout)
	if err != nil {
		return l.poll(0)
	}
	return n
}

// poll waits for events in a raw system call, for some milliseconds at most.
//
// A process that was stopped leaves the wait with an error when it continues (signal(7),
// EINTR), even if events have come meanwhile. They must be seen before timers declare
// them late.
func (l *loop) poll(ms int) int {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.ep), uintptr(unsafe.Pointer(&l.events[0])), eventBatch, uintptr(ms), 0, 0)
	if errno != 0 && ms > 0 {
		return l.poll(0)
	}
	if errno != 0 {
		return 0
	}
	return int(n)
}

// post sends the loop a note. Any goroutine may call it.
func (l *loop) post(n note) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.posted = append(l.posted, n)
	if !l.woken {
		l.woken = true
		unix.Write(l.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

func (l *loop) readNotes() {
	var count [8]byte
	unix.Read(l.wake, count[:])
	l.mu.Lock()
	notes := l.posted
	l.posted, l.woken = nil, false
	l.mu.Unlock()
	for _, n := range notes {
		switch n.kind {
		case noteKill:
			l.kill(n.id, n.gen, n.why)
		case noteWake:
			l.awake(n.id, n.gen)
		case noteAdopt:
			l.adopt(n.fd, n.start, n.c)
		case noteRoom:
			l.accepting.room(l)
		case noteStop:
			l.stopAccepting()
		}
	}
}

// isOver reports whether nothing is left to do and nothing can come.
func (l *loop) isOver() bool {
	if !l.accepting.stopped || l.live.Load() > 0 || l.p.accepting.Load() > 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = len(l.posted) == 0
	return l.closed
}
