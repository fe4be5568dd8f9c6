package relay

import "time"

// A Patience is how long a side may take for its last bytes: without any progress, and
// in all.
type Patience struct{ Still, InAll time.Duration }

// DrainTime is the Patience of all planes. What was closed in order by then goes on in
// the kernel.
var DrainTime = Patience{Still: 5 * time.Second, InAll: time.Minute}

const (
	firstPause = time.Millisecond
	maxPause   = 64 * time.Millisecond
)

// A Wait is one for the last bytes of one side, by looking at them now and then.
// The zero value is one that begins.
type Wait struct {
	unsent       int32
	pause        uint16 // before this look
	still, inAll uint32 // what has passed; as the pause in milliseconds
}

// Look takes how many bytes the side does not have yet. It returns after which pause to
// look again, or true where the wait is over.
func (w *Wait) Look(unsent int, p Patience) (pause time.Duration, over bool) {
	passed := uint32(w.pause)
	w.inAll += passed
	w.still += passed
	if int32(unsent) != w.unsent {
		w.unsent, w.still = int32(unsent), 0
	}
	if unsent == 0 || ms(w.still) > p.Still || ms(w.inAll) >= p.InAll {
		return 0, true
	}
	pause = min(max(2*ms(passed), firstPause), maxPause)
	w.pause = uint16(pause.Milliseconds())
	return pause, false
}

func ms(n uint32) time.Duration { return time.Duration(n) * time.Millisecond }
