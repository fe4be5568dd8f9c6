package dispatch

import (
	"net/netip"

	"pen/internal/pool"
)

// An Observer is told what happens in a service. Its methods are called without the
// Dispatcher's lock, by any goroutine, perhaps under a lock of a plane's. They must not
// block or call a plane.
type Observer interface {
	// Refused says that a client was refused that had no flow. Those that had one have
	// a Record. Only with WatchRefusals.
	Refused(client netip.AddrPort, why Refusal)
	// Ended hands over the record of a flow that is over. Only with WatchRecords.
	Ended(*Record)
	// ServerChanged says that clients' traffic, or a check, changed the state of a
	// server beyond a failed connect, which planes log.
	ServerChanged(t Target, how Change)
	// ConnectFailed says that a connect to the server of a slot has failed, whichever
	// of its addresses it was.
	ConnectFailed(slot int)
	// Read shows a chunk that a plane has read, with the server's address without its
	// port. It must not keep the chunk. Only with WatchClients or WatchServers.
	Read(client netip.Addr, server string, fromClient bool, chunk []byte)
}

// NoObserver observes nothing. An Observer of a few things embeds it.
type NoObserver struct{}

// Refused implements [Observer], as all methods of NoObserver do.
func (NoObserver) Refused(netip.AddrPort, Refusal)       {}
func (NoObserver) Ended(*Record)                         {}
func (NoObserver) ServerChanged(Target, Change)          {}
func (NoObserver) ConnectFailed(int)                     {}
func (NoObserver) Read(netip.Addr, string, bool, []byte) {}

// Watch is what an Observer is told of the things that cost something where they are
// told: bits.
type Watch uint8

const (
	WatchRefusals Watch = 1 << iota
	WatchRecords
	WatchClients // what is read from clients
	WatchServers // and from servers
)

// A Change is what traffic or a check did to the state of a server.
type Change uint8

const (
	Reconnects   Change = iota // connections to it succeed again
	GetsDatagram               // datagrams are sent to it again
	Answers                    // it answers datagrams again
	EndsEarly                  // it was taken out of rotation, for connections that it ended at once
	ChecksPass                 // a check says that it can be connected to again
	changes      = iota
)

// String returns what follows the word "server" in a log.
func (c Change) String() string {
	return [changes]string{
		"takes connections again", "gets datagrams again", "answers again",
		"left alone: it ends connections without a byte", "takes connections again, a check says",
	}[c]
}

// refuse counts a client that is refused and has no flow. The lock must be held: the
// Observer is told when it is given back.
func (d *Dispatcher) refuse(client netip.AddrPort, why Refusal) {
	d.counters.refused[why].Add(1)
	d.tellRefused(client, why)
}

func (d *Dispatcher) tellRefused(client netip.AddrPort, why Refusal) {
	if o := d.cfg.Observer; d.cfg.Watch&WatchRefusals != 0 {
		d.woken = append(d.woken, func() { o.Refused(client, why) })
	}
}

// Refuse counts a client that has no flow and was refused. It takes no lock.
func (d *Dispatcher) Refuse(client netip.AddrPort, why Refusal) {
	d.counters.refused[why].Add(1)
	if cfg := d.rules.Load(); cfg.Watch&WatchRefusals != 0 {
		cfg.Observer.Refused(client, why)
	}
}

// Refuse says why the flow's client, or its request, is refused: by the flow's service,
// or by the one that it can't be moved to, which counts that. Done comes next, with
// Refused.
func (f *Flow) Refuse(by *Dispatcher, why Refusal) {
	f.d.mu.Lock()
	defer f.d.unlock()
	f.refused(by, why, nil)
}

// refused counts why a flow is refused, and returns err.
func (f *Flow) refused(by *Dispatcher, why Refusal, err error) error {
	f.why = why
	by.counters.refused[why].Add(1)
	return err
}

// tell tells of a server as soon as the lock is given back by unlock.
func (d *Dispatcher) tell(s *pool.Server, how Change) {
	o, t := d.cfg.Observer, Target{}
	d.target(&t, s)
	d.woken = append(d.woken, func() { o.ServerChanged(t, how) })
}
