package stream

import (
	"cmp"
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/wire"
)

// lingerTime is how long a client has to see that its request was refused, and a server
// to close after its last answer.
const lingerTime = 2 * time.Second

// A forwarder moves a client's HTTP requests, each with what it tells about the client.
type forwarder struct {
	*copier
	x       *exchange
	begun   []byte    // a part of a head or a line, of which the rest is to come
	due     time.Time // until when, if there is one
	refused bool      // nothing more is handed on
}

// forward moves a client's HTTP requests, and their bodies as they are: those that are
// long by splicing.
func (c *copier) forward() (readErr, writeErr error) {
	f := &forwarder{copier: c, x: c.link.http}
	for {
		readErr, writeErr = f.turn()
		var refusal *wire.Refusal
		switch {
		case errors.As(readErr, &refusal):
			if !f.refuse(refusal) {
				return nil, nil
			}
		case readErr != nil || writeErr != nil:
			return ignoreEOF(readErr), writeErr
		}
	}
}

// turn reads once and hands that on. That a request is refused is an error of reading,
// and so is the end of the stream.
func (f *forwarder) turn() (readErr, writeErr error) {
	b, err := f.read()
	if err != nil {
		return err, nil
	}
	f.took(b)
	n := len(b)
	if f.refused {
		f.pay(n)
		return nil, nil
	}
	if readErr, writeErr = f.take(b); readErr != nil || writeErr != nil {
		return readErr, writeErr
	}
	f.pay(n)
	return f.passBody()
}

// take hands on what b has of requests, with what has come before.
func (f *forwarder) take(b []byte) (readErr, writeErr error) {
	if len(f.begun) > 0 {
		f.begun = append(f.begun, b...)
		b = f.begun
	}
	rest, readErr, writeErr := f.rewrite(b)
	if readErr != nil || writeErr != nil {
		return readErr, writeErr
	}
	switch {
	case len(rest) == 0:
		f.due = time.Time{}
	case f.due.IsZero() || len(rest) < len(b):
		f.due = time.Now().Add(f.link.plane.timeouts.head)
	}
	f.begun = append(f.begun[:0], rest...)
	if len(f.begun) == 0 {
		f.begun = nil // an idle connection has no buffer
	}
	return nil, nil
}

// passBody moves what may pass without a look at it.
func (f *forwarder) passBody() (readErr, writeErr error) {
	through := f.x.through()
	if through == 0 || len(f.begun) > 0 {
		return nil, nil
	}
	f.giveBack()
	if through < 0 {
		_, readErr, writeErr = f.move(unlimited)
		return cmp.Or(readErr, io.EOF), writeErr
	}
	moved, readErr, writeErr := f.move(through)
	if readErr != nil || writeErr != nil {
		return readErr, writeErr
	}
	f.x.passed(moved)
	f.x.check()
	if moved < through {
		return io.EOF, nil
	}
	return nil, nil
}

// ignoreEOF returns nil for the end of the stream, which is not an error.
func ignoreEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// read reads on. If something is due and does not come in time, the error is
// [wire.ErrLate].
func (f *forwarder) read() ([]byte, error) {
	if f.due.IsZero() {
		return f.next(unlimited)
	}
	l, src := f.link, f.src
	src.SetReadDeadline(f.due)
	if err := l.stopping(); err != nil {
		return nil, err // the deadline may have been replaced
	}
	b, err := f.next(unlimited)
	edge.Within(src, 0)
	if stop := l.stopping(); stop != nil {
		return nil, stop
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, wire.ErrLate
	}
	return b, err
}

// rewrite hands on what b has of requests, and returns what of it needs more bytes to
// be understood. It waits for answers where requests have to. That a request is refused
// is an error of reading.
func (f *forwarder) rewrite(b []byte) (rest []byte, readErr, writeErr error) {
	buf := largeBuffers.Get().(*[largeSize]byte)
	defer func() {
		if buf != nil {
			largeBuffers.Put(buf)
		}
	}()
	x := f.x
	for {
		out, used, waits, err := x.rewrite(buf[:0], b)
		if len(out) > 0 {
			n, err := f.dst.Write(out)
			f.written.Add(uint64(n))
			if err != nil {
				return nil, nil, err
			}
		}
		if err != nil {
			return nil, err, nil
		}
		b = b[used:]
		if used > 0 && len(b) > 0 {
			continue
		}
		wait := x.check()
		if !waits || len(b) == 0 && !wait {
			return b, nil, nil
		}
		if !wait {
			continue // the answer has come meanwhile
		}
		// Wait without a buffer: keep a copy of just these bytes.
		b = slices.Clone(b)
		f.giveBack()
		largeBuffers.Put(buf)
		buf = nil
		if err := x.await(); err != nil {
			return nil, err, nil
		}
		buf = largeBuffers.Get().(*[largeSize]byte)
		if len(b) == 0 {
			return b, nil, nil
		}
	}
}

// refuse is called when the client has sent something that must not be forwarded. It gets the answers
// to its earlier requests, is told then, and the connection closes in order. Where
// nobody knows which answers are owed it reports false: the connection closes with the
// server's.
func (f *forwarder) refuse(why *wire.Refusal) bool {
	f.refused, f.begun, f.due = true, nil, time.Time{}
	l := f.link
	l.refuse(l.service, dispatch.BadRequest)
	l.plane.log.Debug("request refused", "client", l.from, "reason", why)
	if l.http.refuse(why) {
		return true
	}
	l.unread = true
	return false
}

// linger reads and drops, for a while, what the client still sends. To close with bytes
// unread would be a reset, which may overtake the answer that says why.
func (l *link) linger() {
	if !l.unread || l.broken.Load() {
		return
	}
	l.server.Close()
	edge.Within(l.client, l.plane.timeouts.linger)
	io.Copy(io.Discard, l.client)
}
