package sock

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// Accept hands each connection of a listener to take, until ctx is done. Then, and when
// somebody else closes the listener, it returns with the listener closed. After an error,
// such as a lack of descriptors, which it reports to failed, it pauses for up to a second.
func Accept(ctx context.Context, ln net.Listener, take func(net.Conn), failed func(error)) {
	shut := sync.OnceFunc(func() { ln.Close() })
	defer shut()
	defer context.AfterFunc(ctx, shut)()
	const shortest, longest = 5 * time.Millisecond, time.Second
	pause := shortest
	for ctx.Err() == nil {
		c, err := ln.Accept()
		switch {
		case err == nil:
			pause = shortest
			take(c)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			failed(err)
			select {
			case <-time.After(pause):
				pause = min(2*pause, longest)
			case <-ctx.Done():
			}
		}
	}
}
