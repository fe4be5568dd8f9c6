// Package dispatch is Pen's policy in one place: it admits a client, offers it
// servers in the right order, and records what happened.
//
// Data planes ask it and move the bytes; they see nothing of the client table,
// the servers and the access lists behind it. Nothing here blocks, so an event
// loop may call it as well as a goroutine.
//
// # The phases of a flow
//
// A plane moves a flow from phase to phase by the calls that are shown; Tick and the
// release of a server's place end waits. Done ends it from any phase.
//
//	            Place.Open              Flow.Admit, Move
//	Reserve ---------------> reserved -------------------> identifying
//	   |                                                    |      |
//	   |  Place.Admit                                       |      |
//	   +----------------> choosing <------------------------+      +---> answering
//	   |                  |   ^  ^ \              Next, Dummy        Dummy, where
//	   +--> answering     |   |  |  \                                Config.Dummy is set
//	                      |   |  |   \ Next: too early for a rate, or all servers are full
//	            Next: a   |   |  |    v
//	            server    |   |  |   delayed, queued
//	                      |   |  |    |
//	                      |   |  |    | wakeUp: the time is over, or a place is free
//	                      |   |  |    v
//	                      |   |  +-- woken      Next, without a place
//	                      |   |       |
//	                      v   |       |         Next, with a place
//	                     offered <----+
//	                      |   ^
//	            Up, Ready |   | Failed, Lost, Leave: back to choosing
//	                      v   |
//	                      up -+
//	                      |
//	                      +--> leaving          Sweep: its client belongs elsewhere
//
// A flow that was never up counts as pending while it is choosing, woken or offered.
// What few flows have is allocated when they need it: a wait when one has to wait, a
// history when its first server does not do, an extra when it is metered or recorded.
//
// # A drain
//
// A drain takes the flows of one server to others within a time:
//
//	          Drain(slot, time)                            Sweep, when the server has no flow
//	no drain -------------------> draining until T -----------------------------------> no drain
//	                               |         ^    Sweep, or the server is enabled again
//	                               +---------+
//	                               Sweep ends flows, so that what is left falls evenly to 0 at T
//
// It is the operator who sets the server to draining or disabled; a drain without that
// ends with the next Sweep.
package dispatch
