package planetest

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"pen/internal/sock"
	"pen/internal/testenv"
)

// A listener is lent: a plane gives it back, and leaves clients to the next one.
var lending = []conformance{
	{"Close without Serve", func(t *testing.T, build New) {
		ln := bind(t, testenv.Loopback)
		if err := build(t, ln).Close(); err != nil {
			t.Error(err)
		}
		wantReleased(t, ln)
		if c, err := net.Dial("tcp", ln.Addr().String()); err == nil {
			c.Close()
			t.Error("the listener is open after Close")
		}
	}},
	{"exchanged for another plane", func(t *testing.T, build New) { Exchange(t, build, build) }},
	{"clients that wait are left to the next plane", leaveWaiting},
}

func wantReleased(t *testing.T, ln *sock.Listener) {
	t.Helper()
	testenv.Eventually(t, "the listener is released", func() bool {
		select {
		case <-ln.Released():
			return true
		default:
			return false
		}
	})
}

// Exchange has planes take turns behind one socket while clients come, of TCP and of a
// Unix socket: none is refused or reset, and a connection stays with the plane that
// has accepted it until it ends.
func Exchange(t *testing.T, builds ...New) {
	const turns, clients = 20, 4
	for _, addr := range []string{testenv.Loopback, socketPath(t)} {
		s := start(t, builds[0], addr, config(testenv.Echo(t)))
		ln, retire := s.ln, s.cancel
		stop := make(chan struct{})
		var all sync.WaitGroup
		for range clients {
			all.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						if err := visit(s.ln.Addr()); err != nil {
							t.Errorf("a client was turned away: %v", err)
							return
						}
					}
				}
			})
		}
		var stay []testenv.Conn
		for i := range turns {
			stay = append(stay, s.dial(t))
			echo(t, stay[i])
			next := ln.Lend()
			p := builds[(i+1)%len(builds)](t, next)
			retire()
			wantReleased(t, ln)
			ln, retire = next, s.serve(t, p)
		}
		close(stop)
		all.Wait()
		for _, c := range stay {
			echo(t, c)
			c.Close()
		}
		retire()
		wantReleased(t, ln)
		if c, err := net.Dial(s.ln.Addr().Network(), s.ln.Addr().String()); err == nil {
			c.Close()
			t.Error("the socket is open after the last plane has released it")
		}
	}
}

// visit has a client say something, and reads the answer and the end.
func visit(at net.Addr) error {
	c, err := net.Dial(at.Network(), at.String())
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(testenv.Limit))
	if _, err = io.WriteString(c, "hello"); err == nil {
		_, err = io.ReadFull(c, make([]byte, len("hello")))
	}
	return err
}

// A plane that has no place for the clients in the queue does not keep the listener
// for their sake, nor close it.
func leaveWaiting(t *testing.T, build New) {
	cfg := config(testenv.Echo(t))
	cfg.ConnMax = 1
	s := start(t, build, testenv.Loopback, cfg)
	first := s.dial(t)
	echo(t, first)
	second := s.dial(t)
	testenv.Write(t, second, "echo")
	ln := s.ln.Lend()
	s.cancel()
	wantReleased(t, s.ln)
	s.serve(t, build(t, ln))
	first.Close()
	testenv.WantBytes(t, second, "echo")
}
