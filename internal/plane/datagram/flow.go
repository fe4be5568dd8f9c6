package datagram

import (
	"container/list"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pen/internal/dispatch"
	"pen/internal/plane"
	"pen/internal/plane/relay"
	"pen/internal/sock"
	"pen/internal/wire"
)

const (
	// kept is how long a datagram may be that is kept until there is an answer.
	kept = 2048
	// maxWaiting and maxWaitingBytes bound what waits for a server, or for its
	// socket that takes no more.
	maxWaiting      = 64
	maxWaitingBytes = 64 << 10
	// A Unix client whose socket takes no more gets so many tries, one a turn.
	clientTries = 500
	clientTurn  = time.Millisecond
)

// buffers are for any datagram, and in use only while one is read; small ones
// are for most datagrams in hand, of which there may be one for each flow.
var (
	buffers = sync.Pool{New: func() any { return new([maxDatagram]byte) }}
	small   = sync.Pool{New: func() any { return new([kept]byte) }}
)

// A datagram is one in hand, in a buffer that give returns.
type datagram struct {
	b     []byte
	large *[maxDatagram]byte // or
	small *[kept]byte
}

func newDatagram(in *[maxDatagram]byte, n int) datagram {
	if n > kept {
		return datagram{b: in[:n], large: in}
	}
	d := datagram{small: small.Get().(*[kept]byte)}
	d.b = d.small[:copy(d.small[:], in[:n])]
	buffers.Put(in)
	return d
}

func (d datagram) give() {
	if d.small != nil {
		small.Put(d.small)
	} else {
		buffers.Put(d.large)
	}
}

// A flow is one client's conversation with its server. The Plane's lock guards
// what is not atomic.
type flow struct {
	plane   *Plane
	peer    peer
	control []byte // has answers sent from the address that was asked
	policy  *dispatch.Flow
	header  wire.Header // what is known of the client, for its server
	headed  bool        // the server knows it

	place *list.Element // in the Plane's table; nil before it is there
	group group
	next  *flow     // of the same client, to another server
	seen  time.Time // when the client last sent

	wanted     int // slot that it was made for, or dispatch.None
	target     dispatch.Target
	suspect    *suspect // what is known of the server
	server     net.Conn // nil while it has none
	raw        syscall.RawConn
	since      time.Time // when it came to its server
	waiting    [][]byte  // datagrams for the server, which flush sends
	size       int       // bytes of those
	sent       int       // datagrams of the client
	heard      bool      // its server has answered
	remembered bool      // by the client table, with its server

	toServerPause pause // for the sake of bandwidth

	last       []byte       // what the client sent last
	again      bool         // it is short enough to have been kept
	unanswered atomic.Bool  // nothing has come back since
	answers    atomic.Int32 // datagrams of servers
	ended      atomic.Bool

	fromClient, toServer, fromServer, toClient atomic.Uint64 // bytes
	serverFD                                   atomic.Int64  // or -1
}

// client is the client's address; invalid for one of a Unix socket.
func (f *flow) client() netip.Addr { return f.header.Source.Addr() }

// Traffic implements [dispatch.Carrier].
func (f *flow) Traffic() dispatch.Traffic {
	return dispatch.Traffic{
		FromClient: f.fromClient.Load(), ToServer: f.toServer.Load(),
		FromServer: f.fromServer.Load(), ToClient: f.toClient.Load(),
		ClientFD: f.plane.socket.descriptor(), ServerFD: int(f.serverFD.Load()),
	}
}

// Kill implements [dispatch.Carrier].
func (f *flow) Kill(why dispatch.Ending) {
	f.plane.mu.Lock()
	defer f.plane.mu.Unlock()
	f.plane.end(f, why)
}

