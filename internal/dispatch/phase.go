package dispatch

// A phase is what a flow is doing.
type phase uint8

const (
	free        phase = iota // it is none: a place for one
	reserved                 // it has a place, and its client is not known yet
	identifying              // its client has yet to say what it wants, as in a TLS hello
	answering                // Pen answers the client itself
	choosing                 // it needs a server
	delayed                  // it came too early for a rate, and waits until it conforms
	queued                   // it waits for a place at a server
	woken                    // its wait is over, perhaps with a place at a server, and Next was not called yet
	offered                  // it tries the server that Next has returned
	up                       // it is connected
	leaving                  // likewise, and was told to end so that its client goes elsewhere
)

// A judgement is what admission has found about a flow's client.
type judgement uint8

const (
	unjudged  judgement = iota
	permitted           // limits count the flow
	overLimit           // it is for the abuse server, as is the next one
	onList              // the access list denies it
)

// A proof is what is known of whether a client of datagrams is where it says it is.
type proof uint8

const (
	needless proof = iota // it has a connection, or got no server yet
	unproven              // it has not come back after an answer, and is counted as such
	proven
)

func (f *Flow) isUp() bool       { return f.phase >= up }
func (f *Flow) isWaiting() bool  { return f.phase == delayed || f.phase == queued }
func (f *Flow) isDiverted() bool { return f.judgement >= overLimit }

// isPending reports whether the flow counts as one that waits for its first server.
// Flows that wait in a list have a bound of their own, and keep nobody from being
// accepted.
func (f *Flow) isPending() bool {
	return (f.phase == choosing || f.phase == woken || f.phase == offered) && !f.served
}

// enterPhase changes the phase, and counts the flow by it.
func (f *Flow) enterPhase(next phase) {
	d, was := f.d, f.isPending()
	if f.phase == identifying {
		d.unidentified.remove(f.key())
	}
	f.phase = next
	if next == identifying {
		d.unidentified.add(f.key())
	}
	switch is := f.isPending(); {
	case is && !was:
		d.pending.Add(1)
	case was && !is:
		d.pending.Add(-1)
		d.roomLocked()
	}
}

// choose says that the flow is about to need a server.
func (f *Flow) choose() {
	next := choosing
	if f.d.cfg.Dummy {
		next = answering
	}
	f.enterPhase(next)
}
