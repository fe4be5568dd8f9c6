package main

import (
	"io"
	"log/slog"
	"os"
	"time"
)

const (
	flushTime    = time.Second      // how long a line may wait in the buffer
	flushSize    = 64 << 10         // bytes that wait at most
	complainTime = 10 * time.Second // how often a log that can't be written is reported, at most
)

// An output writes lines to a file or to standard output. No line waits longer
// than flushTime, whether or not others follow it. A full disk costs the lines
// that were to be written meanwhile and no others.
type output struct {
	w        io.WriteCloser
	log      *slog.Logger
	buf      []byte // whole lines
	lines    int    // in buf
	since    time.Time
	cut      bool      // the last line in the file lacks its end
	lost     int       // lines since the last one that was written
	reported time.Time // when the loss was last reported
}

// openFile opens the file to append to; the empty name is standard output.
func openFile(name string) (io.WriteCloser, error) {
	if name == "" {
		return os.Stdout, nil
	}
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
}

// line adds a line. It is written when it is due.
func (o *output) line(text string, now time.Time) {
	if o.lines == 0 {
		o.since = now
	}
	o.lines++
	o.buf = append(append(o.buf, text...), '\n')
	if len(o.buf) >= flushSize {
		o.flush(now)
	}
}

// flushDue writes the lines if the first of them has waited for flushTime.
func (o *output) flushDue(now time.Time) {
	if o.lines > 0 && now.Sub(o.since) >= flushTime {
		o.flush(now)
	}
}

// flush writes the lines that wait, or loses them.
func (o *output) flush(now time.Time) error {
	if o.lines == 0 {
		return nil
	}
	if o.cut { // what could be written of a lost line becomes a line of its own
		o.buf = append([]byte{'\n'}, o.buf...)
	}
	n, err := o.w.Write(o.buf)
	if n > 0 {
		o.cut = o.buf[n-1] != '\n'
	}
	if err != nil {
		o.lost += o.lines
		if now.Sub(o.reported) >= complainTime {
			o.reported = now
			o.log.Error("can't write the log, lines are lost", "error", err)
		}
	} else if o.lost > 0 {
		o.log.Warn("the log is written again", "lost", o.lost)
		o.lost = 0
	}
	o.buf, o.lines = o.buf[:0], 0
	return err
}

// reopen goes on with another file, or with the old one if that can't be opened.
func (o *output) reopen(name string, now time.Time) {
	next, err := openFile(name)
	if err != nil {
		o.log.Error("the old file stays", "error", err)
		return
	}
	o.close(now)
	o.w, o.cut = next, false
}

// close writes the lines that wait and closes the file.
func (o *output) close(now time.Time) error {
	err := o.flush(now)
	if o.w != os.Stdout {
		o.w.Close()
	}
	return err
}
