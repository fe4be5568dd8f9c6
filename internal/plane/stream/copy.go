package stream

import (
	"io"
	"math"
)

const (
	// unlimited is a limit of a half's moves that is none.
	unlimited = math.MaxInt64
	// firstRead is how much is read at a go of what is not bulk. More than that
	// is never kept for a side that takes nothing.
	firstRead = 16 << 10
	// bulkReads is after how many reads in a row that filled the buffer, and were
	// taken whole, bulk is spliced.
	bulkReads = 7
)

// move moves bytes until limit bytes are moved, the source ends or one of the
// sides fails. It returns how many are moved.
func (h *half) move(pipes *pipes, limit int64) (moved int64, readErr, writeErr error) {
	if h.src.tls == nil && h.dst.tls == nil {
		return h.pump(pipes, limit)
	}
	return h.copy(limit)
}

// copy moves bytes through a buffer, as move does.
func (h *half) copy(limit int64) (moved int64, readErr, writeErr error) {
	in, err := h.input()
	if err != nil {
		return 0, err, nil
	}
	defer in.giveBack()
	for moved < limit {
		in.most = int(min(int64(in.most), limit-moved))
		b, err := in.next()
		if err == io.EOF {
			return moved, nil, nil
		}
		if err != nil {
			return moved, err, nil
		}
		h.took(b)
		n := len(b)
		if err := h.putInput(in, b); err != nil {
			return moved, nil, err
		}
		moved += int64(n)
		h.pay(n)
	}
	return moved, nil, nil
}

// took notes what was read.
func (h *half) took(b []byte) {
	h.read.Add(uint64(len(b)))
	if h.log != nil {
		h.log(b)
	}
}

// put writes bytes to the destination.
func (h *half) put(b []byte) error {
	n, err := h.dst.Write(b)
	h.written.Add(uint64(n))
	return err
}

// pay pauses for as long as the bandwidth asks for n bytes.
func (h *half) pay(n int) {
	if h.spend == nil {
		return
	}
	if pause := h.spend(n); pause > 0 {
		h.link.pause(pause)
	}
}
