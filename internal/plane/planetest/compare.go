package planetest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"pen/internal/testenv"
)

// Play plays a random script of traffic through a plane, and returns the results: the
// bytes that arrived at each side, how each side's stream ended, and the counters. The
// seed determines the script. Every plane must return the same. One server in three has
// a Unix socket, and some of these misbehave. Where two events happen at the same time,
// the script waits until the result does not depend on their order.
func Play(t *testing.T, build New, seed uint64) string {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 0))
	p := &play{t: t, unix: rnd.IntN(3) == 0}
	if p.unix {
		var ln *testenv.Listener
		p.s, ln = unixServer(t, build)
		p.side = [2]testenv.Conn{p.s.dial(t), ln.Next(t)}
		p.s.flows(t, 1)
	} else {
		p.s, p.side[0], p.side[1] = one(t, build)
	}
	s := p.s
	for i := range p.sum {
		p.sum[i] = sha256.New()
	}
	for range 1 + rnd.IntN(8) {
		p.step(rnd)
	}
	p.end(rnd)
	s.flows(t, 0)
	// The plane's last word.
	testenv.Eventually(t, "the client's bytes are counted", func() bool {
		c := s.d.Clients()[0]
		return c.Sent+c.Received >= uint64(p.got[0]+p.got[1])
	})
	servers, clients := s.d.Servers(), s.d.Clients()
	p.say("server sent %d received %d", servers[0].Sent, servers[0].Received)
	p.say("client sent %d received %d connects %d", clients[0].Sent, clients[0].Received, clients[0].Connects)
	for i, name := range []string{"client", "server"} {
		p.say("%s got %d bytes, %x", name, p.got[i], p.sum[i].Sum(nil)[:8])
	}
	return strings.Join(p.said, "\n")
}

type play struct {
	t    *testing.T
	s    *service
	unix bool // the server has a Unix socket
	side [2]testenv.Conn
	shut [2]bool // whether each side has closed for writing
	got  [2]int
	sum  [2]interface {
		io.Writer
		Sum([]byte) []byte
	}
	said []string
}

func (p *play) say(format string, args ...any) {
	p.said = append(p.said, fmt.Sprintf(format, args...))
}

// step sends in one direction or in both at once, or closes one.
func (p *play) step(rnd *rand.Rand) {
	from := rnd.IntN(2)
	switch choice := rnd.IntN(10); {
	case choice < 5:
		p.move(rnd, from)
	case choice < 9:
		first, second := p.moving(rnd, 0), p.moving(rnd, 1)
		first()
		second()
	case !p.shut[from] && !p.shut[1-from]:
		p.halfClose(from)
	}
}

func (p *play) halfClose(from int) {
	p.shut[from] = true
	testenv.CloseWrite(p.t, p.side[from])
	p.say("%d ends, %d sees %s", from, 1-from, p.read(1-from))
}

// move sends from one side, in one or several writes, and waits until all has arrived.
func (p *play) move(rnd *rand.Rand, from int) { p.moving(rnd, from)() }

// moving starts to send. The function that it returns waits until all has arrived.
func (p *play) moving(rnd *rand.Rand, from int) (wait func()) {
	if p.shut[from] {
		return func() {}
	}
	size := randomSize(rnd)
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(rnd.Uint32())
	}
	pieces := 1 + rnd.IntN(3)
	over := make(chan error, 2)
	go func() {
		var err error
		for i := range pieces {
			if err == nil {
				_, err = p.side[from].Write(data[i*size/pieces : (i+1)*size/pieces])
			}
		}
		over <- err
	}()
	go func() {
		buf := make([]byte, size)
		n, err := io.ReadFull(p.side[1-from], buf)
		p.got[1-from] += n
		p.sum[1-from].Write(buf[:n])
		over <- err
	}()
	return func() {
		p.t.Helper()
		for range 2 {
			if err := <-over; err != nil {
				p.t.Fatalf("%d bytes from side %d: %v", size, from, err)
			}
		}
	}
}

// randomSize returns a size of up to some megabytes, each order of magnitude with the
// same probability.
func randomSize(rnd *rand.Rand) int { return 1 + rnd.IntN(4<<20>>rnd.IntN(22)) }

// end ends both sides in one of the ways there are.
func (p *play) end(rnd *rand.Rand) {
	from := rnd.IntN(2)
	switch choice := rnd.IntN(3); {
	case choice == 0 && p.unix && !p.shut[0] && !p.shut[1]:
		p.misbehave(rnd)
	case choice == 0 && !(p.unix && from == 1):
		testenv.Reset(p.t, p.side[from])
		if !p.shut[from] { // otherwise the other side has seen the end already
			p.say("%d resets, %d sees %s", from, 1-from, p.read(1-from))
		}
	case choice == 1 && !p.shut[from]: // its last bytes must arrive
		wait := p.moving(rnd, from)
		wait()
		fallthrough
	default:
		for _, side := range []int{from, 1 - from} {
			if !p.shut[side] {
				p.halfClose(side)
			}
		}
	}
}

// misbehave has a server on a Unix socket stop reading, and answer.
func (p *play) misbehave(rnd *rand.Rand) {
	client, server := p.side[0], p.side[1]
	const waste = "nobody reads this"
	size := randomSize(rnd)
	closeRead(p.t, server)
	testenv.Write(p.t, client, waste)
	p.s.wasted(p.t, uint64(len(waste)))
	sent := make(chan error, 1)
	go func() {
		_, err := server.Write(make([]byte, size))
		server.Close()
		sent <- err
	}()
	n, err := io.CopyN(io.Discard, struct{ io.Reader }{client}, int64(size))
	if werr := <-sent; err != nil || werr != nil {
		p.t.Fatalf("%d bytes of %d: %v, %v", n, size, err, werr)
	}
	p.got[0] += size
	p.say("1 stops reading and answers, 0 sees %s", p.read(0))
}

// read reads to the end of a stream, before which no byte may come, and describes the
// end.
func (p *play) read(side int) string {
	n, err := io.Copy(io.Discard, struct{ io.Reader }{p.side[side]})
	switch {
	case n > 0:
		return fmt.Sprintf("%d bytes too many", n)
	case err == nil:
		return "the end"
	case errors.Is(err, syscall.ECONNRESET):
		return "a reset"
	}
	return err.Error()
}
