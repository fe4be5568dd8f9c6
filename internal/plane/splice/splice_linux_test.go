package splice

import (
	"bytes"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"pen/internal/testenv"
)

// A counter lends as many descriptors as anybody wants, unless it has few.
type counter struct {
	lent int
	few  bool
}

func (c *counter) BorrowSpare(n int) (ok, ample bool) { c.lent += n; return true, !c.few }
func (c *counter) GiveBack(n int)                     { c.lent -= n }

func TestPipes(t *testing.T) {
	testenv.CheckLeaks(t)
	testenv.NeedDescriptors(t, 2*maxPipes+100)
	lender := &counter{}
	ps, other := Join(lender), Join(lender)
	var all []*Pipe
	for p := ps.Get(); p != nil; p = ps.Get() {
		all = append(all, p)
	}
	if len(all) != maxPipes || lender.lent != 2*maxPipes {
		t.Fatalf("%d pipes of %d descriptors, want %d", len(all), lender.lent, maxPipes)
	}
	unix.Write(int(all[0].W), []byte("x"))
	ps.Put(all[0], true)
	for _, p := range all[1:] {
		ps.Put(p, false)
	}
	if open, lent := Count(); open != keptPipes || lent != 0 {
		t.Errorf("%d pipes open, %d lent, want %d kept", open, lent, keptPipes)
	}
	p := other.Get()
	if n, errno := ReadPipe(p.R, make([]byte, 1)); errno != syscall.EAGAIN {
		t.Errorf("read of a spare pipe: %d, %v, want it empty", n, errno)
	}
	other.Put(p, false)
	other.Leave()
	if open, _ := Count(); open != keptPipes {
		t.Errorf("%d pipes open while there is a plane, want %d", open, keptPipes)
	}
	ps.Leave()
	if open, _ := Count(); open != 0 || lender.lent != 0 {
		t.Errorf("%d pipes open, %d descriptors lent at the end", open, lender.lent)
	}
}

// Where descriptors are few none is kept.
func TestScarcePipes(t *testing.T) {
	testenv.CheckLeaks(t)
	lender := &counter{few: true}
	ps := Join(lender)
	defer ps.Leave()
	ps.Put(ps.Get(), false)
	if open, _ := Count(); open != 0 || lender.lent != 0 {
		t.Errorf("%d pipes open, %d descriptors lent", open, lender.lent)
	}
}

func TestTakeOut(t *testing.T) {
	testenv.CheckLeaks(t)
	ps := Join(&counter{})
	defer ps.Leave()
	from, to := ps.Get(), ps.Get()
	defer ps.Put(from, false)
	defer ps.Put(to, false)
	said := []byte("what a side did not take")
	unix.Write(int(from.W), said)
	if err := from.Tee(to, len(said)); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*Pipe{from, to} {
		if got, err := p.TakeOut(len(said)); err != nil || !bytes.Equal(got, said) {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := p.TakeOut(1); err != syscall.EAGAIN {
			t.Errorf("an empty pipe: %v", err)
		}
	}
}

// Much that is held makes splices as short as the destination has room.
func TestLimit(t *testing.T) {
	ps := Join(&counter{})
	defer ps.Leave()
	room := func() int { return 100_000 }
	if n := ps.Limit(room); n != pipeSize {
		t.Errorf("with nothing held: %d", n)
	}
	ps.Hold(manyHeld + 1)
	defer ps.Hold(-manyHeld - 1)
	if n := ps.Limit(room); n != 100_000 {
		t.Errorf("with much held: %d", n)
	}
	if n := ps.Limit(func() int { return 0 }); n != SmallSplice {
		t.Errorf("with much held and no room: %d", n)
	}
}

func TestSockets(t *testing.T) {
	testenv.CheckLeaks(t)
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	a := testenv.Dial(t, ln.Addr())
	b := ln.Next(t)
	raw, err := b.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	on := func(f func(fd int32)) { raw.Control(func(fd uintptr) { f(int32(fd)) }) }
	buf := make([]byte, 10)
	testenv.Write(t, a, "abcdef")
	testenv.Eventually(t, "the bytes arrive", func() (ok bool) {
		on(func(fd int32) { n, errno := Peek(fd, buf); ok = errno == 0 && n == 6 })
		return ok
	})
	on(func(fd int32) {
		Discard(fd, buf[:2])
		if n, errno := Read(fd, buf); errno != 0 || string(buf[:n]) != "cdef" {
			t.Errorf("after 2 bytes: %q, %v", buf[:n], errno)
		}
		if _, errno := Read(fd, buf); errno != syscall.EAGAIN {
			t.Errorf("without bytes: %v", errno)
		}
		if _, errno := Write(fd, buf); errno != 0 {
			t.Error(errno)
		}
		if WasReset(fd) {
			t.Error("it was not reset")
		}
	})
	testenv.Reset(t, a)
	testenv.Eventually(t, "the reset is known", func() (reset bool) {
		on(func(fd int32) { reset = WasReset(fd) && Unsent(fd) == 0 })
		return reset
	})
}
