package planetest

import (
	"io"
	"sync/atomic"
	"testing"
	"time"

	"pen/internal/dispatch"
	"pen/internal/testenv"
)

// Idle connections that are kept ready for clients (idlers).
var keeping = []conformance{
	{"idlers are kept, used and replaced", useIdlers},
	{"idlers are the service's", sharedIdlers},
	{"an idler's greeting goes to its client", func(t *testing.T, build New) {
		ln := testenv.Listen(t, "tcp", testenv.Loopback)
		s := start(t, build, testenv.Loopback, withIdlers(config(ln.AddrPort()), 1))
		testenv.Write(t, ln.Next(t), "220 ready")
		s.ready(t, 1)
		testenv.WantBytes(t, s.dial(t), "220 ready")
	}},
	{"an idler that its server has ended is replaced", func(t *testing.T, build New) {
		ln := testenv.Listen(t, "tcp", testenv.Loopback)
		s := start(t, build, testenv.Loopback, withIdlers(config(ln.AddrPort()), 1))
		ln.Next(t).Close()
		// The client gets a new connection, or the new idler, which is replaced as
		// well: two connections come, in either order.
		testenv.Write(t, s.dial(t), "hello")
		got := make(chan string, 2)
		for _, c := range []testenv.Conn{ln.Next(t), ln.Next(t)} {
			go func() {
				buf := make([]byte, 5)
				n, _ := io.ReadFull(c, buf)
				got <- string(buf[:n])
			}()
		}
		if text := <-got; text != "hello" {
			t.Errorf("a server got %q", text)
		}
	}},
	{"idlers go to servers that answer", func(t *testing.T, build New) {
		s := start(t, build, testenv.Loopback, withIdlers(config(testenv.Refused(t), testenv.Echo(t)), 3))
		s.ready(t, 3)
		st := s.d.Status().Servers
		if !st[0].Failed || st[1].Failed || st[0].Conns+st[1].Conns != 0 {
			t.Errorf("servers %+v", st)
		}
		testenv.Write(t, s.dial(t), "x")
	}},
	{"idlers end when none are wanted", func(t *testing.T, build New) {
		ln := testenv.Listen(t, "tcp", testenv.Loopback)
		cfg := withIdlers(config(ln.AddrPort()), 2)
		s := start(t, build, testenv.Loopback, cfg)
		a, b := ln.Next(t), ln.Next(t)
		s.ready(t, 2)
		s.d.Configure(withIdlers(cfg, 0))
		testenv.WantEnd(t, a, 0)
		testenv.WantEnd(t, b, 0)
		s.ready(t, 0)
	}},
}

// sharedIdlers has two planes of one service. They share its idlers, within the
// server's limit, and when one plane stops, the other keeps them.
func sharedIdlers(t *testing.T, build New) {
	const idlers, most = 5, 4
	var came atomic.Int32
	addr := testenv.Serve(t, func(c testenv.Conn) {
		came.Add(1)
		io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
	})
	cfg := withIdlers(config(addr), idlers)
	cfg.Pool.Servers[0].Max = most
	cfg.Budget, cfg.FlowCost = dispatch.NewBudget(1000), 2
	s := start(t, build, testenv.Loopback, cfg)
	other := s.join(t, build, testenv.Loopback)
	s.ready(t, most)
	first, second := s.dial(t), testenv.Dial(t, other)
	echo(t, first)
	echo(t, second)
	s.ready(t, most-2)
	if n := came.Load(); n != most {
		t.Errorf("%d connections came to a server that takes %d", n, most)
	}
	first.Close()
	s.cancel()
	testenv.Eventually(t, "one plane has ended", s.isOver)
	s.ready(t, most-1)
	echo(t, second)
	echo(t, testenv.Dial(t, other))
	if !s.d.Borrow(1000-2*2-(most-2)) || s.d.Borrow(1) {
		t.Error("idlers are not in the budget of descriptors")
	}
}

func withIdlers(cfg dispatch.Config, n int) dispatch.Config {
	cfg.Idlers = n
	return cfg
}

// ready waits until n idlers are ready.
func (s *service) ready(t *testing.T, n int) {
	t.Helper()
	testenv.Eventually(t, "idlers are ready", func() bool { return s.d.ReadySpares() == n })
}

// A client gets an idler, and another idler replaces it. Idlers are neither counted nor
// remembered.
func useIdlers(t *testing.T, build New) {
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	s := start(t, build, testenv.Loopback, withIdlers(config(ln.AddrPort()), 1))
	first := ln.Next(t)
	s.ready(t, 1)
	if st := s.d.Status(); st.Servers[0].Conns != 0 || len(st.Flows) != 0 || len(st.Clients) != 0 {
		t.Errorf("an idler is counted: %+v", st)
	}
	client := s.dial(t)
	testenv.Write(t, client, "hello")
	testenv.WantBytes(t, first, "hello")
	ln.Next(t) // the one that replaces it
	s.ready(t, 1)
	if st := s.d.Status(); st.Servers[0].Conns != 1 || len(st.Clients) != 1 {
		t.Errorf("the client is not counted: %+v", st)
	}
	if extra := ln.Listener.(interface{ SetDeadline(time.Time) error }); extra.SetDeadline(time.Now()) == nil {
		if c, err := ln.Accept(); err == nil {
			c.Close()
			t.Error("a third connection came")
		}
	}
}
