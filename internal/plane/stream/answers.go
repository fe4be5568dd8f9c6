package stream

import (
	"pen/internal/dispatch"
	"pen/internal/plane/relay"
)

// longBody is the length from which the rest of an answer's body, or of a chunk,
// is spliced at once.
const longBody = 16 << 10

// answers moves what an HTTP server sends, and follows it. Bulk is spliced, and so is what
// is not HTTP or can't be followed.
func (c *copier) answers() (readErr, writeErr error) {
	x := c.link.http
	defer x.end()
	follows := c.pumps && canFollow
	limit := int64(unlimited)
	if follows {
		limit = smallSize // what is more goes through a pipe
	}
	var bulk *follower // once there was any
	full := 0          // reads in a row that filled the buffer
	for {
		b, err := c.next(limit)
		if err != nil {
			return c.lastAnswer(err), nil
		}
		through, over := x.follow(b)
		if over {
			continue // nobody has asked for it
		}
		c.took(b)
		n := len(b)
		if err := c.write(b); err != nil {
			return nil, err
		}
		x.delivered()
		c.pay(n)
		if full++; n < smallSize {
			full = 0
		}
		if through >= 0 && (!follows || through < longBody && full < bulkReads) {
			continue
		}
		c.giveBack()
		full = 0
		if through >= 0 {
			if bulk == nil {
				bulk = c.newFollower()
			}
			through, readErr, writeErr = bulk.move(through)
			if writeErr != nil {
				return nil, writeErr
			}
			if readErr != nil {
				return c.lastAnswer(readErr), nil
			}
		}
		if through < 0 {
			_, readErr, writeErr = c.move(unlimited)
			return readErr, writeErr
		}
	}
}

// lastAnswer handles the error with which a server sends no more. It returns none where
// the client has all that it will get.
func (h *half) lastAnswer(err error) error {
	if h.link.http.isOver() {
		h.link.unread = true
		h.link.on(relay.Client, relay.Complete, dispatch.ByCompletion)
		return nil
	}
	return ignoreEOF(err)
}
