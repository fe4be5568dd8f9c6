package stream

import (
	"io"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/plane/splice"
	"pen/internal/testenv"
)

// A rig is a link that is relayed, with what is connected to its two sides.
type rig struct {
	client, server testenv.Conn
	link           *link
	lender         *counter
	over           chan struct{} // closed when the relay has ended
}

// newRig makes a rig. Its relay ends with the test at the latest.
func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{over: make(chan struct{}), lender: new(counter)}
	pipes := splice.Join(r.lender)
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	r.client = testenv.Dial(t, ln.Addr())
	r.link = newLink(&Plane{pipes: pipes}, ln.Next(t))
	r.link.service.Ends = new(edge.Ends)
	toServer := testenv.Dial(t, ln.Addr())
	r.server = ln.Next(t)
	r.link.connected(side{conn: toServer})
	go func() {
		defer close(r.over)
		r.link.relay(dispatch.Target{})
	}()
	t.Cleanup(func() {
		r.link.reset()
		<-r.over
		pipes.Leave()
	})
	return r
}

func (r *rig) roundTrip(t testing.TB, msg, buf []byte) {
	for _, way := range [][2]testenv.Conn{{r.client, r.server}, {r.server, r.client}} {
		if _, err := way[0].Write(msg); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(way[1], buf); err != nil {
			t.Fatal(err)
		}
	}
}

// holdUp makes the client send n bytes and the server read so few of them that
// the rest is held up in a pipe. It returns how many are left to be read.
func (r *rig) holdUp(t testing.TB, n int) (left int, written chan error) {
	t.Helper()
	written = make(chan error, 1)
	go func() {
		_, err := r.client.Write(make([]byte, n))
		written <- err
	}()
	buf := make([]byte, 4<<20) // all that sockets hold: room for many reads in a row
	before := uint64(0)
	testenv.Eventually(t, "bytes are held up in a pipe", func() bool {
		now := r.link.up.written.Load()
		if now != before { // they still pass
			before = now
			return false
		}
		if _, lent := splice.Count(); lent == 1 && r.link.up.read.Load() > now {
			return true
		}
		// They may be held up in a buffer, which comes before the pipe.
		m, err := io.ReadFull(r.server, buf)
		n -= m
		if err != nil {
			t.Fatalf("%v, with %d bytes left", err, n)
		}
		return false
	})
	return n, written
}

func TestSmallMessagesAreCopied(t *testing.T) {
	testenv.CheckLeaks(t)
	r := newRig(t)
	msg, buf := make([]byte, smallSize), make([]byte, smallSize)
	for range 100 {
		r.roundTrip(t, msg, buf)
	}
	if open, _ := splice.Count(); open != 0 {
		t.Errorf("%d pipes were opened for small messages", open)
	}
}

// Which mover is used is asserted while the bulk is held up: a pipe is lent as
// long as there are bytes in it.
func TestBulkIsSpliced(t *testing.T) {
	testenv.CheckLeaks(t)
	r := newRig(t)
	left, written := r.holdUp(t, 256<<20)
	if n, err := io.ReadFull(r.server, make([]byte, left)); err != nil {
		t.Fatalf("read %d bytes of %d: %v", n, left, err)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "the pipe is given back", func() bool {
		open, lent := splice.Count()
		return open == 1 && lent == 0
	})
}

func TestBulkIsCopiedWithoutPipes(t *testing.T) {
	testenv.CheckLeaks(t)
	r := newRig(t)
	r.lender.refuses.Store(true)
	const size = 8 << 20
	written := make(chan error, 1)
	go func() {
		_, err := r.client.Write(make([]byte, size))
		r.client.CloseWrite()
		written <- err
	}()
	testenv.WantEnd(t, r.server, size)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if open, _ := splice.Count(); open != 0 {
		t.Errorf("%d pipes open, want none", open)
	}
}

// A pipe with bytes for a server that is gone must not serve anybody else.
func TestDirtyPipeIsClosed(t *testing.T) {
	testenv.CheckLeaks(t)
	r := newRig(t)
	_, written := r.holdUp(t, 256<<20)
	testenv.Reset(t, r.server)
	<-r.over
	if err := <-written; err == nil {
		t.Error("the client could send everything")
	}
	if _, lent := splice.Count(); lent != 0 {
		t.Errorf("%d pipes lent after the end", lent)
	}
	p := r.link.plane.pipes.Get()
	defer r.link.plane.pipes.Put(p, false)
	if n, errno := splice.ReadPipe(p.R, make([]byte, 1)); errno != syscall.EAGAIN {
		t.Errorf("read of the next pipe: %d, %v, want it empty", n, errno)
	}
}

// A counter lends as many descriptors as anybody wants, or none.
type counter struct {
	lent    atomic.Int64
	refuses atomic.Bool
}

func (c *counter) BorrowSpare(n int) (ok, ample bool) {
	if c.refuses.Load() {
		return false, false
	}
	c.lent.Add(int64(n))
	return true, true
}
func (c *counter) GiveBack(n int) { c.lent.Add(int64(-n)) }

// Bulk that a side does not take gives its pipe back, and arrives nevertheless.
func TestStuckPipeIsGivenBack(t *testing.T) {
	testenv.CheckLeaks(t)
	r := newRig(t)
	left, written := r.holdUp(t, 256<<20)
	buf := make([]byte, 1<<20)
	testenv.Eventually(t, "the pipe is given back, and what was in it is counted", func() bool {
		_, lent := splice.Count()
		held := splice.Held()
		if lent == 0 && held == 0 { // it did pass, and more is held up in the kernel: go on
			m, err := io.ReadFull(r.server, buf)
			if left -= m; err != nil {
				t.Fatal(err)
			}
		}
		return lent == 0 && held > 0
	})
	if n, err := io.ReadFull(r.server, make([]byte, left)); err != nil {
		t.Fatalf("read %d bytes of %d: %v", n, left, err)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "nothing is held up", func() bool { return splice.Held() == 0 })
}

func TestSmallMessagesDoNotAllocate(t *testing.T) {
	r := newRig(t)
	msg, buf := make([]byte, 100), make([]byte, 100)
	// The average is rounded down; the race detector empties pools at random.
	if n := testing.AllocsPerRun(1000, func() { r.roundTrip(t, msg, buf) }); n > 0 {
		t.Errorf("%v allocations for a message each way, want 0", n)
	}
}

func TestWatch(t *testing.T) {
	testenv.CheckLeaks(t)
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	for _, tt := range []struct {
		name string
		end  func(a, b testenv.Conn)
		want bool // an error
	}{
		{"reset", func(a, _ testenv.Conn) { testenv.Reset(t, a) }, true},
		{"deadline", func(_, b testenv.Conn) { b.SetReadDeadline(time.Unix(1, 0)) }, false},
		{"closed", func(_, b testenv.Conn) { b.Close() }, true},
	} {
		a := testenv.Dial(t, ln.Addr())
		b := ln.Next(t)
		testenv.CloseWrite(t, a)
		testenv.WantEnd(t, b, 0)
		result := make(chan error, 1)
		go func() { result <- watch(b) }()
		tt.end(a, b)
		if err := <-result; (err != nil) != tt.want {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func BenchmarkSmallMessages(b *testing.B) {
	r := newRig(b)
	msg, buf := make([]byte, 100), make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		r.roundTrip(b, msg, buf)
	}
}
