package main

import (
	"bytes"
	"errors"
	"fmt"
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
}

func newServer(conn net.PacketConn, out *output, o options) *server {
	return &server{conn: conn, out: out, opt: o, ring: accesslog.NewRing(o.size)}
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
		s.say("%v; the old file stays", err)
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
				s.debug("%v", err)
			}
			continue
		}
		out, ok := s.ring.Convert(addr.WithZone(""), text)
		if !ok {
			s.debug("dropped, since it has no request in quotes: %.80q", text)
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
		s.say("lines were lost: %v", err)
		if next, err := openOutput(s.opt.log); err == nil {
			if s.out.c != nil {
				s.out.c.Close()
			}
			s.out = next
		}
	}
}

func (s *server) debug(format string, args ...any) {
	if s.opt.debug {
		s.say(format, args...)
	}
}

func (s *server) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "penlogd: "+format+"\n", args...)
}
