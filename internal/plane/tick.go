package plane

import (
	"context"
	"time"

	"pen/internal/dispatch"
)

// Tick has a Dispatcher end the waits that time ends, until ctx is done. It
// costs nothing while no flow waits. The owner of the Dispatcher runs it, and
// ends it after the planes: flows may wait to the last. It blocks.
func Tick(ctx context.Context, d *dispatch.Dispatcher) {
	for ctx.Err() == nil {
		begins := d.Waiting()
		if begins != nil {
			select {
			case <-begins:
			case <-ctx.Done():
			}
			continue
		}
		select {
		case <-time.After(dispatch.TickTime):
			d.Tick()
		case <-ctx.Done():
		}
	}
}
