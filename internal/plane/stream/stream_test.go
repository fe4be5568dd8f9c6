package stream

import (
	"log/slog"
	"net"
	"testing"

	"pen/internal/plane"
	"pen/internal/plane/planetest"
	"pen/internal/sock"
)

func TestPlane(t *testing.T) {
	planetest.Run(t, func(t *testing.T, ln *sock.Listener) plane.Plane { return build(t, ln) })
}

func listen(t testing.TB, addr string) *Plane {
	t.Helper()
	ln, err := new(sock.Sockets).Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	return build(t, ln)
}

func build(t testing.TB, ln *sock.Listener) *Plane {
	t.Helper()
	p, err := New(ln, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Addr is where clients connect to.
func (p *Plane) Addr() net.Addr { return p.ln.Addr() }
