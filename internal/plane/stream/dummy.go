package stream

import (
	"io"
	"time"
)

// dummyTime is how long a client may take to say something.
const dummyTime = 30 * time.Second

// dummyPage is what C Pen answers (specification, section 13).
const dummyPage = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\nContent-Type: text/html\r\n\r\nUlric was here."

// answer gives the client the page when it has said something, whatever that
// is, and ends the connection.
func (l *link) answer() {
	l.client.SetDeadline(time.Now().Add(dummyTime))
	buf := make([]byte, 4096)
	n, err := l.client.Read(buf)
	l.up.read.Add(uint64(n))
	if err != nil {
		return
	}
	n, _ = io.WriteString(l.client, dummyPage)
	l.down.written.Add(uint64(n))
	l.client.CloseWrite()
	drain(l.client)
}
