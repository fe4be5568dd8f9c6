package main

import (
	"io"
	"log/slog"
	"os"
	"time"
)

const (
	flushTime    = time.Second      // how long a line may stay in the buffer
	flushSize    = 64 << 10         // bytes in the buffer at which it is written
	complainTime = 10 * time.Second // between two reports of a log that can't be written
)

// An output writes lines to a file or to standard output. No line stays in the buffer for
// longer than flushTime. A full disk costs only the lines that could not be written
// meanwhile.
type output struct {
	w        io.WriteCloser
	log      *slog.Logger
	buf      []byte    // whole lines
	lines    int       // in buf
	since    time.Time // when the first line in buf came
	cut      bool      // the last line in the file lacks its end
	lost     int       // lines since the last successful write
	reported time.Time // when the loss was last reported
}

// openFile opens a file to append to; the empty name is standard output.
func openFile(name string) (io.WriteCloser, error) {
	if name == "" {
		return os.Stdout, nil
	}
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
}

// line adds a line to the buffer.
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

// flushDue writes the buffer if its first line is there for flushTime.
func (o *output) flushDue(now time.Time) {
	if o.lines > 0 && now.Sub(o.since) >= flushTime {
		o.flush(now)
	}
}

// flush writes the buffer, or loses its lines.
func (o *output) flush(now time.Time) error {
	if o.lines == 0 {
		return nil
	}
	if o.cut { // what was written of a lost line becomes a line of its own
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

// reopen continues in a newly opened file, or in the old one if that can't be opened.
func (o *output) reopen(name string, now time.Time) {
	next, err := openFile(name)
	if err != nil {
		o.log.Error("the old file stays", "error", err)
		return
	}
	o.close(now)
	o.w, o.cut = next, false
}

// close writes the buffer and closes the file.
func (o *output) close(now time.Time) error {
	err := o.flush(now)
	if o.w != os.Stdout {
		o.w.Close()
	}
	return err
}
