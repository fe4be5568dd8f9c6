package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"pen/internal/accesslog"
)

const (
	maxDatagram = 64 << 10
	// flushTime is how long lines may wait in the buffer when no more come.
	flushTime = time.Second
)

// A server takes datagrams and writes lines.
type server struct {
	conn net.PacketConn
	out  *output
	opt  options
	ring *accesslog.Ring
	log  *slog.Logger
	bad  int // lines that are no log lines, since it was last said
}

func newServer(conn net.PacketConn, out *output, o options, log *slog.Logger) *server {
	return &server{conn: conn, out: out, opt: o, ring: accesslog.NewRing(o.size), log: log}
}

// serve runs until a signal other than HUP arrives; HUP opens the file anew.
func (s *server) serve(signals <-chan os.Signal) error {
	defer func() { s.out.close() }()
	wake := make(chan os.Signal, 4)
	quit := make(chan struct{})
	done := make(chan struct{})
	go func() { // a signal ends the wait for a datagram
		defer close(done)
		for {
			select {
			case sig := <-signals:
				wake <- sig
				s.conn.SetReadDeadline(time.Unix(1, 0))
			case <-quit:
				return
			}
		}
	}()
	defer func() { close(quit); <-done }()
	buf := make([]byte, maxDatagram)
	for {
		select {
		case sig := <-wake:
			s.sayBad()
			if sig != syscall.SIGHUP {
				return s.out.w.Flush()
			}
			s.reopen()
		default:
		}
		s.conn.SetReadDeadline(time.Now().Add(flushTime))
		if len(wake) > 0 {
			continue // its deadline was replaced
		}
		n, from, err := s.conn.ReadFrom(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			s.flush()
		case err != nil:
			return err
		default:
			s.datagram(from, buf[:n])
		}
	}
}

func (s *server) reopen() {
	next, err := openOutput(s.opt.log)
	if err != nil {
		s.log.Error("the old file stays", "error", err)
		return
	}
	s.out.close()
	s.out = next
}

// datagram takes the lines of one datagram.
func (s *server) datagram(from net.Addr, b []byte) {
	var addr netip.Addr
	if udp, ok := from.(*net.UDPAddr); ok {
		addr = udp.AddrPort().Addr()
	}
	for line := range bytes.Lines(b) {
		text := string(bytes.TrimRight(line, "\r\n"))
		if len(text) > 0 && text[0] == '+' {
			if err := s.ring.Add(text); err != nil {
				s.drop(text, err)
			}
			continue
		}
		out, ok := s.ring.Convert(addr.WithZone(""), text)
		if !ok {
			s.drop(text, errNoRequest)
			continue
		}
		s.out.w.WriteString(out)
		s.out.w.WriteByte('\n')
		if s.opt.lines {
			s.flush()
		}
	}
}

// flush writes what waits. A full disk costs lines, not the server.
func (s *server) flush() {
	if err := s.out.w.Flush(); err != nil {
		s.log.Error("lines were lost", "error", err)
		if next, err := openOutput(s.opt.log); err == nil {
			if s.out.c != nil {
				s.out.c.Close()
			}
			s.out = next
		}
	}
}

var errNoRequest = errors.New("it has no request in quotes")

// drop counts a line that is none.
func (s *server) drop(line string, why error) {
	s.bad++
	s.log.Debug("dropped", "line", fmt.Sprintf("%.80q", line), "reason", why)
}

// sayBad tells how many lines were dropped since it last did.
func (s *server) sayBad() {
	if s.bad > 0 {
		s.log.Warn("lines dropped since they are no log lines", "lines", s.bad)
		s.bad = 0
	}
}
