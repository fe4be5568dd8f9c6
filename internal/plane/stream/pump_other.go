//go:build !linux

package stream

import (
	"errors"
	"os"
	"time"
)

// pipes are not used here: all bytes are copied.
type pipes struct{}

func (*pipes) close() {}

func (*pipes) lendFrom(any) {}

// pump is copy.
func (h *half) pump(_ *pipes, limit int64) (moved int64, readErr, writeErr error) {
	return h.copy(limit)
}

// splices reports that nothing is spliced here.
func (h *half) splices() bool { return false }

// followed is not used here.
type followed struct{}

func (h *half) followed(*pipes) (*followed, error) { return new(followed), nil }

func (*followed) move(through int64) (int64, error, error) { return through, nil, nil }

// watch, wasReset and drain need system calls that are Linux's here; without
// them a reset after the end of a stream is noticed by keep-alive probes.
func watch(conn) error { return nil }

// await waits until c is closed, or a read deadline ends it; then it returns
// nil.
func await(c conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	err = raw.Read(func(uintptr) bool { return false })
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

func wasReset(conn) bool { return false }

// sendsNoMore would need poll: here a client that ends amid a header is noticed
// when its time is over.
func sendsNoMore(int) bool { return false }

func (*link) drain(conn) {}

// silence returns how long ago the other side of a connection has last sent
// something, and whether it has closed it: neither is known here.
func silence(conn) (silent time.Duration, gone bool) { return 0, false }
