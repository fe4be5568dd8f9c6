package stream

import (
	"io"
	"time"

	"pen/internal/plane"
)

// answer gives the client the page when it has said something, whatever that
// is, and ends the connection.
func (l *link) answer() {
	l.client.SetDeadline(time.Now().Add(plane.DummyTime))
	buf := make([]byte, 4096)
	n, err := l.client.Read(buf)
	l.up.read.Add(uint64(n))
	if err != nil {
		return
	}
	n, _ = io.WriteString(l.client, plane.DummyPage)
	l.down.written.Add(uint64(n))
	l.client.CloseWrite()
	drain(l.client)
}
