package weblog

import (
	"bytes"
	"fmt"
	"io"
	"math"
)

// The bounds of a batch of web servers' lines, which are compared with Pen's log in one pass.
const (
	batchLines = 4096
	batchBytes = 16 << 20
)

// A pending is a web server's line that waits for the end of a pass.
type pending struct {
	line   webLine
	show   string
	best   *candidate
	server string
}

// A candidate is the line of Pen's that is nearest to a request's time.
type candidate struct {
	time, apart int64
	client      string
	found       bool
}

// joinAll compares all of Pen's lines with each line of the web servers, a batch at a time.
func (m *merger) joinAll() error {
	for first := true; ; first = false {
		batch, err := m.batch()
		if err != nil || len(batch) == 0 {
			return err
		}
		if err := m.scan(batch, first); err != nil {
			return err
		}
		for _, w := range batch {
			if err := m.write(w.line, w.best.client, w.best.found, w.show); err != nil {
				return err
			}
		}
	}
}

// batch reads the next lines.
func (m *merger) batch() ([]pending, error) {
	var batch []pending
	for size := 0; len(batch) < batchLines && size < batchBytes; {
		s, err := m.next()
		if err != nil || s == nil {
			return batch, err
		}
		l := s.head
		l.line = bytes.Clone(l.line)
		size += len(l.line)
		batch = append(batch, pending{line: l, show: s.show, server: s.server})
	}
	return batch, nil
}

// scan reads all of Pen's log and finds the best line for each line of the batch.
func (m *merger) scan(batch []pending, first bool) error {
	if _, err := m.pen.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("Pen's log '%s' can't be read more than once, as -c wants: %w", m.penName, err)
	}
	wanted := map[key][]*candidate{}
	for i := range batch {
		batch[i].best = candidateFor(wanted, key{batch[i].server, batch[i].line.request}, batch[i].line.time)
	}
	o := m.opt
	if !first {
		o.Debug = nil // it was called in the first pass
	}
	pen := &penLog{newInput(m.penName, m.pen, o), o.Shift}
	if first {
		defer func() { m.count(pen.input) }()
	}
	for {
		line, err := pen.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for _, c := range wanted[line.key] {
			if d := distance(line.time, c.time); d < c.apart {
				c.apart, c.client, c.found = d, line.client, true
			}
		}
	}
}

// candidateFor returns the candidate for a request at a time. Equal requests of the same
// second, which follow each other, share it.
func candidateFor(wanted map[key][]*candidate, k key, t int64) *candidate {
	list := wanted[k]
	if n := len(list); n > 0 && list[n-1].time == t {
		return list[n-1]
	}
	c := &candidate{time: t, apart: math.MaxInt64}
	wanted[k] = append(list, c)
	return c
}
