package plane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"pen/internal/dispatch"
	"pen/internal/sock"
)

// stallThreshold: a timer this late means that the process was stopped, or starves.
const stallThreshold = 250 * time.Millisecond

// IsLate reports whether a connect's time-out was noticed so late that it says nothing
// about the server: this process stood still, and the answer may have come in time.
func IsLate(took, timeout time.Duration) bool { return took > timeout+stallThreshold }

// Attempt returns a failure for which a client may be to blame, as
// [dispatch.Flow.Failed] wants it: it takes more than one to eject a server.
func Attempt(err error) error { return fmt.Errorf("%w: %w", dispatch.ErrAttempt, err) }

// Dial connects as [sock.Dial] does. A time-out that is noticed late is not
// held against the server, which is tried again. It blocks.
func Dial(ctx context.Context, t sock.Target) (net.Conn, error) {
	for {
		begin := time.Now()
		c, err := sock.Dial(ctx, t)
		if !errors.Is(err, os.ErrDeadlineExceeded) || !IsLate(time.Since(begin), t.Timeout) || ctx.Err() != nil {
			return c, err
		}
	}
}
