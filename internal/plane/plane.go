// Package plane says what a data plane is: the mechanism that accepts,
// connects, moves bytes and closes. Every decision is the Dispatcher's.
package plane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/sock"
)

// A Plane carries the traffic of one listener. Its constructor takes a
// [sock.Listener] on loan, and leaves it to the caller after an error.
type Plane interface {
	// Configure has connections and flows that begin from now on go as e says. An
	// error wraps ErrUnable and names, in one line, what the plane can't do; nothing is
	// changed then. It may be called at any time, also before Serve; a plane that was
	// never configured has the zero Ends. It does not block.
	Configure(e *edge.Ends) error
	// Serve carries traffic until ctx is done. Then it accepts no more clients, and
	// releases the Listener as soon as it does not need it: clients in the queue of a
	// socket that is shared are for the others. Serve returns when its last flow has
	// ended; the Dispatcher's KillAll makes that soon. By then nothing that it started
	// is running, and every descriptor that it made is closed. Serve is called once,
	// and blocks.
	Serve(ctx context.Context, d *dispatch.Dispatcher) error
	// Close ends a plane that will not be served, and releases the Listener.
	Close() error
}

// ErrUnable is wrapped by what Unable returns.
var ErrUnable = errors.New("can't do")

// Unable is the error of a plane that can't do something.
func Unable(plane, what string) error { return fmt.Errorf("plane %s %w %s", plane, ErrUnable, what) }

// DummyTime is how long a client may take to say something before it gets the
// DummyPage.
const DummyTime = 30 * time.Second

// DummyPage is what clients get instead of a server's answer where the policy's
// Dummy is set (specification, section 13).
const DummyPage = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\nContent-Type: text/html\r\n\r\nUlric was here."

// Target is how a server is reached by a connection.
func Target(t dispatch.Target) sock.Target {
	return sock.Target{
		Addr: t.Addr, Path: t.Path, Timeout: t.Timeout, KeepAlive: t.KeepAlive,
		Source: t.Source, Transparent: t.Transparent,
	}
}

// Blame returns why a server could not be reached, as [dispatch.Flow.Failed]
// wants it: what is wrong here is not held against the server.
func Blame(err error) error {
	if sock.IsLocal(err) {
		return fmt.Errorf("%w: %w", dispatch.ErrLocal, err)
	}
	return err
}
