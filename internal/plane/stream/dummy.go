package stream

import (
	"errors"
	"io"
	"os"

	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/plane"
	"pen/internal/plane/relay"
)

// answer gives the client the dummy page when it has said something, whatever that is.
func (l *link) answer() {
	edge.Within(l.client, plane.DummyTime)
	client := side{l.client, l.clientTLS}
	buf := make([]byte, 4096)
	n, err := client.Read(buf)
	l.up.read.Add(uint64(n))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		l.machine.Note(dispatch.ByIdleTimeout)
	}
	if err != nil {
		l.machine.Note(plane.Ending(relay.Client, err))
		return
	}
	n, _ = io.WriteString(client, plane.DummyPage)
	l.down.written.Add(uint64(n))
	l.down.dst = client
	l.on(relay.Client, relay.Complete, dispatch.ByCompletion)
}
