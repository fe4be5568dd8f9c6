package loop

import (
	"sync/atomic"

	"pen/internal/dispatch"
	"pen/internal/plane/relay"
)

// What a record is doing.
const (
	free       uint8 = iota
	connecting       // to a server
	retrying         // to connect to a server whose queue is full
	waiting          // for a place at a server, or until it may go on
	relaying
	draining  // waiting for one side to have its last bytes
	answering // giving the client the dummy page
)

// What is known of a descriptor from its events.
const (
	canRead  uint8 = 1 << iota
	canWrite       // as far as is known
	ending         // no more will come: read to the end
	failed         // there was an error
)

// A record is one connection. It has no pointers, so that the garbage collector need
// not look at it. Its loop owns it; what other goroutines read as well is atomic.
type record struct {
	half  [2]half // by the side that it reads from
	side  [2]side
	relay relay.Machine
	state uint8
	final [2]bool // the end of this side is the end of both
	late  bool    // connecting: it was given its time once more

	timer timer
	due   uint32     // connecting: the tick at which it is out of time
	wait  relay.Wait // draining, retrying
}

// A side is a descriptor. Its events carry gen.
type side struct {
	fd    atomic.Int32
	gen   uint32
	ready uint8
	quiet bool // no events for bytes to be read
}

// A half moves bytes from its side to the other one.
type half struct {
	read, written atomic.Uint64 // bytes
	pipe          int32         // index of the loop's pipe that is lent to it, or -1
	piped         int32         // bytes in that pipe
	until         uint32        // the tick before which it reads nothing, or 0
	full          uint8         // reads in a row that filled the buffer
	tailed        bool          // its loop has a tail of it
	blocked       bool          // its side has bytes that the other one did not take
	tapped        bool          // its loop has a tap of the connection
}

// A carrier is what the Dispatcher knows of a connection. It outlives the record.
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
	r := c.rec
	up, down := &r.half[relay.Client], &r.half[relay.Server]
	return dispatch.Traffic{
		FromClient: up.read.Load(), ToServer: up.written.Load(),
		FromServer: down.read.Load(), ToClient: down.written.Load(),
		ClientEOF: r.relay.Ended(relay.Client), ServerEOF: r.relay.Ended(relay.Server),
		ClientFD: int(r.side[relay.Client].fd.Load()), ServerFD: int(r.side[relay.Server].fd.Load()),
	}
}

// Kill implements [dispatch.Carrier]: both sides are reset, soon.
func (c *carrier) Kill(why dispatch.Ending) {
	c.killed.Store(uint32(why))
	if l := c.loop.Load(); l != nil {
		l.post(note{kind: noteKill, why: why, id: c.id, gen: c.gen})
	}
}

// records are the places for connections, by number. A place is reused, a record is not:
// a turn that has ended a connection may still look at it. So after a spike records go.
type records struct {
	all    []*[chunkSize]place // in chunks, since a slice that grows leaves garbage
	unused []int32             // numbers
}

const chunkSize = 256

type place struct {
	*record
	flow *dispatch.Flow
}

// noRecord is in places without a connection, which events that come late may still
// name. Nothing is ever written to it, since no event has its gen.
var noRecord record

func (rs *records) place(id int32) *place { return &rs.all[id/chunkSize][id%chunkSize] }

func (rs *records) at(id int32) *record { return rs.place(id).record }

func (rs *records) flow(id int32) *dispatch.Flow { return rs.place(id).flow }

// take returns a place for a connection.
func (rs *records) take(f *dispatch.Flow) (int32, *record) {
	if len(rs.unused) == 0 {
		rs.all = append(rs.all, new([chunkSize]place))
		for id := len(rs.all)*chunkSize - 1; id >= (len(rs.all)-1)*chunkSize; id-- {
			rs.unused = append(rs.unused, int32(id))
		}
	}
	last := len(rs.unused) - 1
	id := rs.unused[last]
	rs.unused = rs.unused[:last]
	r := &record{state: connecting}
	*rs.place(id) = place{r, f}
	for i := range r.half {
		r.half[i].pipe = -1
		r.side[i].fd.Store(-1)
	}
	r.timer.reset()
	return id, r
}

// put gives a place back.
func (rs *records) put(id int32) {
	*rs.at(id) = record{}
	*rs.place(id) = place{record: &noRecord}
	rs.unused = append(rs.unused, id)
}
