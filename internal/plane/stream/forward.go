package stream

import (
	"errors"
	"io"
	"time"

	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/wire"
)

// lingerTime is how long a client may take to see that its request was refused.
const lingerTime = 2 * time.Second

// forward moves a client's HTTP requests, each with what it tells about the
// client, and their bodies as they are: those that are long by splicing.
func (h *half) forward(pipes *pipes) (readErr, writeErr error) {
	in, err := h.input()
	if err != nil {
		return err, nil
	}
	defer in.giveBack()
	var begun []byte  // of a head or a line, of which the rest is to come
	var due time.Time // until when, if there is one
	for {
		b, err := h.next(in, due)
		if err == io.EOF {
			return nil, nil
		}
		if err != nil {
			return err, nil
		}
		h.took(b)
		n := len(b)
		if len(begun) > 0 {
			begun = append(begun, b...)
			b = begun
		}
		rest, readErr, writeErr := h.rewrite(b)
		if readErr == nil && writeErr == nil && h.requests.Switching() {
			if !h.requests.Answered(h.link.awaitAnswer()) {
				h.link.unread = true
				return nil, nil // it asked for something else than HTTP, and did not get it
			}
			rest, readErr, writeErr = h.rewrite(rest)
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
		through := h.requests.Through()
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
		h.requests.Passed(moved)
	}
}

// next reads on. If it is due at some time and does not come, the link is killed.
func (h *half) next(in *input, due time.Time) ([]byte, error) {
	if !due.IsZero() {
		late := time.AfterFunc(time.Until(due), func() {
			h.link.count(h.link.service, dispatch.BadRequest)
			h.link.Kill()
		})
		defer late.Stop()
	}
	return in.next()
}

// rewrite hands on what b has of requests, and returns what of it needs more
// bytes to be understood. That a request is refused is an error of reading.
func (h *half) rewrite(b []byte) (rest []byte, readErr, writeErr error) {
	buf := inputs.Get().(*[inputSize]byte)
	defer inputs.Put(buf)
	for len(b) > 0 {
		out, used, err := h.requests.Rewrite(buf[:0], b)
		if len(out) > 0 {
			if err := h.put(out); err != nil {
				return nil, nil, err
			}
		}
		if err != nil {
			h.refuse(err)
			return nil, err, nil
		}
		if used == 0 {
			break
		}
		b = b[used:]
	}
	return b, nil, nil
}

// refuse notes that the client sent what is not to be handed on. Where nothing
// was handed on so far, the server has not answered either: then the client is
// told, and the connection ends in order. Otherwise both sides will be reset.
func (h *half) refuse(err error) {
	l := h.link
	l.service.Dispatcher.Refuse(dispatch.BadRequest, 1)
	l.plane.log.Debug("request refused", "client", l.from, "reason", err)
	refusal := new(wire.Refusal)
	if h.requests.Begun() || !errors.As(err, &refusal) {
		return
	}
	n, _ := io.WriteString(h.src, refusal.Answer())
	l.down.written.Add(uint64(n))
	l.unread = true
	h.src.CloseWrite()
	l.end(h.src)
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

// answers moves what an HTTP server sends. The status of its first answer is
// told to the other half, which may wait for it.
func (h *half) answers(pipes *pipes) (readErr, writeErr error) {
	readErr, writeErr = h.firstAnswer()
	if readErr == io.EOF {
		return nil, nil
	}
	if readErr != nil || writeErr != nil {
		return readErr, writeErr
	}
	_, readErr, writeErr = h.move(pipes, unlimited)
	return readErr, writeErr
}

// firstAnswer moves the begin of the first answer.
func (h *half) firstAnswer() (readErr, writeErr error) {
	defer close(h.link.status)
	in, err := h.input()
	if err != nil {
		return err, nil
	}
	defer in.giveBack()
	var begin [wire.StatusSize]byte
	for n := 0; n < len(begin); {
		b, err := in.next()
		if err != nil {
			return err, nil
		}
		h.took(b)
		n += copy(begin[n:], b)
		if err := h.put(b); err != nil {
			return nil, err
		}
		h.pay(len(b))
	}
	h.link.status <- wire.Status(begin)
	return nil, nil
}

// awaitAnswer returns the status of the server's first answer, 0 where there is
// none.
func (l *link) awaitAnswer() int {
	select {
	case status := <-l.status:
		return status
	case <-l.quit:
		return 0
	}
}
