package planetest

import (
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"pen/internal/dispatch"
	"pen/internal/testenv"
)

// Bytes arrive as they were sent, are counted, and do not accumulate in memory.
var moving = []conformance{
	{"integrity of bulk both ways at once", integrity},
	{"slow reader", slowReader},
	{"cost of idle connections", idleCost},
	{"status", status},
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// echoMuch sends n bytes to an echo server and reads them back.
func echoMuch(t *testing.T, client testenv.Conn, n int) {
	t.Helper()
	written := make(chan error, 1)
	go func() {
		_, err := client.Write(make([]byte, n))
		written <- err
	}()
	if got, err := io.ReadFull(client, make([]byte, n)); err != nil {
		t.Fatalf("got %d bytes of %d back: %v", got, n, err)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
}

type digest [sha256.Size]byte

func integrity(t *testing.T, build New) {
	size := 100 << 20
	if testing.Short() {
		size = 8 << 20
	}
	_, client, server := one(t, build)
	var toServer, fromClient, toClient, fromServer digest
	var all sync.WaitGroup
	all.Go(func() { toServer = sendRandom(t, client, size, 1) })
	all.Go(func() { fromClient = receive(t, server, size, 2) })
	all.Go(func() { toClient = sendRandom(t, server, size, 3) })
	all.Go(func() { fromServer = receive(t, client, size, 4) })
	all.Wait()
	if fromClient != toServer {
		t.Error("the server got other bytes than the client sent")
	}
	if fromServer != toClient {
		t.Error("the client got other bytes than the server sent")
	}
}

const longestChunk = 1 << 20

// sendRandom sends random bytes in chunks of random length, and closes for writing.
func sendRandom(t *testing.T, c testenv.Conn, size int, seed byte) (d digest) {
	rnd := rand.NewChaCha8([32]byte{seed})
	pick := rand.New(rnd)
	data := make([]byte, 2*longestChunk)
	rnd.Read(data)
	sum := sha256.New()
	for left := size; left > 0; {
		from := pick.IntN(longestChunk)
		chunk := data[from : from+min(left, randomLength(pick))]
		sum.Write(chunk)
		if _, err := c.Write(chunk); err != nil {
			t.Errorf("write, %d bytes before the end: %v", left, err)
			return d
		}
		left -= len(chunk)
	}
	if err := c.CloseWrite(); err != nil {
		t.Error(err)
	}
	sum.Sum(d[:0])
	return d
}

// receive reads to the end, in chunks of random length.
func receive(t *testing.T, c testenv.Conn, size int, seed byte) (d digest) {
	pick := rand.New(rand.NewChaCha8([32]byte{seed}))
	buf := make([]byte, longestChunk)
	sum := sha256.New()
	total := 0
	for {
		n, err := c.Read(buf[:randomLength(pick)])
		sum.Write(buf[:n])
		total += n
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Errorf("read, after %d bytes: %v", total, err)
			return d
		}
	}
	if total != size {
		t.Errorf("got %d bytes, want %d", total, size)
	}
	sum.Sum(d[:0])
	return d
}

// randomLength returns a length up to the longest chunk, each order of magnitude with
// the same probability.
func randomLength(pick *rand.Rand) int { return 1 + pick.IntN(longestChunk>>pick.IntN(12)) }

// A server that sends all the time to a client that reads nothing is blocked by the
// kernel's buffers. The bytes do not accumulate in the program's memory.
func slowReader(t *testing.T, build New) {
	// The buffers of two connections. Some systems let one grow to 32 MiB.
	const mostInFlight, mostHeap = 128 << 20, 16 << 20
	_, client, server := one(t, build)
	before := heap()
	chunk := make([]byte, 64<<10)
	written := 0
	for written < mostInFlight {
		// Without progress for a while the server is blocked. A wrong guess on a slow
		// machine makes the test weaker, not wrong.
		if err := server.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := server.Write(chunk)
		written += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if written >= mostInFlight {
		t.Errorf("the server could write %d bytes that nobody reads", written)
	}
	if after := heap(); after > before+mostHeap {
		t.Errorf("%d bytes in flight cost %d bytes of memory", written, after-before)
	}
	testenv.CloseWrite(t, server)
	testenv.WantEnd(t, client, int64(written))
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// An idle connection costs two descriptors, also after it has moved bulk.
func idleCost(t *testing.T, build New) {
	const (
		n     = 200
		bulk  = 4 << 20
		spare = 64 // what a plane may keep for all its connections
	)
	testenv.NeedDescriptors(t, 4*n+200)
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	s := start(t, build, testenv.Loopback, config(ln.AddrPort()))
	before := testenv.Descriptors(t)
	data, buf := make([]byte, bulk), make([]byte, bulk)
	for range n {
		client := s.dial(t)
		server := ln.Next(t)
		written := make(chan error, 1)
		go func() {
			_, err := client.Write(data)
			written <- err
		}()
		if _, err := io.ReadFull(server, buf); err != nil {
			t.Fatal(err)
		}
		if err := <-written; err != nil {
			t.Fatal(err)
		}
	}
	s.flows(t, n)
	most := before + 2*n + 2*n + spare // the test's own and the plane's
	testenv.Eventually(t, "the connections are idle", func() bool { return testenv.Descriptors(t) <= most })
}

// Counters are exact during a flow and after it, and show which sides have ended.
func status(t *testing.T, build New) {
	s, client, server := one(t, build)
	const up, down = 100_000, 3 << 20
	want := func(traffic dispatch.Traffic) {
		t.Helper()
		var got dispatch.Traffic
		testenv.Eventually(t, "the flow has moved what was sent", func() bool {
			got = s.flows(t, 1)[0].Traffic
			if got.ClientFD < 0 || got.ServerFD < 0 || got.ClientFD == got.ServerFD {
				t.Fatalf("descriptors %d and %d", got.ClientFD, got.ServerFD)
			}
			got.ClientFD, got.ServerFD = 0, 0
			return got == traffic
		})
	}
	want(dispatch.Traffic{})
	send(t, client, server, up)
	want(dispatch.Traffic{FromClient: up, ToServer: up})
	testenv.CloseWrite(t, client)
	testenv.WantEnd(t, server, 0)
	want(dispatch.Traffic{FromClient: up, ToServer: up, ClientEOF: true})
	send(t, server, client, down)
	want(dispatch.Traffic{FromClient: up, ToServer: up, FromServer: down, ToClient: down, ClientEOF: true})
	live := s.d.Status()
	testenv.CloseWrite(t, server)
	testenv.WantEnd(t, client, 0)
	s.flows(t, 0)
	for name, st := range map[string]dispatch.Status{"live": live, "done": s.d.Status()} {
		if got := st.Servers[0]; got.Sent != up || got.Received != down {
			t.Errorf("%s: server %+v, want %d sent and %d received", name, got, up, down)
		}
		if len(st.Clients) != 1 || st.Clients[0].Received != up || st.Clients[0].Sent != down {
			t.Errorf("%s: clients %+v, want %d received and %d sent", name, st.Clients, up, down)
		}
	}

	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	s = start(t, build, testenv.Loopback, config(ln.AddrPort()))
	client = s.dial(t)
	testenv.CloseWrite(t, ln.Next(t))
	testenv.WantEnd(t, client, 0)
	want(dispatch.Traffic{ServerEOF: true})
}

// send moves n bytes from one side to the other.
func send(t *testing.T, from, to testenv.Conn, n int) {
	t.Helper()
	written := make(chan error, 1)
	go func() {
		_, err := from.Write(make([]byte, n))
		written <- err
	}()
	if got, err := io.ReadFull(to, make([]byte, n)); err != nil {
		t.Fatalf("got %d bytes of %d: %v", got, n, err)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
}