// connect makes a socket for a server and waits for what it answers. It does
// not block: nothing is sent.
func (f *flow) connect(t dispatch.Target) error {
	f.target = t
	to := plane.Target(t)
	to.Datagram = true
	c, err := plane.Dial(context.Background(), to)
	if err != nil {
		return err
	}
	raw, err := sock.Raw(c)
	if err != nil {
		return errors.Join(err, c.Close())
	}
	raw.Control(func(fd uintptr) { f.serverFD.Store(int64(fd)) })
	f.server, f.raw, f.since = c, raw, time.Now()
	f.headed, f.heard, f.remembered = false, false, false
	f.suspect = f.plane.suspect(t)
	s := f.suspect
	f.plane.running.Go(func() { f.receive(c, raw, t, s) })
	return nil
}

// disconnect ends what connect began. What still waited is lost.
func (f *flow) disconnect() {
	c, n := f.server, len(f.waiting)
	f.server, f.waiting, f.size = nil, nil, 0
	f.serverFD.Store(-1)
	if n > 0 {
		f.plane.d.Drop(dispatch.Overflow, n)
	}
	switch {
	case c == nil:
	case n > 0:
		// flush may have the socket in use and wait for the Plane's lock, and Close
		// waits for those who have it in use.
		f.plane.running.Go(func() { c.Close() })
	default:
		c.Close()
	}
}

// send sends what the client sent. It is kept until an answer comes, in case
// that the server's machine refuses it.
func (f *flow) send(b []byte) {
	if f.server != nil && f.toServerPause.drops(f.target.Meter, len(b)) {
		f.plane.d.Drop(dispatch.Bandwidth, 1)
		return
	}
	f.sent++
	f.fromClient.Add(uint64(len(b)))
	if f.server != nil {
		f.target.Tap.Show(true, b)
	}
	if !f.transmit(b) {
		return
	}
	f.unanswered.Store(true)
	if f.again = len(b) <= kept; f.again {
		f.last = append(f.last[:0], b...)
	}
}

// transmit sends to the server, or to the next one if it turns out that there
// is none. It reports false where there is none at all.
func (f *flow) transmit(b []byte) bool {
	for {
		err := f.write(b)
		switch {
		case err == nil:
			f.toServer.Add(uint64(len(b)))
		case errors.Is(err, syscall.EAGAIN):
			f.wait(b)
		case isLost(err):
			// That is about an earlier datagram; this one was not sent.
			if !f.isStray() && !f.lost(err) {
				return false
			}
			continue
		default:
			f.plane.d.Drop(dispatch.Unsent, 1)
		}
		return true
	}
}

// lost goes to the next server, because the one that the flow has can't be
// reached, and sends again what it has not answered: nobody got it. It reports
// false, and the flow has ended, where no server is left.
func (f *flow) lost(err error) bool {
	if !f.plane.move(f, err) {
		return false
	}
	return !f.unanswered.Load() || !f.again || f.transmit(f.last)
}

// isStray reports whether an error that came from the network means nothing,
// since the server has answered what it was sent. Called with the Plane's lock
// held.
func (f *flow) isStray() bool { return f.heard && f.target.Path == "" && !f.unanswered.Load() }

// isLost reports whether an error says that a server can't be reached.
func isLost(err error) bool {
	return slices.ContainsFunc([]syscall.Errno{
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN,
		syscall.ENOPROTOOPT, syscall.ENOTCONN,
	}, func(e syscall.Errno) bool { return errors.Is(err, e) })
}

// write sends without waiting; EAGAIN says that the socket takes no more, or
// that others wait already.
func (f *flow) write(b []byte) error {
	if len(f.waiting) > 0 || f.server == nil {
		return syscall.EAGAIN
	}
	var err error
	if werr := f.raw.Write(func(fd uintptr) bool {
		err = unix.Send(int(fd), f.dress(b), unix.MSG_DONTWAIT)
		return true
	}); werr != nil {
		return werr
	}
	f.headed = f.headed || err == nil
	return err
}

// wait has a datagram wait until the server's socket takes more, or until there
// is a server.
func (f *flow) wait(b []byte) {
	if len(f.waiting) == maxWaiting || f.size+len(b) > maxWaitingBytes {
		f.plane.d.Drop(dispatch.Overflow, 1)
		return
	}
	f.waiting = append(f.waiting, slices.Clone(b))
	f.size += len(b)
	if len(f.waiting) == 1 && f.server != nil {
		c, raw := f.server, f.raw
		f.plane.running.Go(func() {
			raw.Write(func(fd uintptr) bool { return f.flush(c, int(fd)) })
			f.plane.conclude(f, c) // not within Write, for which Close waits
		})
	}
}

