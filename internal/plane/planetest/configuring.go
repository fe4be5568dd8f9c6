package planetest

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"pen/internal/edge"
	"pen/internal/plane"
	"pen/internal/testenv"
	"pen/internal/wire"
)

// What a plane does before and behind relaying is data, and may change at any time.
var configuring = []conformance{
	{"configured at run time", configured},
	{"Ends that no plane of connections can do", func(t *testing.T, build New) {
		p := build(t, bind(t, testenv.Loopback))
		defer p.Close()
		wantUnable(t, p.Configure(&edge.Ends{Datagrams: &edge.Datagrams{}}))
	}},
}

func wantUnable(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, plane.ErrUnable) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v, want one line that wraps ErrUnable", err)
	}
}

// configured has PROXY headers demanded of clients and not demanded, in turns. A plane
// that is unable to do that goes on as before. Connections go on in any case.
func configured(t *testing.T, build New) {
	s := start(t, build, testenv.Loopback, config(testenv.Echo(t)))
	first := s.dial(t)
	echo(t, first)
	told := netip.MustParseAddr("192.0.2.1")
	header := wire.Header{Source: netip.AddrPortFrom(told, 1), Destination: netip.MustParseAddrPort("192.0.2.2:2")}.Append(nil, 1)
	demand := edge.Ends{Proxies: edge.Proxies{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}
	for range 3 {
		err := s.plane.Configure(&demand)
		c := s.dial(t)
		if err == nil {
			testenv.Write(t, c, string(header))
		} else {
			wantUnable(t, err)
		}
		echo(t, c)
		if err := s.plane.Configure(&edge.Ends{}); err != nil {
			t.Fatal(err)
		}
		echo(t, s.dial(t))
		echo(t, first)
		known := false
		for _, client := range s.d.Clients() {
			known = known || client.Addr == told
		}
		if known != (err == nil) {
			t.Errorf("Configure: %v; the client of the header is known: %v", err, known)
		}
	}
}
