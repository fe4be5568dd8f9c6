package planetest

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"pen/internal/acl"
	"pen/internal/dispatch"
	"pen/internal/testenv"
)

// Which clients are served, and when.
var admitting = []conformance{
	{"denied client", func(t *testing.T, build New) {
		ln := testenv.Listen(t, "tcp", testenv.Loopback)
		s := start(t, build, testenv.Loopback, denyAll(config(ln.AddrPort())))
		testenv.WantClosed(t, s.dial(t))
		if clients := s.d.Clients(); len(clients) != 0 {
			t.Errorf("a denied client is remembered: %+v", clients)
		}
	}},
	{"denied client with an abuse server", func(t *testing.T, build New) {
		cfg := denyAll(config(testenv.Source(t, "server")))
		cfg.Pool.Abuse = server(testenv.Source(t, "abuse"))
		client := start(t, build, testenv.Loopback, cfg).dial(t)
		testenv.WantBytes(t, client, "abuse")
		testenv.WantEnd(t, client, 0)
	}},
	{"connections above the limit wait", connMax},
	{"two listeners at the limit", func(t *testing.T, build New) { listenersAtTheLimit(t, build, 2, 20) }},
	{"four listeners at the limit", func(t *testing.T, build New) { listenersAtTheLimit(t, build, 4, 5) }},
	{"no descriptors left", noDescriptors},
	{"bulk at the limit of descriptors", bulkAtTheLimit},
}

func denyAll(cfg dispatch.Config) dispatch.Config {
	cfg.ACLs = &acl.Lists{List: [acl.Count]acl.List{{{Addr: netip.MustParseAddr("127.0.0.1"), Mask: 0xffffffff}}}}
	return cfg
}

// Listeners that share a limit refuse nobody while a place is free: only one of them may
// take it. Each client comes several times.
func listenersAtTheLimit(t *testing.T, build New, listeners, each int) {
	const clients = 8
	cfg := config(testenv.Source(t, "served"))
	cfg.ConnMax = 1
	s := start(t, build, testenv.Loopback, cfg)
	at := []net.Addr{s.ln.Addr()}
	for len(at) < listeners {
		at = append(at, s.join(t, build, testenv.Loopback))
	}
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			for range each {
				if b, err := fetch(at[i%listeners]); err != nil || string(b) != "served" {
					t.Errorf("%q, %v, want an answer", b, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// fetch connects and returns everything that is sent until the connection ends.
func fetch(at net.Addr) ([]byte, error) {
	c, err := net.Dial(at.Network(), at.String())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(testenv.Limit))
	return io.ReadAll(c)
}

// Clients above the limit are not refused. They wait in the kernel and are served when
// other connections end.
func connMax(t *testing.T, build New) {
	const most, more = 2, 5
	cfg := config(testenv.Echo(t))
	cfg.ConnMax = most
	s := start(t, build, testenv.Loopback, cfg)
	var clients []testenv.Conn
	for range most + more {
		client := s.dial(t)
		testenv.Write(t, client, "echo")
		clients = append(clients, client)
	}
	for i, client := range clients {
		testenv.WantBytes(t, client, "echo")
		if n := len(s.d.Status().Flows); n > most {
			t.Errorf("%d flows, want at most %d", n, most)
		}
		if i+1 >= most { // earlier clients stay connected, and are served nevertheless
			clients[i+1-most].Close()
		}
	}
}
