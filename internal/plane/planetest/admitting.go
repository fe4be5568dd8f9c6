package planetest

import (
	"net/netip"
	"testing"

	"pen/internal/acl"
	"pen/internal/dispatch"
	"pen/internal/testenv"
)

// Who is served, and when.
var admitting = []conformance{
	{"denied client", func(t *testing.T, listen Listen) {
		ln := testenv.Listen(t, "tcp", testenv.Loopback)
		s := start(t, listen, testenv.Loopback, denyAll(config(ln.AddrPort())))
		testenv.WantClosed(t, s.dial(t))
		if clients := s.d.Clients(); len(clients) != 0 {
			t.Errorf("a denied client is remembered: %+v", clients)
		}
	}},
	{"denied client with an abuse server", func(t *testing.T, listen Listen) {
		cfg := denyAll(config(testenv.Source(t, "server")))
		cfg.Pool.Abuse = server(testenv.Source(t, "abuse"))
		client := start(t, listen, testenv.Loopback, cfg).dial(t)
		testenv.WantBytes(t, client, "abuse")
		testenv.WantEnd(t, client, 0)
	}},
	{"connections above the limit wait", connMax},
	{"no descriptors left", noDescriptors},
}

func denyAll(cfg dispatch.Config) dispatch.Config {
	cfg.ACLs = &acl.Lists{List: [acl.Count]acl.List{{{Addr: netip.MustParseAddr("127.0.0.1"), Mask: 0xffffffff}}}}
	return cfg
}

// Those above the limit wait in the kernel and are served when others end,
// instead of being refused.
func connMax(t *testing.T, listen Listen) {
	const most, more = 2, 5
	cfg := config(testenv.Echo(t))
	cfg.ConnMax = most
	s := start(t, listen, testenv.Loopback, cfg)
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
		if i+1 >= most { // the earlier ones stay, and are served none the less
			clients[i+1-most].Close()
		}
	}
}
