package dispatch

import (
	"time"

	"pen/internal/pool"
)

// An Ending is what ended a flow. The plane that carried the flow passes it to
// [Flow.Done].
//
// What broke a connection counts, wherever anything did: a client that closes its
// side and whose server then resets is [ByServerReset]. Where both sides closed in
// order, the side that closed first counts: its end of stream arrived before that
// of the other side. What the Dispatcher ended it names itself: the plane returns
// what [Carrier.Kill] was called with, unless the flow was over before.
type Ending uint8

// All endings.
const (
	NotEnded Ending = iota // what a flow has seen that goes on
	// Refused says that Pen refused the client or its request, or found no server;
	// [Record.Refusal] says why.
	Refused
	ByClient      // it closed first, in order
	ByServer      // likewise
	ByClientReset // it broke the connection: by a reset, or by the end of the stream without TLS's close_notify
	ByServerReset // likewise
	ByClientLoss  // it does not answer: keep-alive probes or retransmissions timed out, or there is no route to it
	ByServerLoss  // likewise
	ByError       // a failure here, such as a lack of memory
	ByCompletion  // Pen closed it since nothing more is to come: all answers to a client's datagrams, or the dummy page
	// Those of the Dispatcher, and of the operator.
	ByIdleTimeout  // nothing moved for Config.IdleTimeout
	ByMaxAge       // it was older than Config.MaxAge
	ByDrain        // its server was drained
	ByServerDown   // its server was found down, and Config.CloseDown is set
	ByRebalance    // its client belongs to another server
	ByRules        // the access lists changed for its client
	ByDisplacement // it made room for another flow
	ByKill         // the operator killed it
	ByStop         // the listener or the whole of Pen stops
	Endings        = iota
)

// String returns the word that records and metrics use.
func (e Ending) String() string {
	return [Endings]string{
		"none", "refused", "client", "server", "client_reset", "server_reset", "client_lost", "server_lost", "relay_error", "complete",
		"idle_timeout", "max_age", "drain", "on_down", "rebalance", "rules", "displaced", "killed", "stopping",
	}[e]
}

// Then returns what ends a flow that has seen e and now sees another ending: the
// first one, but a break or a kill rather than an orderly end.
func (e Ending) Then(next Ending) Ending {
	if e == NotEnded || e.inOrder() && next != NotEnded && !next.inOrder() {
		return next
	}
	return e
}

func (e Ending) inOrder() bool { return e == ByClient || e == ByServer || e == ByCompletion }

// judgeEnd says how a server has done by a flow that leaves it after it was up.
// A server that takes a connection and ends it at once, without a byte, is
// there and does not work.
func (f *Flow) judgeEnd(s *pool.Server, t Traffic, e Ending, now time.Duration) {
	answered := t.FromServer > f.credited().received
	// A reset is seen after both have ended only if the client ended last.
	byServer := e == ByServer || e == ByServerReset && (t.ServerEOF || !t.ClientEOF) || t.ServerEOF && !t.ClientEOF
	switch {
	case answered:
		f.d.pool.WentWell(s)
	case byServer && now-f.since < f.d.cfg.EarlyEnd:
		f.d.note(EarlyEnd)
		if f.d.pool.EarlyEnd(s, f.client.addr(), now) {
			f.d.tell(s, EndsEarly)
		}
	}
}
