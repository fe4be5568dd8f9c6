package planetest

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"pen/internal/testenv"
)

// What one side does at its end, the other side sees: EOF in one direction leaves the
// other direction open, and a reset is passed on as a reset.
var closing = []conformance{
	{"half-close by the client", func(t *testing.T, build New) {
		_, client, server := one(t, build)
		halfClose(t, client, server)
	}},
	{"half-close by the server", func(t *testing.T, build New) {
		_, client, server := one(t, build)
		halfClose(t, server, client)
	}},
	{"both half-close at once", bothHalfClose},
	{"reset by the client", func(t *testing.T, build New) {
		_, client, server := one(t, build)
		reset(t, client, server)
	}},
	{"reset by the server", func(t *testing.T, build New) {
		_, client, server := one(t, build)
		reset(t, server, client)
	}},
	{"reset by the client while idle", func(t *testing.T, build New) {
		_, client, server := one(t, build)
		exchange(t, client, server)
		reset(t, client, server)
	}},
	{"reset by the server while idle", func(t *testing.T, build New) {
		_, client, server := one(t, build)
		exchange(t, client, server)
		reset(t, server, client)
	}},
	{"reset by the client after its half-close", func(t *testing.T, build New) {
		_, client, server := one(t, build)
		ownHalfCloseThenReset(t, client, server)
	}},
	{"reset by the server after its half-close", func(t *testing.T, build New) {
		_, client, server := one(t, build)
		ownHalfCloseThenReset(t, server, client)
	}},
	{"reset by the client after the server's half-close", func(t *testing.T, build New) {
		_, client, server := one(t, build)
		othersHalfCloseThenReset(t, client, server)
	}},
	{"reset by the server after the client's half-close", func(t *testing.T, build New) {
		_, client, server := one(t, build)
		othersHalfCloseThenReset(t, server, client)
	}},
	{"reset by the client while the server sends", func(t *testing.T, build New) {
		_, client, server := one(t, build)
		resetUnderLoad(t, client, server)
	}},
	{"reset by the server while the client sends", func(t *testing.T, build New) {
		_, client, server := one(t, build)
		resetUnderLoad(t, server, client)
	}},
	{"the last bytes before a reset arrive", func(t *testing.T, build New) {
		lastBytes(t, build, false)
	}},
	{"the last bytes before a reset arrive at a client that sends", func(t *testing.T, build New) {
		lastBytes(t, build, true)
	}},
	{"resets at random stages", resetStorm},
}

// halfClose closes one direction; then 1 MiB goes in the other direction.
func halfClose(t *testing.T, a, b testenv.Conn) {
	const size = 1 << 20
	testenv.Write(t, a, "the last")
	testenv.CloseWrite(t, a)
	testenv.WantEnd(t, b, int64(len("the last")))
	written := make(chan error, 1)
	go func() {
		_, err := b.Write(make([]byte, size))
		b.CloseWrite()
		written <- err
	}()
	testenv.WantEnd(t, a, size)
	if err := <-written; err != nil {
		t.Errorf("write after the other side's end: %v", err)
	}
}

func bothHalfClose(t *testing.T, build New) {
	s, client, server := one(t, build)
	testenv.Write(t, client, "four")
	testenv.Write(t, server, "three")
	testenv.CloseWrite(t, client)
	testenv.CloseWrite(t, server)
	testenv.WantEnd(t, server, 4)
	testenv.WantEnd(t, client, 5)
	s.flows(t, 0)
}

func reset(t *testing.T, a, b testenv.Conn) {
	testenv.Reset(t, a)
	testenv.WantReset(t, b, 0)
}

// After the end of a stream no read reports a reset: it is pending at the socket.
func ownHalfCloseThenReset(t *testing.T, a, b testenv.Conn) {
	testenv.CloseWrite(t, a)
	testenv.WantEnd(t, b, 0)
	testenv.Write(t, b, "still open")
	testenv.WantBytes(t, a, "still open")
	testenv.Reset(t, a)
	testenv.Eventually(t, "the reset is seen", func() bool { return testenv.Error(t, b) != nil })
}

func othersHalfCloseThenReset(t *testing.T, a, b testenv.Conn) {
	testenv.CloseWrite(t, b)
	testenv.WantEnd(t, a, 0)
	testenv.Write(t, a, "still open")
	testenv.WantBytes(t, b, "still open")
	testenv.Reset(t, a)
	testenv.WantReset(t, b, 0)
}

// resetUnderLoad resets while the other side writes all the time.
func resetUnderLoad(t *testing.T, a, b testenv.Conn) {
	written := make(chan error, 1)
	go func() {
		chunk := make([]byte, 64<<10)
		for {
			if _, err := b.Write(chunk); err != nil {
				written <- err
				return
			}
		}
	}()
	if _, err := io.ReadFull(a, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	testenv.Reset(t, a)
	if err := <-written; !isReset(err) {
		t.Errorf("write: %v, want a reset", err)
	}
}

// A client gets everything that its server sent before it died, and then a reset: a
// truncated stream must not look complete. A client that is sending may get the reset
// from its write.
func lastBytes(t *testing.T, build New, sending bool) {
	_, client, server := one(t, build)
	written := make(chan error, 1)
	go func() {
		var err error
		for chunk := make([]byte, 1000); sending && err == nil; {
			_, err = client.Write(chunk)
		}
		written <- err
	}()
	sent := bytes.Repeat([]byte("0123456789abcdef"), 256<<10/16)
	if _, err := server.Write(sent); err != nil {
		t.Fatal(err)
	}
	// A reset discards bytes that are still under way.
	testenv.Eventually(t, "the bytes have left the server", func() bool { return testenv.Unsent(t, server) == 0 })
	testenv.Reset(t, server)
	got, err := io.ReadAll(client)
	if !bytes.Equal(got, sent) {
		t.Errorf("got %d bytes that are not the %d sent", len(got), len(sent))
	}
	if err = errors.Join(err, <-written); !isReset(err) {
		t.Errorf("then %v, want a reset", err)
	}
}

// Connections that are reset before, while and after they are connected and
// while bytes move leave nothing behind; see service.stop and CheckLeaks.
func resetStorm(t *testing.T, build New) {
	s := start(t, build, testenv.Loopback, config(testenv.Echo(t)))
	for i := range 300 {
		c := s.dial(t)
		if i%3 > 0 {
			testenv.Write(t, c, "echo")
		}
		if i%3 > 1 {
			testenv.WantBytes(t, c, "echo")
		}
		testenv.Reset(t, c)
	}
	s.flows(t, 0)
}
