package stream

import (
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/wire"
)

// lingerTime is how long a client may take to see that its request was refused,
// and a server to close after the last answer.
const lingerTime = 2 * time.Second

// forward moves a client's HTTP requests, each with what it tells about the
// client, and their bodies as they are: those that are long by splicing.
func (h *half) forward(pipes *pipes) (readErr, writeErr error) {
	in, err := h.input()
	if err != nil {
		return err, nil
	}
	defer in.giveBack()
	x := h.link.http
	var begun []byte  // of a head or a line, of which the rest is to come
	var due time.Time // until when, if there is one
	refused := false
	for {
		b, err := h.next(in, due)
		if err == error(wire.ErrLate) {
			refused, begun, due = true, nil, time.Time{}
			if !h.refuse(wire.ErrLate) {
				return nil, nil
			}
			continue
		}
		if err != nil {
			return ignoreEOF(err), nil
		}
		h.took(b)
		n := len(b)
		if refused {
			h.pay(n)
			continue
		}
		if len(begun) > 0 {
			begun = append(begun, b...)
			b = begun
		}
		rest, readErr, writeErr := h.rewrite(in, b)
		refusal := new(wire.Refusal)
		if refused = errors.As(readErr, &refusal); refused {
			if !h.refuse(refusal) {
				return nil, nil
			}
			begun, due = nil, time.Time{}
			continue
		}
		if readErr != nil || writeErr != nil {
			return readErr, writeErr
		}
		switch {
		case len(rest) == 0:
			due = time.Time{}
		case due.IsZero() || len(rest) < len(b):
			due = time.Now().Add(h.link.plane.patience.head)
		}
		begun = append(begun[:0], rest...)
		if len(begun) == 0 {
			begun = nil // an idle connection has no buffer
		}
		h.pay(n)
		through := x.through()
		if through == 0 || len(begun) > 0 {
			continue
		}
		in.giveBack()
		if through < 0 {
			_, readErr, writeErr := h.move(pipes, unlimited)
			return readErr, writeErr
		}
		moved, readErr, writeErr := h.move(pipes, through)
		if readErr != nil || writeErr != nil || moved < through {
			return readErr, writeErr
		}
		x.passed(moved)
		x.check()
	}
}

// ignoreEOF returns nil for the end of what one side sends, which is no error.
func ignoreEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// next reads on. If it is due at some time and does not come, the error is
// [wire.ErrLate].
func (h *half) next(in *input, due time.Time) ([]byte, error) {
	if due.IsZero() {
		return in.next()
	}
	h.src.SetReadDeadline(due)
	if err := h.link.stopping(); err != nil {
		return nil, err // the deadline that says so may be gone
	}
	b, err := in.next()
	edge.Within(h.src, 0)
	if stop := h.link.stopping(); stop != nil {
		return nil, stop
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, wire.ErrLate
	}
	return b, err
}

// rewrite hands on what b, the bytes of in, has of requests, and returns what of
// it needs more bytes to be understood. It waits for answers where requests have
// to. That a request is refused is an error of reading.
func (h *half) rewrite(in *input, b []byte) (rest []byte, readErr, writeErr error) {
	buf := inputs.Get().(*[inputSize]byte)
	defer func() {
		if buf != nil {
			inputs.Put(buf)
		}
	}()
	x := h.link.http
	for {
		out, used, waits, err := x.rewrite(buf[:0], b)
		if len(out) > 0 {
			if err := h.put(out); err != nil {
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
		// Only what is there already is kept, without any buffer of ours.
		b = slices.Clone(b)
		in.giveBack()
		inputs.Put(buf)
		buf = nil
		if err := x.await(); err != nil {
			return nil, err, nil
		}
		buf = inputs.Get().(*[inputSize]byte)
		if len(b) == 0 {
			return b, nil, nil
		}
	}
}

// refuse notes that the client sent what is not handed on. It gets the answers
// to its earlier requests, is told then, and the connection ends in order. Where
// nobody knows which answers are owed it reports false: the server's end will be
// the client's.
func (h *half) refuse(why *wire.Refusal) bool {
	l := h.link
	l.end.Note(dispatch.Refused)
	l.count(l.service, dispatch.BadRequest)
	l.plane.log.Debug("request refused", "client", l.from, "reason", why)
	if l.http.refuse(why) {
		return true
	}
	l.unread = true
	return false
}

// linger reads, for a while, what the client sends that goes nowhere: to close
// with bytes unread is a reset, which may overtake the answer that says why.
func (l *link) linger() {
	if !l.unread || l.broken.Load() {
		return
	}
	l.server.Close()
	edge.Within(l.client, l.plane.patience.linger)
	io.Copy(io.Discard, l.client)
}
