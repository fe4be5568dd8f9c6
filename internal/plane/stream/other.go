//go:build !linux

package stream

import "time"

// pumps reports that nothing is spliced here.
func (h *half) pumps() bool { return false }

const canFollow = false

type (
	pump     struct{}
	follower struct{}
)

func (c *copier) bulk(int64) (moved int64, readErr, writeErr error) { return 0, nil, nil }

func (c *copier) newFollower() *follower { return nil }

func (*follower) move(through int64) (left int64, readErr, writeErr error) { return through, nil, nil }

// sendsNoMore would need poll: here a client that ends amid a header is noticed
// when its time is over.
func sendsNoMore(int) bool { return false }

// silence returns how long ago the other side of a connection has last sent
// something, and whether it has closed it: neither is known here.
func silence(conn) (silent time.Duration, gone bool) { return 0, false }
