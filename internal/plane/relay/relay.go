// Package relay says how a connection through Pen closes: what follows when one side
// ends, breaks, or takes no more bytes. The rules are a table. A plane reports what
// happens on the two sides and executes the actions that it gets in return; it moves
// the bytes itself.
//
// The rules in words:
//
//   - The end of one direction is passed on and leaves the other direction alone.
//   - A broken connection is passed on as a reset, after the last bytes have arrived:
//     the other side gets all that was sent before, and can't take the stream for
//     complete.
//   - A side that takes no more may still send: that is delivered first.
//   - Closing a socket with bytes unread destroys what was written to it. So where
//     that may be, the last bytes are waited for, with patience.
//
// The states of a connection:
//
//	Open ─ EOF ─────────▶ …Ended ─── EOF of the other side ─▶ Over (closed)
//	 │└─── Unwritable ──▶ …Unwritable ─┐
//	 ├──── FinalEOF ─────────┬─── EOF ─┴─▶ Drain…      ─ Drained ─▶ Over (closed)
//	 ├──── Complete ─────────┘
//	 └──── Broken, and a second failure ─▶ ResetAfter… ─ Drained ─▶ Over (reset)
//	any ── Killed ─▶ Over (reset)
package relay

// A Side is one of the two connections that a relay joins.
type Side uint8

// The two sides.
const (
	Client Side = iota
	Server
)

// Other returns the opposite side.
func (s Side) Other() Side { return 1 - s }

// A State is what may still happen on a connection.
type State uint8

// The states. A new connection is Open.
const (
	Open             State = iota // both directions carry bytes
	ClientEnded                   // the client sends no more, and the server was told
	ServerEnded                   // the server sends no more, and the client was told
	ClientUnwritable              // the client takes no more bytes; what it sends is carried
	ServerUnwritable              // the server takes no more bytes; what it sends is carried
	DrainClient                   // closed as soon as the client has its last bytes
	DrainServer                   // closed as soon as the server has its last bytes
	ResetAfterClient              // reset as soon as the client has its last bytes
	ResetAfterServer              // reset as soon as the server has its last bytes
	Over                          // closed or reset
	states           = iota
)

// An Event is what happened on one side.
type Event uint8

// The events. A plane reports the end of what a side sends only after it has passed on
// all bytes before it.
const (
	EOF        Event = iota // it sends no more
	FinalEOF                // likewise, and by configuration that ends both directions
	Broken                  // it has broken the connection: by a reset, also after its EOF
	Unwritable              // a write to it failed
	Complete                // it has all that it will get, as the plane knows
	Drained                 // it has its last bytes, or had time enough to take them
	Killed                  // the connection must go; on whichever side
	events     = iota
)

// An Action is a set of things that a plane must do, in the order below.
type Action uint8

// The actions. Directions from which a state no longer reads are given up first, with
// the bytes that are held for them.
const (
	EndClient Action = 1 << iota // shut down writing to the client
	EndServer                    // shut down writing to the server
	Drain                        // wait for last bytes, then report Drained; see Draining
	Close                        // close both sides in order
	Reset                        // reset both sides
	// Marks of the table: nothing is done.
	late  // the connection is as good as closed; another goroutine had yet to notice
	never // can't happen: nobody reads from that side, or writes to it
)

type step struct {
	next State
	do   Action
}

var (
	ignored    = step{do: late}
	impossible = step{do: never}
	killed     = step{Over, Reset}
)

// table has the steps for the events of the client. Those of the server are the same
// with the sides exchanged.
var table = [states][events]step{
	Open: {
		EOF:        {ClientEnded, EndServer},
		FinalEOF:   {DrainServer, EndServer | Drain},
		Broken:     {ResetAfterServer, Drain},
		Unwritable: {ClientUnwritable, 0},
		Complete:   {DrainClient, EndClient | Drain},
		Drained:    impossible,
		Killed:     killed,
	},
	ClientEnded: {
		EOF:        impossible,
		FinalEOF:   impossible,
		Broken:     {ResetAfterServer, Drain},
		Unwritable: {ResetAfterServer, Drain},
		Complete:   {DrainClient, EndClient | Drain},
		Drained:    impossible,
		Killed:     killed,
	},
	ServerEnded: {
		EOF:        {Over, EndServer | Close},
		FinalEOF:   {DrainServer, EndServer | Drain},
		Broken:     {ResetAfterServer, Drain},
		Unwritable: impossible,
		Complete:   impossible,
		Drained:    impossible,
		Killed:     killed,
	},
	ClientUnwritable: {
		EOF:        {DrainServer, EndServer | Drain},
		FinalEOF:   {DrainServer, EndServer | Drain},
		Broken:     {ResetAfterServer, Drain},
		Unwritable: impossible,
		Complete:   impossible,
		Drained:    impossible,
		Killed:     killed,
	},
	ServerUnwritable: {
		EOF:        impossible,
		FinalEOF:   impossible,
		Broken:     impossible,
		Unwritable: {ResetAfterServer, Drain},
		Complete:   {DrainClient, EndClient | Drain},
		Drained:    impossible,
		Killed:     killed,
	},
	DrainClient:      finishing(step{Over, Close}),
	DrainServer:      finishing(impossible),
	ResetAfterClient: finishing(step{Over, Reset}),
	ResetAfterServer: finishing(impossible),
	Over:             finishing(ignored),
}

// finishing has the steps of a state in which nothing is carried any more.
func finishing(drained step) [events]step {
	return [events]step{
		EOF: ignored, FinalEOF: ignored, Broken: ignored, Unwritable: ignored, Complete: ignored,
		Drained: drained,
		Killed:  killed,
	}
}

// exchanged is each state with the sides exchanged.
var exchanged = [states]State{
	Open: Open, ClientEnded: ServerEnded, ServerEnded: ClientEnded, ClientUnwritable: ServerUnwritable, ServerUnwritable: ClientUnwritable,
	DrainClient: DrainServer, DrainServer: DrainClient, ResetAfterClient: ResetAfterServer, ResetAfterServer: ResetAfterClient, Over: Over,
}

// on returns the step for an event.
func (s State) on(side Side, e Event) step {
	if side == Client {
		return table[s][e]
	}
	to := table[exchanged[s]][e]
	if to.do&(EndClient|EndServer) != 0 { // one of them
		to.do ^= EndClient | EndServer
	}
	to.next = exchanged[to.next]
	return to
}

// reads are the sides from which a state reads, as bits.
var reads = [states]uint8{
	Open:        1<<Client | 1<<Server,
	ClientEnded: 1 << Server, ServerEnded: 1 << Client,
	ClientUnwritable: 1 << Client, ServerUnwritable: 1 << Server,
}

// Reads reports whether bytes of a side are still carried to the other one.
func (s State) Reads(from Side) bool { return reads[s]>>from&1 != 0 }

// Draining returns the side whose last bytes are waited for. It reports false in
// states without such a wait.
func (s State) Draining() (Side, bool) {
	switch s {
	case DrainClient, ResetAfterClient:
		return Client, true
	case DrainServer, ResetAfterServer:
		return Server, true
	}
	return 0, false
}
