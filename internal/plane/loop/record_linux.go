package loop

import (
	"sync/atomic"

	"pen/internal/dispatch"
	"pen/internal/plane"
)

// What a record is doing.
const (
	free       uint8 = iota
	connecting       // to a server
	retrying         // to connect to a server whose queue is full
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
	broken bool // it is to end with a reset
	ending dispatch.Ending
	stop   dispatch.Ending // broken: by the side that takes no more, if it sends no more either
	last   uint8           // draining: which side
	ends   [2]bool         // the end of this half is the end of both
	late   bool            // connecting: it was given its time once more
	pause  uint8           // draining, retrying: ticks to the next look
	side   [2]side

	timer  timer
	due    uint32 // connecting, retrying, draining: the tick at which it is out of time
	waited uint32 // draining: ticks without progress
	unsent int32  // and how many bytes there were then
}

// A side is a descriptor; gen is what its events are known by.
type side struct {
	fd    atomic.Int32
	gen   uint32
	ready uint8
	quiet bool // bytes to be read are not told
}

// A half moves bytes from its side to the other one.
type half struct {
	read, written atomic.Uint64 // bytes
	eof           atomic.Uint32 // 1: its side sends no more, the other one knows
	tail          int32         // buffer with bytes that were not taken, or -1
	pipe          int32         // pipe with or for bulk, or -1
	piped         int32         // bytes in the pipe
	until         uint32        // the tick before which it reads nothing, or 0
	full          uint8         // reads in a row that filled the buffer
	blocked       bool          // its side has bytes that the other one did not take
	tapped        bool          // its loop has a tap that is told of what is read
	over          bool          // nothing more will be moved
}

// note notes what ends the connection: an error at one side, or nil for its end in
// order.
func (r *record) note(which uint8, err error) {
	r.ending = r.ending.Then(plane.Ending(which == server, err))
}

// A carrier is what the Dispatcher knows of a connection. It outlives the
// record's use for it.
type carrier struct {
	loop   atomic.Pointer[loop] // which has it
	rec    *record              // set before loop is
	id     int32
	gen    uint32
	killed atomic.Uint32 // by which [dispatch.Ending], before a loop had it
}

// Traffic implements [dispatch.Carrier].
func (c *carrier) Traffic() dispatch.Traffic {
	if c.loop.Load() == nil {
		return dispatch.Traffic{ClientFD: -1, ServerFD: -1}
	}
	up, down := &c.rec.half[client], &c.rec.half[server]
	return dispatch.Traffic{
		FromClient: up.read.Load(), ToServer: up.written.Load(),
		FromServer: down.read.Load(), ToClient: down.written.Load(),
		ClientEOF: up.eof.Load() != 0, ServerEOF: down.eof.Load() != 0,
		ClientFD: int(c.rec.side[client].fd.Load()), ServerFD: int(c.rec.side[server].fd.Load()),
	}
}

// Kill implements [dispatch.Carrier]: both sides are reset, soon.
func (c *carrier) Kill(why dispatch.Ending) {
	c.killed.Store(uint32(why))
	if l := c.loop.Load(); l != nil {
		l.post(note{kind: noteKill, why: why, id: c.id, gen: c.gen})
	}
}

// records are the places for connections, in chunks that never move. Chunks in
// which nothing is left are let go after a spike.
type records struct {
	places
	chunks [][]record
	flows  [][]*dispatch.Flow // of the same places
}

// Where a chunk was let go. Events and words of others may still name its
// records; nothing is ever written here, since no event has its gen.
var (
	noRecords = make([]record, chunkSize)
	noFlows   = make([]*dispatch.Flow, chunkSize)
)

func (rs *records) at(id int32) *record { return &rs.chunks[id/chunkSize][id%chunkSize] }

func (rs *records) flow(id int32) *dispatch.Flow { return rs.flows[id/chunkSize][id%chunkSize] }

// take returns a place for a connection.
func (rs *records) take(f *dispatch.Flow) (int32, *record) {
	id, grown := rs.places.take()
	if c := int(id / chunkSize); grown {
		if c == len(rs.chunks) {
			rs.chunks, rs.flows = append(rs.chunks, nil), append(rs.flows, nil)
		}
		rs.chunks[c], rs.flows[c] = make([]record, chunkSize), make([]*dispatch.Flow, chunkSize)
	}
	rs.flows[id/chunkSize][id%chunkSize] = f
	r := rs.at(id)
	*r = record{state: connecting}
	for i := range r.half {
		r.half[i].tail, r.half[i].pipe = -1, -1
		r.side[i].fd.Store(-1)
	}
	r.timer.reset()
	return id, r
}

// put gives a place back.
func (rs *records) put(id int32) {
	c := id / chunkSize
	*rs.at(id) = record{}
	rs.flows[c][id%chunkSize] = nil
	if rs.places.put(id) {
		rs.chunks[c], rs.flows[c] = noRecords, noFlows
	}
}
