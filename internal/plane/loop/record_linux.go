package loop

import (
	"errors"
	"sync/atomic"
	"syscall"

	"pen/internal/dispatch"
)

// What a record is doing.
const (
	free       uint8 = iota
	connecting       // to a server
	waiting          // for a place at a server, or until it may go on
	relaying
	draining  // its last bytes are on their way, then it ends
	answering // the client gets the dummy page
)

// The sides of a connection, and the halves that read from them.
const (
	client = 0
	server = 1
)

// What is known of a descriptor from its events.
const (
	canRead  uint8 = 1 << iota
	canWrite       // as far as is known
	ending         // no more will come: read to the end
	failed         // there was an error
)

// A record is one connection. It has no pointers, so that the garbage
// collector need not look at it; its loop owns it. Numbers that others read as
// well are written atomically.
type record struct {
	half   [2]half
	state  uint8
	broken bool  // it is to end with a reset
	last   uint8 // draining: which side
	side   [2]side

	reset uint32 // the server has reset its connection; atomic
	first uint32 // the side whose end came first, plus 1; atomic

	timer  timer
	due    uint32 // connecting: the tick at which it is out of time
	waited uint32 // draining: ticks without progress
	unsent int32  // and how many bytes there were then
	pause  uint8  // ticks to the next look
}

// A side is a descriptor; gen is what its events are known by.
type side struct {
	fd    int32 // atomic
	gen   uint32
	ready uint8
	quiet bool // bytes to be read are not told
}

// A half moves bytes from its side to the other one.
type half struct {
	read, written uint64 // bytes; atomic
	eof           uint32 // its side sends no more, the other one knows; atomic
	tail          int32  // buffer with bytes that were not taken, or -1
	pipe          int32  // pipe with or for bulk, or -1
	piped         int32  // bytes in the pipe
	until         uint32 // the tick before which it reads nothing, or 0
	full          uint8  // reads in a row that filled the buffer
	tapped        bool   // its loop has a tap that is told of what is read
	over          bool   // nothing more will be moved
	ends          bool   // its end is the end of both
}

// noteReset notes that the server has ended its connection by a reset, if that
// is the side, and what its error says.
func (r *record) noteReset(which uint8, err error) {
	if which == server && (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)) {
		atomic.StoreUint32(&r.reset, 1)
	}
}

// A carrier is what the Dispatcher knows of a connection. It outlives the
// record's use for it.
type carrier struct {
	loop   atomic.Pointer[loop] // which has it
	rec    *record              // set before loop is
	id     int32
	gen    uint32
	killed atomic.Bool // before a loop had it
}

// Traffic implements [dispatch.Carrier].
func (c *carrier) Traffic() dispatch.Traffic {
	if c.loop.Load() == nil {
		return dispatch.Traffic{ClientFD: -1, ServerFD: -1}
	}
	up, down := &c.rec.half[client], &c.rec.half[server]
	return dispatch.Traffic{
		FromClient: atomic.LoadUint64(&up.read), ToServer: atomic.LoadUint64(&up.written),
		FromServer: atomic.LoadUint64(&down.read), ToClient: atomic.LoadUint64(&down.written),
		ClientEOF: atomic.LoadUint32(&up.eof) != 0, ServerEOF: atomic.LoadUint32(&down.eof) != 0,
		ClientFirst: atomic.LoadUint32(&c.rec.first) == client+1, ServerReset: atomic.LoadUint32(&c.rec.reset) != 0,
		ClientFD: int(atomic.LoadInt32(&c.rec.side[client].fd)), ServerFD: int(atomic.LoadInt32(&c.rec.side[server].fd)),
	}
}

// Kill implements [dispatch.Carrier]: both sides are reset, soon.
func (c *carrier) Kill() {
	c.killed.Store(true)
	if l := c.loop.Load(); l != nil {
		l.post(note{kind: noteKill, id: c.id, gen: c.gen})
	}
}

const chunkSize = 256

// records are the places for connections, in chunks that never move.
type records struct {
	chunks [][]record
	flows  [][]*dispatch.Flow // of the same places
	unused []int32
}

func (rs *records) at(id int32) *record { return &rs.chunks[id/chunkSize][id%chunkSize] }

func (rs *records) flow(id int32) *dispatch.Flow { return rs.flows[id/chunkSize][id%chunkSize] }

// take returns a place for a connection.
func (rs *records) take(f *dispatch.Flow) (int32, *record) {
	if len(rs.unused) == 0 {
		first := int32(len(rs.chunks) * chunkSize)
		rs.chunks = append(rs.chunks, make([]record, chunkSize))
		rs.flows = append(rs.flows, make([]*dispatch.Flow, chunkSize))
		for id := first + chunkSize - 1; id >= first; id-- {
			rs.unused = append(rs.unused, id)
		}
	}
	id := rs.unused[len(rs.unused)-1]
	rs.unused = rs.unused[:len(rs.unused)-1]
	rs.flows[id/chunkSize][id%chunkSize] = f
	r := rs.at(id)
	*r = record{state: connecting}
	for i := range r.half {
		r.half[i].tail, r.half[i].pipe = -1, -1
		r.side[i].fd = -1
	}
	r.timer.reset()
	return id, r
}

// put gives a place back.
func (rs *records) put(id int32) {
	r := rs.at(id)
	*r = record{}
	rs.flows[id/chunkSize][id%chunkSize] = nil
	rs.unused = append(rs.unused, id)
}
