package loop

const (
	// heldMost is from how many bytes on in pipes and tails no more is spliced
	// than the other side is likely to take.
	heldMost = 2 << 20
	// Pipes are looked at every stuckLook ticks. One whose half has written less
	// than slowBytes in each of stuckLooks looks is wanted back.
	stuckLook  = 125 // half a second
	stuckLooks = 2
	slowBytes  = 16 << 10
)

// watched reports whether there are pipes to be looked at.
func (ps *pipes) watched() bool { return len(ps.owners) > 0 || len(ps.spare) > 0 && !ps.ample }

// rescue takes the pipes back from sides that take bulk slowly, or none at all:
// what is in them is kept like anything that a side did not take. Where
// descriptors are scarce pipes that nobody has used lately are closed.
func (l *loop) rescue() {
	if !l.pipes.watched() || l.wheel.clock-l.looked < stuckLook {
		return
	}
	l.looked = l.wheel.clock
	for i := len(l.pipes.owners) - 1; i >= 0; i-- {
		o := &l.pipes.owners[i]
		h := &l.rs.at(o.token >> 1).half[o.token&1]
		if written := h.written.Load(); o.looks == 0 || written-o.written >= slowBytes {
			o.looks, o.written = 1, written
			continue
		}
		if o.looks++; o.looks > stuckLooks {
			l.takeBack(h)
		}
	}
	if !l.pipes.ample && !l.pipes.used {
		l.pipes.trim()
	}
	l.pipes.used = false
}

// takeBack moves what is in a half's pipe to a tail.
func (l *loop) takeBack(h *half) {
	if n := int(h.piped); n > 0 {
		id, buf := l.tails.room(n)
		got := 0
		for got < n {
			m, errno := readPipe(l.pipes.at(h.pipe).r, buf[got:])
			if m <= 0 || errno != 0 {
				break
			}
			got += m
		}
		h.piped -= int32(got)
		l.held -= got
		if got == 0 {
			l.tails.drop(id)
			return
		}
		l.tails.at(id).end = got
		h.tail = id
	}
	h.full = 0
	if h.piped == 0 {
		l.returnPipe(h)
	}
}
