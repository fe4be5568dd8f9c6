package stream

import (
	"errors"
	"io"

	"pen/internal/dispatch"
	"pen/internal/wire"
)

// forward moves a client's HTTP requests, each with what it tells about the
// client, and their bodies as they are: those that are long by splicing.
func (h *half) forward(pipes *pipes) (readErr, writeErr error) {
	in, err := newInput(h.src)
	if err != nil {
		return err, nil
	}
	defer in.giveBack()
	if h.spend != nil {
		in.most = min(in.most, h.piece)
	}
	var begun []byte // of a head of which the rest is to come
	for {
		b, err := in.next()
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
				return nil, nil // it asked for something else than HTTP, and did not get it
			}
			rest, readErr, writeErr = h.rewrite(rest)
		}
		if readErr != nil || writeErr != nil {
			return readErr, writeErr
		}
		begun = append(begun[:0], rest...)
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

// rewrite hands on what b has of requests, and returns what of it needs more
// bytes to be understood. That a request is refused is an error of reading.
func (h *half) rewrite(b []byte) (rest []byte, readErr, writeErr error) {
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
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
	h.src.CloseWrite()
	l.end(h.src)
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
	in, err := newInput(h.src)
	if err != nil {
		return err, nil
	}
	defer in.giveBack()
	if h.spend != nil {
		in.most = min(in.most, h.piece)
	}
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
