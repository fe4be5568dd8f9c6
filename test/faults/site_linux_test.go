// Package faults_test has real servers fail in many ways, and Pen itself stop, while
// clients send requests.
package faults_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pen/internal/testenv"
	"pen/test/internal/lab"
)

// A site is a Pen with several services, their real servers, and clients, in a network
// namespace of its own. Each server has its own address of loopback, which can be cut
// off.
type site struct {
	net      *testenv.Netns
	place    lab.Place
	services []*service
	pen      *lab.Pen
}

// A service is a service of Pen, with its servers in the order of their slots.
type service struct {
	site     *site
	name     string
	listen   string
	kind     *lab.Kind
	settings []string // lines of Pen's configuration
	servers  []*lab.Daemon
}

// The sets of faultRules: what happens to packets to the addresses in them.
const (
	blackholed = "blackholed" // all packets are dropped
	unanswered = "unanswered" // connects are dropped; open connections go on
	refusing   = "refusing"   // connects are refused, and datagrams are rejected
)

const faultRules = `table inet faults {
	set blackholed { type ipv4_addr; }
	set unanswered { type ipv4_addr; }
	set refusing { type ipv4_addr; }
	chain input {
		type filter hook input priority 0;
		ip daddr @blackholed drop
		ip daddr @unanswered tcp flags & (syn | ack) == syn drop
		ip daddr @refusing tcp flags & (syn | ack) == syn reject with tcp reset
		ip daddr @refusing meta l4proto udp reject with icmp type port-unreachable
	}
}
`

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{net: testenv.NewNetns(t)}
	s.place.In = s.net.In
	rules := filepath.Join(t.TempDir(), "rules")
	lab.WriteFile(t, rules, faultRules)
	s.net.Run(t, "/usr/sbin/nft", "-f", rules)
	return s
}

// add adds a service with two servers of a kind.
func (s *site) add(t *testing.T, name string, k *lab.Kind, settings ...string) *service {
	t.Helper()
	n := len(s.services) + 1
	var servers []*lab.Daemon
	for i := range 2 {
		servers = append(servers, lab.NewDaemon(t, s.place, k, fmt.Sprintf("127.0.1.%d", 10*n+i)))
	}
	return s.addBefore(name, k, servers, settings...)
}

// addBefore adds a service in front of servers that run already.
func (s *site) addBefore(name string, k *lab.Kind, servers []*lab.Daemon, settings ...string) *service {
	listen := fmt.Sprintf("127.0.0.1:%d", 8001+len(s.services))
	svc := &service{site: s, name: name, listen: listen, kind: k, settings: settings, servers: servers}
	s.services = append(s.services, svc)
	return svc
}

// blacklistTime is how long Pen blacklists a server after a failed connect.
const blacklistTime = time.Second

// config returns Pen's configuration.
func (s *site) config() string {
	var b strings.Builder
	for _, svc := range s.services {
		fmt.Fprintf(&b, "service %s\nlisten %s\ntimeout 1\nblacklist %v\n%s\n", svc.name, svc.listen, blacklistTime, strings.Join(svc.settings, "\n"))
		if svc.kind.Network == "udp" {
			fmt.Fprintln(&b, "protocol udp")
		}
		for i, d := range svc.servers {
			fmt.Fprintf(&b, "server %d address %s port %d\n", i, d.Addr, svc.kind.Port)
		}
	}
	return b.String()
}

// start starts Pen and waits until its checks have found all servers up, except those
// that down names as SERVICE/SLOT.
func (s *site) start(t *testing.T, plane string, down ...string) {
	t.Helper()
	s.pen = lab.StartPen(t, lab.Setup{Plane: plane, Config: s.config(), Args: []string{"127.0.0.1:8000"}, Place: s.place})
	for _, svc := range s.services {
		for slot := range svc.servers {
			want := "up"
			for _, d := range down {
				if d == fmt.Sprintf("%s/%d", svc.name, slot) {
					want = "down"
				}
			}
			svc.await(t, slot, want)
		}
	}
}

// state returns the state of a server as Pen reports it, or "" before the first check.
func (svc *service) state(slot int) string {
	line := regexp.MustCompile(fmt.Sprintf(`(?m)^%d .* state (.+) check \w+ (up|down|\w+)`, slot))
	m := line.FindStringSubmatch(svc.site.pen.Ask("service " + svc.name + " state"))
	if m == nil || m[2] == "unknown" {
		return ""
	}
	return m[1]
}

// await waits until Pen reports a server in a state, and returns how long that took.
func (svc *service) await(t *testing.T, slot int, state string) time.Duration {
	t.Helper()
	begin := time.Now()
	what := fmt.Sprintf("server %d of %s is %s", slot, svc.name, state)
	testenv.Eventually(t, what, func() bool { return svc.state(slot) == state })
	return time.Since(begin)
}

// cut adds addresses to one of the sets of faultRules. The function that it returns
// removes them.
func (s *site) cut(t *testing.T, set string, addrs ...string) (end func()) {
	t.Helper()
	change := func(verb string) {
		s.net.Run(t, "/usr/sbin/nft", verb, "element", "inet", "faults", set, "{ "+strings.Join(addrs, ", ")+" }")
	}
	change("add")
	return func() { change("delete") }
}
