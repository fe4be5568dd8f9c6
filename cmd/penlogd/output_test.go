package main

import (
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// disk is a file whose disk has room for some bytes.
type disk struct {
	strings.Builder
	room int
}

func (d *disk) Write(b []byte) (int, error) {
	n := min(len(b), d.room)
	d.room -= n
	d.Builder.Write(b[:n])
	if n < len(b) {
		return n, errors.New("no space left on device")
	}
	return n, nil
}

func (d *disk) Close() error { return nil }

// Lines are written within a second while others keep coming, and again as soon
// as a full disk has room, with the loss in the log.
func TestOutput(t *testing.T) {
	var said strings.Builder
	d := &disk{room: 10}
	o := &output{w: d, log: slog.New(slog.NewTextHandler(&said, nil))}
	now := time.Unix(1e9, 0)
	second := func(lines ...string) { // and half a second more
		for _, text := range append(lines, "") {
			if text != "" {
				o.line(text, now)
			}
			now = now.Add(1500 * time.Millisecond / time.Duration(len(lines)+1))
			o.flushDue(now)
		}
	}
	second("one", "two")
	if got := d.String(); got != "one\ntwo\n" {
		t.Errorf("after a second under load: %q", got)
	}
	for range 20 {
		second("full", "disk")
	}
	if n := strings.Count(said.String(), "can't write the log"); n < 1 || n > 5 {
		t.Errorf("%d reports in 30 seconds: %s", n, said.String())
	}
	d.room = 1 << 20
	second("three")
	if got := d.String(); got != "one\ntwo\nfu\nthree\n" {
		t.Errorf("after a full disk: %q", got)
	}
	if !strings.Contains(said.String(), "the log is written again\" lost=40") {
		t.Errorf("said: %s", said.String())
	}
	o.line(strings.Repeat("x", flushSize), now)
	if len(o.buf) != 0 {
		t.Errorf("%d bytes wait, at most %d may", len(o.buf), flushSize)
	}
}

// Only the balancers of --pen say who a client is.
func TestBalancers(t *testing.T) {
	o, err := parse([]string{"-P", "192.0.2.7", "--pen", "2001:db8::/32", "10000"})
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]bool{"192.0.2.7": true, "192.0.2.8": false, "2001:db8::1": true, "::1": false} {
		if got := o.balancer(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v, want %v", addr, got, want)
		}
	}
	if o, _ = parse([]string{"10000"}); !o.balancer(netip.MustParseAddr("192.0.2.8")) {
		t.Error("without --pen a balancer is refused")
	}
	if _, err := parse([]string{"-P", "www", "10000"}); err == nil || !strings.Contains(err.Error(), `"www" is no network; want`) {
		t.Errorf("a bad network: %v", err)
	}
}
