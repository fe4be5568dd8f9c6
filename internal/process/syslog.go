package process

import (
	"log/slog"
	"log/syslog"
	"strings"
	"time"
)

// syslogRetry is how often a missing syslog daemon is looked for.
const syslogRetry = time.Second

// A syslogSink writes to the local syslog daemon. One goroutine uses it.
type syslogSink struct {
	tag   string
	w     *syslog.Writer // nil: no daemon
	tried time.Time
}

func (s *syslogSink) connect(now time.Time) {
	if s.w != nil || now.Sub(s.tried) < syslogRetry {
		return
	}
	s.tried = now
	if w, err := syslog.New(syslog.LOG_USER|syslog.LOG_DEBUG, s.tag); err == nil {
		s.w = w
	}
}

func (s *syslogSink) write(e entry) {
	s.connect(time.Now())
	if s.w == nil {
		return
	}
	send := s.w.Debug
	switch {
	case e.level >= slog.LevelError:
		send = s.w.Err
	case e.level >= slog.LevelWarn:
		send = s.w.Warning
	case e.level >= slog.LevelInfo:
		send = s.w.Info
	}
	for line := range strings.Lines(e.text) {
		send(line) // it connects again by itself; a line that it can't send is lost
	}
}

func (s *syslogSink) close() {
	if s.w != nil {
		s.w.Close()
	}
}
