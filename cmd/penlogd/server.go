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

const maxDatagram = 64 << 10

// A server receives datagrams and writes lines.
type server struct {
	conn net.PacketConn
	out  *output
	opt  options
	ring *accesslog.Ring
	log  *slog.Logger
	bad  int // lines dropped since the last report
}

func newServer(conn net.PacketConn, out *output, o options, log *slog.Logger) *server {
	return &server{conn: conn, out: out, opt: o, ring: accesslog.NewRing(o.size), log: log}
}

// serve runs until a signal other than HUP arrives; HUP reopens the file.
func (s *server) serve(signals <-chan os.Signal) error {
	defer func() { s.out.close(time.Now()) }()
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
			s.reportBad()
			if sig != syscall.SIGHUP {
				return s.out.flush(time.Now())
			}
			s.out.reopen(s.opt.log, time.Now())
		default:
		}
		s.conn.SetReadDeadline(time.Now().Add(flushTime))
		if len(wake) > 0 {
			continue // its deadline was replaced
		}
		n, from, err := s.conn.ReadFrom(buf)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if err == nil {
			s.datagram(from, buf[:n])
		}
		s.out.flushDue(time.Now())
	}
}

// datagram processes the lines of one datagram.
func (s *server) datagram(from net.Addr, b []byte) {
	var addr netip.Addr
	if udp, ok := from.(*net.UDPAddr); ok {
		addr = udp.AddrPort().Addr().Unmap().WithZone("")
	}
	for line := range bytes.Lines(b) {
		text := string(bytes.TrimRight(line, "\r\n"))
		if len(text) > 0 && text[0] == '+' {
			err := errStranger
			if s.opt.balancer(addr) {
				err = s.ring.Add(text)
			}
			if err != nil {
				s.drop(text, err)
			}
			continue
		}
		out, ok := s.ring.Convert(addr, text)
		if !ok {
			s.drop(text, errNoRequest)
			continue
		}
		s.out.line(out, time.Now())
	}
	if s.opt.lines {
		s.out.flush(time.Now())
	}
}

var (
	errNoRequest = errors.New("it has no request in quotes")
	errStranger  = errors.New("its sender is no balancer of --pen")
)

// drop counts a dropped line.
func (s *server) drop(line string, why error) {
	s.bad++
	s.log.Debug("dropped", "line", fmt.Sprintf("%.80q", line), "reason", why)
}

// reportBad logs how many lines were dropped since the last report.
func (s *server) reportBad() {
	if s.bad > 0 {
		s.log.Warn("lines dropped that are no log lines, or of no balancer", "lines", s.bad)
		s.bad = 0
	}
}
