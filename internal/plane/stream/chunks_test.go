package stream

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"pen/internal/dispatch"
	"pen/internal/testenv"
)

// chunks returns a chunked answer of about so many bytes in chunks of that size,
// or of any up to it.
func chunks(total, size int, any bool) string {
	var b strings.Builder
	b.WriteString("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
	rnd := rand.New(rand.NewPCG(1, 2))
	data := strings.Repeat("HTTP/1.1 101 Switching Protocols\r\n\r\n", size/36+1)
	for b.Len() < total {
		n := size
		if any {
			n = 1 + rnd.IntN(size)
		}
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, data[:n])
	}
	b.WriteString("0\r\nX: y\r\n\r\n")
	return b.String()
}

// An answer in chunks of any size is bulk and followed all the same: behind it the
// client may upgrade.
func TestChunksAreFollowed(t *testing.T) {
	for _, tt := range []struct {
		size, pieces int
		any          bool
	}{
		{1, 1 << 20, false},
		{100, 3 << 10, false},
		{5000, 1 << 20, true},
		{32 << 10, 4 << 20, false},
		{32 << 10, 20 << 10, true},
		{300 << 10, 1 << 20, true},
	} {
		t.Run(fmt.Sprintf("%d of %d", tt.pieces, tt.size), func(t *testing.T) {
			s, ln := plain(t)
			c := s.dial(t, upgrade+"\r\n")
			server := ln.Next(t)
			testenv.WantBytes(t, server, upgrade+about)
			total := 4 << 20
			if tt.size < 1000 {
				total /= 4
			}
			for range 2 {
				sendAndWant(t, server, c, chunks(total, tt.size, tt.any), tt.pieces)
				testenv.Write(t, c, upgrade+"\r\n")
				testenv.WantBytes(t, server, upgrade+about)
			}
			pass(t, server, c, answer)
			testenv.Write(t, c, upgrade+"Connection: keep-alive, Upgrade\r\nUpgrade: x\r\n\r\nearly")
			testenv.WantBytes(t, server, upgrade+"Upgrade: x\r\nConnection: keep-alive, Upgrade\r\n"+about)
			pass(t, server, c, switches)
			testenv.WantBytes(t, server, "early")
			testenv.CloseWrite(t, c)
			testenv.WantEnd(t, server, 0)
			testenv.CloseWrite(t, server)
			testenv.WantEnd(t, c, 0)
		})
	}
}

// sendAndWant sends a text in pieces and reads it from the other end.
func sendAndWant(t *testing.T, from io.Writer, to testenv.Conn, text string, piece int) {
	t.Helper()
	written := make(chan error, 1)
	go func() {
		var err error
		for b := text; len(b) > 0 && err == nil; {
			n := min(len(b), piece)
			_, err = io.WriteString(from, b[:n])
			b = b[n:]
		}
		written <- err
	}()
	testenv.WantBytes(t, to, text)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
}

// What ends amid bulk is seen: the client that sent a bad request gets all of the
// answer before it, and no byte behind it.
func TestRefusedBehindBulk(t *testing.T) {
	for _, size := range []int{100, 32 << 10} { // one plane after the other: planes share spare pipes
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			s, ln := plain(t)
			c := s.dial(t, upgrade+"\r\nbad\r\n\r\n")
			server := ln.Next(t)
			testenv.WantBytes(t, server, upgrade+about)
			text := chunks(2<<20, size, false)
			go io.WriteString(server, text+answer)
			testenv.WantBytes(t, c, text)
			s.refused(t, dispatch.BadRequest, 1)
			c.Close()
			s.flows(t, 0)
		})
	}
}

// A line amid bulk that can't be understood changes nothing of what passes.
func TestBadChunkAmidBulk(t *testing.T) {
	s, ln := plain(t)
	c := s.dial(t, upgrade+"\r\n")
	server := ln.Next(t)
	testenv.WantBytes(t, server, upgrade+about)
	text := chunks(2<<20, 32<<10, false)
	text = strings.TrimSuffix(text, "0\r\nX: y\r\n\r\n") + "bad\r\n" + strings.Repeat("x", 3<<20)
	sendAndWant(t, server, c, text, len(text))
	server.Close()
	testenv.WantEnd(t, c, 0)
}
