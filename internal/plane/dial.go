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

// unpunctual is how late a process notices the time that is not well: it stood
// still, or starves.
const unpunctual = 250 * time.Millisecond

// IsLate reports whether a connect that ran out of time was looked at so late
// that nothing can be said of the server: this process stood still. Its answer
// may be here already, and have been overlooked.
func IsLate(took, timeout time.Duration) bool { return took > timeout+unpunctual }

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
