// Package dispatch is Pen's policy in one place: it admits a client, offers it
// servers in the right order, and records what happened.
//
// Data planes ask it and move the bytes; they see nothing of the client table,
// the servers and the access lists behind it. Nothing here blocks, so an event
// loop may call it as well as a goroutine.
//
// # The phases of a flow
//
// A flow is in one phase. Calls of its plane move it, but for the end of a wait and for
// leaving:
//
//	phase         moved by                                              to
//	------------  ----------------------------------------------------  -----------
//	(a Place)     Place.Open                                            reserved
//	              Admit                                                 choosing, or answering where Config.Dummy is set
//	reserved      Flow.Admit, Move: the client is known                 identifying
//	identifying   Next, Dummy: the client has said what it wants        choosing, or answering
//	choosing      Next: a server takes it                               offered
//	              Next: it came too early for a rate                    delayed
//	              Next: all servers that it may use are full            queued
//	delayed       Tick: it has waited for long enough                   woken
//	queued        a place at a server is free, and kept for it          woken
//	              Tick: Config.QueueTime is over                        woken
//	woken         Next                                                  offered with a place, else as choosing
//	offered       Up, Ready                                             up
//	              Failed                                                choosing
//	up            Failed, Lost, Leave                                   choosing
//	              Sweep: its client belongs to another server           leaving
//	any           Done                                                  free
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
// The operator sets the server to draining or disabled; without that, the next Sweep
// ends the drain.
package dispatch
