package stream

import (
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/testenv"
	"pen/internal/wire"
)

// TestAnyEdge has clients do anything at edges of all kinds, to servers that do
// anything: when they are gone all of it ends, and is given back.
func TestAnyEdge(t *testing.T) {
	testenv.CheckLeaks(t)
	people := newCast(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for i := range uint64(24) {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, i))
			e, preamble := people.anyEdge(t, rnd)
			cfg := config(preamble, people.anyServer(t, rnd.Uint64(), preamble), testenv.Echo(t), testenv.Refused(t))
			cfg.ConnectTimeout = time.Second
			cfg.EndWithClient, cfg.EndWithServer = rnd.IntN(4) == 0, rnd.IntN(4) == 0
			if rnd.IntN(3) == 0 {
				cfg.Limits.ConnBandwidth = 1 << 20
			}
			if rnd.IntN(3) == 0 {
				cfg.Watch = dispatch.WatchClients | dispatch.WatchServers
				cfg.Observer = reader{read: func(chunk []byte) { clear(make([]byte, len(chunk))) }}
			}
			s := serve(t, testenv.Loopback, e, timeouts{time.Second, time.Second, time.Second, time.Second}, cfg)
			var all sync.WaitGroup
			for range 40 {
				own := rand.New(rand.NewPCG(rnd.Uint64(), 0))
				all.Go(func() { people.anyClient(s, own) })
			}
			all.Wait()
			s.flows(t, 0) // nobody had to end them
			wantNothing(t, s.d)
		})
	}
}

// anyEdge is an edge of any kind.
func (p *cast) anyEdge(t *testing.T, rnd *rand.Rand) (*edge.Ends, edge.Preamble) {
	coin := func() bool { return rnd.IntN(2) == 0 }
	e, preamble := &edge.Ends{}, edge.Preamble{Header: rnd.IntN(3), TLVs: wire.TLVs{UniqueID: coin(), Authority: coin(), ALPN: coin(), TLS: coin(), CRC32C: coin()}}
	if coin() {
		e.Proxies = fromLoopback.Proxies
	}
	if coin() {
		e.TLS = p.server
	}
	if coin() {
		e.HTTP = &edge.HTTP{Forwarded: coin()}
	}
	if coin() {
		preamble.TLS = p.client
	}
	if coin() {
		other := newDispatcher(config(edge.Preamble{}, testenv.Echo(t)))
		t.Cleanup(func() { wantNothing(t, other) })
		e.Routes = new(edge.Routes[edge.Service])
		e.Routes.Add("sni", "www.example.com", edge.Service{Dispatcher: other, Ends: &edge.Ends{TLS: e.TLS}})
	}
	return e, preamble
}

// noGood is what somebody says that means no good.
var noGood = []string{
	line, block(told), "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
	"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n",
	"HTTP/1.1 101 Switching Protocols\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "\x16\x03\x01\x02", "\x00", "\r\n", "x",
	string(make([]byte, 200<<10)),
}

// misbehave says and does anything on a connection, and ends it in any way.
func misbehave(c net.Conn, rnd *rand.Rand) {
	for range rnd.IntN(8) {
		text := noGood[rnd.IntN(len(noGood))]
		switch rnd.IntN(7) {
		case 0:
			text = text[:rnd.IntN(len(text))]
		case 1:
			c.SetReadDeadline(time.Now().Add(time.Duration(rnd.IntN(50)) * time.Millisecond))
			io.CopyN(io.Discard, struct{ io.Reader }{c}, rnd.Int64N(1<<18))
			continue
		case 2:
			if half, ok := c.(interface{ CloseWrite() error }); ok && rnd.IntN(3) == 0 {
				half.CloseWrite()
			}
		}
		if _, err := io.WriteString(c, text); err != nil {
			break
		}
	}
	if tcp, ok := c.(*net.TCPConn); ok && rnd.IntN(3) == 0 {
		tcp.SetLinger(0)
	}
	c.Close()
}

// anyServer is a server that does anything.
func (p *cast) anyServer(t *testing.T, seed uint64, preamble edge.Preamble) netip.AddrPort {
	var mu sync.Mutex
	rnd := rand.New(rand.NewPCG(seed, 1))
	return testenv.Serve(t, func(c testenv.Conn) {
		mu.Lock()
		own := rand.New(rand.NewPCG(rnd.Uint64(), 0))
		mu.Unlock()
		c.SetDeadline(time.Now().Add(2 * time.Second))
		if preamble.TLS != nil && preamble.Header == 0 && own.IntN(4) > 0 {
			misbehave(tls.Server(c, p.inside), own)
		}
		misbehave(c, own)
	})
}

// anyClient is a client that does anything, a part of which is what it should.
func (p *cast) anyClient(s *service, rnd *rand.Rand) {
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Second))
	e := s.ends.Load()
	if e.Proxies.Networks != nil && rnd.IntN(4) > 0 {
		io.WriteString(c, line)
	}
	if (e.TLS != nil || e.Routes != nil) && rnd.IntN(4) > 0 {
		misbehave(tls.Client(c, p.outside), rnd)
	}
	misbehave(c, rnd)
}
