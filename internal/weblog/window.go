package weblog

import (
	"io"
	"math"
	"slices"
)

// maxLines bounds Pen's lines in a window. A line takes some 300 bytes.
const maxLines = 1 << 20

// A window is the part of Pen's log that the current lines of the web servers are compared
// with: from twice the jitter before the latest of them to twice the jitter after it, so
// that lines of either log may be late by the jitter.
type window struct {
	pen      *penLog
	jitter   int64
	most     int   // lines
	latest   int64 // time of the web servers' lines
	newest   int64 // time of Pen's lines
	ended    bool
	narrowed bool     // there were too many lines for it
	queue    []queued // in the order of the log
	byKey    map[key][]seen
}

// A queued line is one in the order in which lines are forgotten.
type queued struct {
	key  key
	time int64
}

// A seen line is one in the list of its key, which is sorted by time.
type seen struct {
	time   int64
	client string
}

func newWindow(pen *penLog, jitter int64) *window {
	return &window{
		pen: pen, jitter: jitter, most: maxLines,
		latest: math.MinInt64, newest: math.MinInt64, byKey: map[key][]seen{},
	}
}

// moveTo moves the window forward to a time. It never moves back.
func (w *window) moveTo(t int64) error {
	w.latest = max(w.latest, t)
	for len(w.queue) > 0 && w.queue[0].time < w.latest-2*w.jitter {
		w.forget()
	}
	for !w.ended && w.newest <= w.latest+2*w.jitter {
		if len(w.queue) >= w.most {
			w.narrowed = true
			// Keep a full window centered on the web servers' time.
			if w.newest-w.latest >= w.latest-w.queue[0].time {
				return nil
			}
			w.forget()
		}
		line, err := w.pen.next()
		if err == io.EOF {
			w.ended = true
			return nil
		}
		if err != nil {
			return err
		}
		w.add(line)
	}
	return nil
}

func (w *window) add(line penLine) {
	w.newest = max(w.newest, line.time)
	if line.time < w.latest-2*w.jitter {
		return
	}
	w.queue = append(w.queue, queued{line.key, line.time})
	list := w.byKey[line.key]
	i := len(list)
	for i > 0 && list[i-1].time > line.time {
		i--
	}
	w.byKey[line.key] = slices.Insert(list, i, seen{line.time, line.client})
}

// forget drops the line that was read first, or an older one of its key.
func (w *window) forget() {
	k := w.queue[0].key
	w.queue = w.queue[1:]
	if list := w.byKey[k]; len(list) > 1 {
		w.byKey[k] = list[1:]
	} else {
		delete(w.byKey, k)
	}
}

// find returns the client of the line nearest to a time, the earlier one if two are equally
// near.
func (w *window) find(k key, t int64) (client string, ok bool) {
	list := w.byKey[k]
	after := first(list, t)
	best := after
	if after > 0 && (after == len(list) || t-list[after-1].time <= list[after].time-t) {
		best = first(list, list[after-1].time)
	}
	if best == len(list) || distance(list[best].time, t) > w.jitter {
		return "", false
	}
	return list[best].client, true
}

// first is the index of the first line that is not before a time.
func first(list []seen, t int64) int {
	i, _ := slices.BinarySearchFunc(list, t, func(s seen, t int64) int { return int(max(-1, min(1, s.time-t))) })
	return i
}

func distance(a, b int64) int64 { return max(a-b, b-a) }