// flush sends what waits, and reports false if the socket takes no more.
func (f *flow) flush(c net.Conn, fd int) bool {
	f.plane.mu.Lock()
	defer f.plane.mu.Unlock()
	for f.server == c && len(f.waiting) > 0 {
		b := f.waiting[0]
		err := unix.Send(fd, f.dress(b), unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, syscall.EAGAIN):
			return false
		case err == nil:
			f.headed = true
			f.toServer.Add(uint64(len(b)))
		default: // the receiver learns it as well
			f.plane.d.Drop(dispatch.Unsent, 1)
		}
		f.waiting, f.size = f.waiting[1:], f.size-len(b)
	}
	return true
}

// receive passes on what the server answers, until its socket is closed or
// there is no server any more.
func (f *flow) receive(c net.Conn, raw syscall.RawConn, t dispatch.Target, server *suspect) {
	var toClient pause
	heard := false
	for {
		in, err := read(raw)
		if err != nil {
			if f.over(c, err) {
				return
			}
			continue
		}
		if toClient.drops(t.Meter, len(in.b)) {
			f.plane.d.Drop(dispatch.Bandwidth, 1)
			in.give()
			continue
		}
		f.fromServer.Add(uint64(len(in.b)))
		f.unanswered.Store(false)
		server.answered()
		if f.answers.Add(1); !heard {
			heard = true
			f.plane.hear(f, c)
		}
		t.Tap.Show(false, in.b)
		f.answer(in.b)
		in.give()
		if f.plane.rules().Responses >= 0 {
			f.plane.conclude(f, c)
		}
	}
}

// read waits for a datagram.
func read(raw syscall.RawConn) (in datagram, err error) {
	rerr := raw.Read(func(fd uintptr) bool {
		b := buffers.Get().(*[maxDatagram]byte)
		var n int
		if n, err = unix.Read(int(fd), b[:]); err != nil {
			buffers.Put(b)
		} else {
			in = newDatagram(b, n)
		}
		return !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR)
	})
	if rerr != nil {
		return datagram{}, rerr
	}
	return in, err
}

// over says that a server's socket has an error, and reports whether nothing more
// comes from it.
func (f *flow) over(c net.Conn, err error) bool {
	p := f.plane
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case f.server != c: // it was left, or the flow has ended
	case isLost(err) && f.isStray():
		return false
	case f.unanswered.Load():
		f.lost(err)
	default: // the next datagram begins anew
		p.failed(f, err, f.policy.Lost(p.blame(f, err)))
		p.end(f, plane.Ending(relay.Server, err))
	}
	return true
}

// answer sends to the client. It waits for a client whose socket takes no more,
// for a while.
func (f *flow) answer(b []byte) {
	err := f.plane.socket.write(b, f.peer, f.control)
	for i := 0; i < clientTries && errors.Is(err, syscall.EAGAIN) && !f.ended.Load(); i++ {
		time.Sleep(clientTurn)
		err = f.plane.socket.write(b, f.peer, f.control)
	}
	switch {
	case err == nil:
		f.toClient.Add(uint64(len(b)))
	case errors.Is(err, syscall.EAGAIN):
		f.plane.d.Drop(dispatch.Overflow, 1)
	default:
		f.plane.d.Drop(dispatch.Unsent, 1)
	}
}

// reply sends to the client what no server has said, without waiting for anybody:
// the Plane's lock is held.
func (f *flow) reply(b []byte) {
	switch err := f.plane.socket.write(b, f.peer, f.control); {
	case err == nil:
		f.toClient.Add(uint64(len(b)))
	case errors.Is(err, syscall.EAGAIN):
		f.plane.d.Drop(dispatch.Overflow, 1)
	default:
		f.plane.d.Drop(dispatch.Unsent, 1)
	}
}
