package weblog

import (
	"bufio"
	"fmt"
	"io"
	"time"
)

// A Source is the log of one web server.
type Source struct {
	Server string // its address, as in Pen's log
	Name   string // of the log, for messages
	Log    io.Reader
}

// Options configure Merge.
type Options struct {
	// Jitter is how far apart the times of one request in the two logs may be, and how
	// much later than its time a line may come in its log, in seconds.
	Jitter int64
	// Shift is subtracted from the times in Pen's log, in seconds.
	Shift int64
	// All compares all of Pen's log with each line, and ignores Jitter. Pen's log is read
	// again for every few thousand lines.
	All bool
	// Debug is called with each dropped line, if it is not nil.
	Debug func(name string, n int, line []byte)
}

// A Report is the outcome of Merge.
type Report struct {
	Lines   int       // written
	Unknown int       // of these, those whose client was not found
	Dropped []Dropped // for each log with lines that are no log lines
	// Late is how many lines came more than the jitter after one with a later time. Unless
	// All is set, not all of Pen's lines could be compared with them.
	Late int
	// Narrowed is set if Pen's log had more lines within the jitter than fit into memory.
	// Then the ones nearest in time were compared.
	Narrowed bool
}

// Dropped are lines that are no log lines.
type Dropped struct {
	Name         string
	Lines, First int // how many, and the number of the first one
}

// Merge writes the lines of all sources, sorted by time. It replaces the first word of each
// line by the client from Pen's log, or by the server's address if the client is not found,
// and converts its time to UTC. Lines of one source keep their order. With o.All it reads
// Pen's log several times, else once. The caller closes the logs.
func Merge(out io.Writer, pen io.ReadSeeker, penName string, sources []Source, o Options) (Report, error) {
	m := &merger{out: bufio.NewWriterSize(out, MaxLine), pen: pen, penName: penName, opt: o}
	for _, s := range sources {
		in := &source{input: newInput(s.Name, s.Log, o), show: s.Server, server: canonical(s.Server)}
		if err := in.advance(); err != nil {
			return m.report, err
		}
		m.sources = append(m.sources, in)
	}
	join := m.joinWindow
	if o.All {
		join = m.joinAll
	}
	err := join()
	if flushErr := m.out.Flush(); err == nil && flushErr != nil {
		err = fmt.Errorf("write: %w", flushErr)
	}
	for _, s := range m.sources {
		m.count(s.input)
	}
	return m.report, err
}

type merger struct {
	out     *bufio.Writer
	pen     io.ReadSeeker
	penName string
	sources []*source
	opt     Options
	report  Report
}

func (m *merger) count(in *input) {
	if in.dropped.Lines > 0 {
		m.report.Dropped = append(m.report.Dropped, in.dropped)
	}
}

// A source is a web server's log and its next line to write.
type source struct {
	*input
	show   string // the address as it was given
	server string // the address in canonical form
	head   webLine
	taken  bool
	ended  bool
}

// advance reads up to the next log line.
func (s *source) advance() error {
	s.taken = false
	for {
		line, err := s.next()
		if err == io.EOF {
			s.ended = true
			return nil
		}
		if err != nil {
			return fmt.Errorf("read logfile '%s': %w", s.name, err)
		}
		var ok bool
		if s.head, ok = parseWeb(line); ok {
			return nil
		}
		s.drop(line)
	}
}

// next returns the source whose line comes next, the first one of equals, or nil at the
// end. The line is valid until the next call.
func (m *merger) next() (*source, error) {
	var next *source
	for _, s := range m.sources {
		if s.taken {
			if err := s.advance(); err != nil {
				return nil, err
			}
		}
		if !s.ended && (next == nil || s.head.time < next.head.time) {
			next = s
		}
	}
	if next != nil {
		next.taken = true
	}
	return next, nil
}

// joinWindow reads all logs once.
func (m *merger) joinWindow() error {
	pen := &penLog{newInput(m.penName, m.pen, m.opt), m.opt.Shift}
	w := newWindow(pen, m.opt.Jitter)
	defer func() {
		m.report.Narrowed = w.narrowed
		m.count(pen.input)
	}()
	for {
		s, err := m.next()
		if err != nil || s == nil {
			return err
		}
		if err := w.moveTo(s.head.time); err != nil {
			return err
		}
		if s.head.time < w.latest-w.jitter {
			m.report.Late++
		}
		client, ok := w.find(key{s.server, s.head.request}, s.head.time)
		if err := m.write(s.head, client, ok, s.show); err != nil {
			return err
		}
	}
}

// write writes a line with the client instead of its first word, or with the server if the
// client is not known.
func (m *merger) write(w webLine, client string, known bool, server string) error {
	m.report.Lines++
	if !known {
		m.report.Unknown++
		client = server
	}
	m.out.WriteString(client)
	m.out.Write(w.line[w.client:w.from])
	m.out.Write(time.Unix(w.time, 0).UTC().AppendFormat(m.out.AvailableBuffer(), timeFormat))
	m.out.Write(w.line[w.to:])
	if err := m.out.WriteByte('\n'); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// A penLog reads Pen's log.
type penLog struct {
	*input
	shift int64
}

// next returns the next line, or io.EOF.
func (p *penLog) next() (penLine, error) {
	for {
		line, err := p.input.next()
		if err == io.EOF {
			return penLine{}, err
		}
		if err != nil {
			return penLine{}, fmt.Errorf("read Pen's log '%s': %w", p.name, err)
		}
		if l, ok := parsePen(line); ok {
			l.time -= p.shift
			return l, nil
		}
		p.drop(line)
	}
}
