package planetest

import (
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"pen/internal/pool"
	"pen/internal/testenv"
)

// However a connect fails, the next server is tried.
var failing = []conformance{
	{"failover from a server that refuses", func(t *testing.T, build New) {
		failover(t, build, server(testenv.Refused(t)), testenv.Limit)
	}},
	{"failover from a server that does not answer", func(t *testing.T, build New) {
		failover(t, build, server(testenv.Blackhole(t)), 200*time.Millisecond)
	}},
	{"failover from a multicast address", func(t *testing.T, build New) {
		failover(t, build, server(netip.MustParseAddrPort("224.0.0.1:1")), testenv.Limit)
	}},
	{"failover from the broadcast address", func(t *testing.T, build New) {
		failover(t, build, server(netip.MustParseAddrPort("255.255.255.255:1")), testenv.Limit)
	}},
	{"failover from a link-local address without a zone", func(t *testing.T, build New) {
		failover(t, build, server(netip.MustParseAddrPort("[fe80::1]:1")), testenv.Limit)
	}},
	{"failover from a Unix socket that is not there", func(t *testing.T, build New) {
		failover(t, build, pool.Config{Path: filepath.Join(t.TempDir(), "none")}, testenv.Limit)
	}},
	{"failover order", failoverOrder},
	{"all servers dead", allDead},
	{"all servers dead but the emergency server", emergency},
	{"servers that are restarted", restarted},
	{"kill while connecting", killConnecting},
}

// failover has a dead server, and one that answers.
func failover(t *testing.T, build New, dead pool.Config, timeout time.Duration) {
	cfg := config(testenv.Echo(t))
	cfg.ConnectTimeout = timeout
	cfg.Pool.Servers = append([]pool.Config{dead}, cfg.Pool.Servers...)
	s := start(t, build, testenv.Loopback, cfg)
	echo(t, s.dial(t))
	s.wantFailed(t, true, false)
	if servers := s.d.Servers(); servers[0].Conns != 0 || servers[1].Conns != 1 {
		t.Errorf("connections are counted at %+v", servers)
	}
}

// Each server is tried once, in order, starting with the chosen one.
func failoverOrder(t *testing.T, build New) {
	dead, name := testenv.Refused(t), []string{"zero", "one", "two", "three", "four"}
	for _, tt := range []struct {
		live  []int
		first int // the one chosen
		want  int
	}{
		{live: []int{1, 3}, first: 1, want: 1},
		{live: []int{1, 3}, first: 0, want: 1},
		{live: []int{1, 3}, first: 2, want: 3},
		{live: []int{1, 3}, first: 4, want: 1},
		{live: []int{0}, first: 1, want: 0},
		{live: []int{4}, first: 0, want: 4},
	} {
		cfg := config(dead, dead, dead, dead, dead)
		cfg.Pool.Algorithm = pool.Prio
		for _, i := range tt.live {
			cfg.Pool.Servers[i].Addr = testenv.Source(t, name[i])
		}
		for i := range cfg.Pool.Servers {
			cfg.Pool.Servers[i].Prio = 1
		}
		cfg.Pool.Servers[tt.first].Prio = 0
		client := start(t, build, testenv.Loopback, cfg).dial(t)
		testenv.WantBytes(t, client, name[tt.want])
		testenv.WantEnd(t, client, 0)
	}
}

func allDead(t *testing.T, build New) {
	s := start(t, build, testenv.Loopback, config(testenv.Refused(t), testenv.Refused(t)))
	client := s.dial(t)
	testenv.WantClosed(t, client)
	s.wantFailed(t, true, true)
	testenv.WantClosed(t, s.dial(t)) // now that they are blacklisted
	s.flows(t, 0)
}

func emergency(t *testing.T, build New) {
	cfg := config(testenv.Refused(t), testenv.Refused(t))
	cfg.Pool.Emergency = []pool.Config{server(testenv.Source(t, "emergency"))}
	s := start(t, build, testenv.Loopback, cfg)
	for range 2 {
		client := s.dial(t)
		testenv.WantBytes(t, client, "emergency")
		testenv.WantEnd(t, client, 0)
	}
	s.wantFailed(t, true, true)
}

// A server that was away for a moment serves as soon as it is back, whether it is the
// only one or all are restarted in turn, although the blacklist time is an hour.
func restarted(t *testing.T, build New) {
	for n := 1; n <= 3; n++ {
		var servers []*testenv.Listener
		cfg := config()
		for range n {
			ln := testenv.Listen(t, "tcp", "127.0.77.1:0")
			servers = append(servers, ln)
			cfg.Pool.Servers = append(cfg.Pool.Servers, server(ln.AddrPort()))
		}
		s := start(t, build, testenv.Loopback, cfg)
		for i, ln := range servers {
			ln.Close()
			if n == 1 {
				testenv.WantClosed(t, s.dial(t))
			} else {
				s.dial(t)
			}
			testenv.Eventually(t, "the failure is counted", func() bool { return s.d.Servers()[i].Failed })
			servers[i] = testenv.Listen(t, "tcp", ln.AddrPort().String())
		}
		for i, ln := range servers[:n-1] {
			ln.Close()
			servers[i] = nil
		}
		client := s.dial(t)
		exchange(t, client, servers[n-1].Next(t))
	}
}

// A flow can be killed while its server does not answer. The server is not blamed.
func killConnecting(t *testing.T, build New) {
	cfg := config(testenv.Blackhole(t))
	cfg.ConnectTimeout = time.Hour
	s := start(t, build, testenv.Loopback, cfg)
	client := s.dial(t)
	var id int
	testenv.Eventually(t, "the flow connects", func() bool {
		flows := s.d.Status().Flows
		if len(flows) == 1 && flows[0].Server == 0 {
			id = flows[0].ID
			return true
		}
		return false
	})
	if !s.d.Kill(id) {
		t.Errorf("there is no flow %d to kill", id)
	}
	testenv.WantReset(t, client, 0)
	s.flows(t, 0)
	s.wantFailed(t, false)
}
