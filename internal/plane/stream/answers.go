package stream

import "pen/internal/dispatch"

// longBody is the length from which the rest of an answer's body, or of a chunk,
// is spliced at once.
const longBody = 16 << 10

// answers moves what an HTTP server sends, and follows it. What is bulk, what is
// no HTTP, and what can't be followed is spliced.
func (h *half) answers(pipes *pipes) (readErr, writeErr error) {
	in, err := h.input()
	if err != nil {
		return err, nil
	}
	defer in.giveBack()
	x := h.link.http
	defer x.end()
	var bulk *followed // once there was any
	splices := h.splices()
	full := 0 // reads in a row that filled the buffer
	if splices {
		in.most = firstRead // what is more goes through a pipe
	}
	for {
		b, err := in.next()
		if err != nil {
			return h.lastAnswer(err), nil
		}
		through, over := x.follow(b)
		if over {
			continue // nobody has asked for it
		}
		h.took(b)
		n := len(b)
		if err := h.putInput(in, b); err != nil {
			return nil, err
		}
		x.delivered()
		h.pay(n)
		if full++; n < firstRead {
			full = 0
		}
		if through >= 0 && (!splices || through < longBody && full < bulkReads) {
			continue
		}
		in.giveBack()
		full = 0
		if through >= 0 {
			if bulk == nil {
				if bulk, err = h.followed(pipes); err != nil {
					return err, nil
				}
			}
			through, readErr, writeErr = bulk.move(through)
			if writeErr != nil {
				return nil, writeErr
			}
			if readErr != nil {
				return h.lastAnswer(readErr), nil
			}
		}
		if through < 0 {
			_, readErr, writeErr = h.move(pipes, unlimited)
			return readErr, writeErr
		}
	}
}

// lastAnswer returns what the error says of a server that sends no more. It is
// none where the client has all that it gets.
func (h *half) lastAnswer(err error) error {
	if h.link.http.isOver() {
		h.link.unread = true
		h.link.end.Note(dispatch.ByCompletion)
		h.link.endBoth(h.link.client)
		return nil
	}
	return ignoreEOF(err)
}
