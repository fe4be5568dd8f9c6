// Package accesslog writes Pen's request log: a line for each chunk read from a client,
// to a file or, over UDP, to penlogd (specification, section 17).
//
// Logging never blocks: lines wait in a bounded queue and are written by one goroutine.
// Lines that find the queue full are dropped and counted.
package accesslog

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"pen/internal/weblog"
)

const (
	queue       = 4096 // lines that wait to be written
	maxDatagram = 1024 // bytes of a line sent over UDP, with its end

	lookupTime = 5 * time.Second  // for the name of the host
	reportTime = 10 * time.Second // between two reports of lost lines
)

// A Log is one destination. Its methods may be called from any goroutine.
type Log struct {
	dest    string
	network bool
	report  *slog.Logger
	lines   chan []byte
	reopen  chan chan error
	stop    chan struct{}
	stopped chan struct{}
	once    sync.Once

	lost atomic.Uint64 // lines, since the start
}

// IsNetwork reports whether a destination is HOST:PORT: it has a colon and does not start
// with a slash.
func IsNetwork(dest string) bool { return strings.Contains(dest, ":") && dest[0] != '/' }

// Open opens a destination, a file to append to or HOST:PORT, and starts the goroutine
// that writes. Lost lines are reported to report. Open blocks for at most 5 s, or until
// ctx is done, while the host is looked up; a FIFO must have a reader. The caller must
// Close the Log.
func Open(ctx context.Context, dest string, report *slog.Logger) (*Log, error) {
	l := &Log{
		dest: dest, network: IsNetwork(dest), report: report,
		lines: make(chan []byte, queue), reopen: make(chan chan error),
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	out, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	go l.run(out)
	return l, nil
}

// Request logs the beginning of a chunk that a client has sent to a server.
func (l *Log) Request(client netip.Addr, server string, chunk []byte) {
	line := l.format(make([]byte, 0, 256), client, server, chunk)
	select {
	case l.lines <- line:
	default:
		l.lost.Add(1)
	}
}

// Dropped is how many lines were lost, because they came faster than they could be
// written, or because writing failed.
func (l *Log) Dropped() uint64 { return l.lost.Load() }

// Reopen opens the file again, as after a rotation; every line is in one of the two
// files. If that fails, the old file stays in use. Reopen does nothing for a network log.
// It blocks until the last lines are written to the old file.
func (l *Log) Reopen() error {
	if l.network {
		return nil
	}
	result := make(chan error, 1)
	select {
	case l.reopen <- result:
	case <-l.stop:
		return os.ErrClosed
	}
	select {
	case err := <-result:
		return err
	case <-l.stop:
		return os.ErrClosed
	}
}

// Close writes the waiting lines and closes the Log; what is logged afterwards is lost. It
// waits for at most a second for a destination that accepts nothing.
func (l *Log) Close() error {
	l.once.Do(func() { close(l.stop) })
	select {
	case <-l.stopped:
		return nil
	case <-time.After(time.Second):
		return fmt.Errorf("close log %s: its last lines were not taken within a second", l.dest)
	}
}

func (l *Log) format(b []byte, client netip.Addr, server string, chunk []byte) []byte {
	if l.network {
		b = append(b, "+ "...)
	}
	b = appendAddr(b, client)
	b = append(b, ' ')
	if !l.network {
		b = strconv.AppendInt(b, time.Now().Unix(), 10)
		b = append(b, ' ')
	}
	b = append(b, server...)
	b = append(b, ' ')
	limit := weblog.MaxRequest
	if l.network {
		limit = max(0, maxDatagram-len(b)-1)
	}
	for _, c := range chunk[:min(len(chunk), limit)] {
		if c == '\r' || c == '\n' {
			break
		}
		if !l.network {
			c = weblog.Clean(c)
		}
		b = append(b, c)
	}
	return append(b, '\n')
}

// appendAddr appends an address; clients of a Unix socket have none.
func appendAddr(b []byte, addr netip.Addr) []byte {
	if !addr.IsValid() {
		return append(b, "unix"...)
	}
	return addr.AppendTo(b)
}

// An output is an open destination. write may buffer lines until flush; both return how
// many lines were lost.
type output interface {
	write(line []byte) (lost int)
	flush() (lost int)
	close() error
}

func (l *Log) open(ctx context.Context) (output, error) {
	if l.network {
		d := net.Dialer{Timeout: lookupTime}
		c, err := d.DialContext(ctx, "udp", l.dest)
		if err != nil {
			return nil, fmt.Errorf("log %s: %w", l.dest, err)
		}
		return datagrams{c}, nil
	}
	f, err := os.OpenFile(l.dest, os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NONBLOCK, 0o640)
	if errors.Is(err, syscall.ENXIO) {
		return nil, fmt.Errorf("log %s: nobody reads from the FIFO, or nothing is behind the device", l.dest)
	}
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	return &file{f: f, w: bufio.NewWriterSize(f, 64<<10)}, nil
}

// run writes until the Log is closed. It flushes when no more lines wait. It reports lost
// lines at once, and then at most every reportTime: a full disk loses every line.
func (l *Log) run(out output) {
	defer close(l.stopped)
	defer func() { out.close() }()
	reported := uint64(0)
	var again <-chan time.Time // nil: the next loss is reported at once
	for {
		if len(l.lines) == 0 {
			l.count(out.flush())
			if again == nil && l.Dropped() > reported {
				reported, again = l.reportLost(reported), time.After(reportTime)
			}
		}
		select {
		case <-again:
			again = nil
		case line := <-l.lines:
			l.count(out.write(line))
		case result := <-l.reopen:
			next, err := l.open(context.Background()) // a file: there is no look-up
			if err == nil {
				l.count(out.flush())
				out.close()
				out = next
			}
			result <- err
		case <-l.stop:
			for len(l.lines) > 0 {
				l.count(out.write(<-l.lines))
			}
			l.count(out.flush())
			l.reportLost(reported)
			return
		}
	}
}

// reportLost logs how many lines were lost since the last report.
func (l *Log) reportLost(reported uint64) uint64 {
	n := l.Dropped()
	if n > reported {
		l.report.Warn("lines of the request log were lost", "log", l.dest, "lines", n-reported)
	}
	return n
}

func (l *Log) count(lost int) { l.lost.Add(uint64(lost)) }

type file struct {
	f        *os.File
	w        *bufio.Writer
	buffered int // lines since the last flush
}

func (f *file) write(line []byte) int {
	f.buffered++
	if _, err := f.w.Write(line); err != nil {
		return f.lost()
	}
	return 0
}

func (f *file) flush() int {
	if err := f.w.Flush(); err != nil {
		return f.lost()
	}
	f.buffered = 0
	return 0
}

// lost drops the buffered lines: after an error the writer would accept nothing more.
func (f *file) lost() int {
	n := f.buffered
	f.buffered = 0
	f.w.Reset(f.f)
	return n
}

func (f *file) close() error { return f.f.Close() }

// datagrams sends each line as a datagram. Errors are not reported: penlogd may be down
// for a while.
type datagrams struct{ c net.Conn }

func (d datagrams) write(line []byte) int {
	d.c.Write(line[:min(len(line), maxDatagram)])
	return 0
}
func (datagrams) flush() int     { return 0 }
func (d datagrams) close() error { return d.c.Close() }
