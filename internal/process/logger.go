package process

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	logQueue   = 1024        // lines that wait to be written
	logLine    = 8 << 10     // bytes of a line; what is longer is cut
	closeLimit = time.Second // how long Close waits for the last lines
)

// A Logger takes log lines and writes them in a goroutine of its own. To log
// never blocks: if the lines come faster than they can be written, those that
// find the queue full are dropped, and one line says later how many.
type Logger struct {
	*slog.Logger
	Level *slog.LevelVar // the least level that is logged; may be set at any time

	sink    sink
	lines   chan entry
	stop    chan struct{}
	stopped chan struct{}
	once    sync.Once

	dropped    atomic.Uint64 // since the start
	unreported atomic.Uint64
}

// A sink is where lines go. Only the Logger's goroutine uses it; it may block.
type sink interface {
	write(entry)
	close()
}

// An entry is a finished line without its end, or several lines of a report.
type entry struct {
	time  time.Time
	level slog.Level
	text  string
}

// StartLogger starts a Logger that writes lines `YYYY-MM-DD HH:MM:SS: LEVEL text
// key=value ...` to w, as Pen does in the foreground. The caller must Close it;
// w stays the caller's.
func StartLogger(w io.Writer) *Logger {
	return startLogger(writerSink{w})
}

type writerSink struct{ w io.Writer }

func (s writerSink) write(e entry) {
	for line := range strings.Lines(e.text) {
		// There is nowhere left to complain about an error of the log itself.
		fmt.Fprintf(s.w, "%s: %v %s\n", e.time.Format(time.DateTime), e.level, strings.TrimSuffix(line, "\n"))
	}
}

func (writerSink) close() {}

// StartSyslog starts a Logger that writes to the system's log, as Pen does in
// the background: identity tag, facility user, the level as priority. Where no
// syslog daemon runs the lines are lost, until one does. The caller must Close
// the Logger.
func StartSyslog(tag string) *Logger {
	s := &syslogSink{tag: tag}
	s.connect(time.Now()) // now: after a chroot the daemon's socket may be out of reach
	return startLogger(s)
}

func startLogger(s sink) *Logger {
	l := &Logger{
		Level:   new(slog.LevelVar),
		sink:    s,
		lines:   make(chan entry, logQueue),
		stop:    make(chan struct{}),
		stopped: make(chan struct{}),
	}
	l.Logger = slog.New(&handler{log: l})
	go l.run()
	return l
}

// Report logs a text of many lines, all of them or, where the queue is full,
// none. Like all logging it never blocks.
func (l *Logger) Report(text string) {
	var b strings.Builder
	for line := range strings.Lines(text) {
		var clean strings.Builder
		appendPrintable(&clean, strings.TrimSuffix(line, "\n"))
		b.WriteString(cut(clean.String()))
		b.WriteByte('\n')
	}
	l.put(entry{time.Now(), slog.LevelInfo, b.String()})
}

// Dropped is how many lines were dropped since the start.
func (l *Logger) Dropped() uint64 { return l.dropped.Load() }

// Close writes the lines that wait and ends the Logger's goroutine. It waits a
// second at most, and fails if the log did not take the lines by then. What is
// logged afterwards is lost. Closing again does nothing.
func (l *Logger) Close() error {
	l.once.Do(func() { close(l.stop) })
	limit := time.NewTimer(closeLimit)
	defer limit.Stop()
	select {
	case <-l.stopped:
		return nil
	case <-limit.C:
		return errors.New("close log: its last lines were not taken within a second")
	}
}

func (l *Logger) put(e entry) {
	select {
	case l.lines <- e:
	default:
		l.dropped.Add(1)
		l.unreported.Add(1)
	}
}

func (l *Logger) run() {
	defer close(l.stopped)
	defer l.sink.close()
	for {
		select {
		case e := <-l.lines:
			l.sink.write(e)
			l.reportDropped()
		case <-l.stop:
			for range len(l.lines) { // not those that are still being added
				l.sink.write(<-l.lines)
			}
			l.reportDropped()
			return
		}
	}
}

// reportDropped says how many lines are missing, once those before them are
// written.
func (l *Logger) reportDropped() {
	if len(l.lines) > 0 {
		return
	}
	if n := l.unreported.Swap(0); n > 0 {
		l.sink.write(entry{time.Now(), slog.LevelWarn, fmt.Sprintf("log too slow, %d lines dropped", n)})
	}
}
