package app

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pen/internal/config"
	"pen/internal/names"
	"pen/internal/testenv"
)

// A zone answers questions from a list of records that a test may change.
type zone struct {
	mu      sync.Mutex
	records []string
}

func (z *zone) set(records ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.records = records
}

func (z *zone) options() names.Options {
	return names.Options{Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")}, Exchange: z.exchange, Hosts: "/dev/null", MinTTL: 10 * time.Millisecond}
}

func (z *zone) exchange(_ context.Context, _, _ string, q *dns.Msg) (*dns.Msg, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	r := new(dns.Msg).SetReply(q)
	for _, text := range z.records {
		rr, err := dns.NewRR(text)
		if err != nil {
			return nil, err
		}
		if rr.Header().Rrtype == q.Question[0].Qtype && strings.EqualFold(rr.Header().Name, q.Question[0].Name) {
			r.Answer = append(r.Answer, rr)
		}
	}
	if len(r.Answer) == 0 {
		r.Rcode = dns.RcodeNameError
	}
	return r, nil
}

func startWith(t *testing.T, z *zone, args ...string) *App {
	t.Helper()
	opt := quiet(t)
	opt.Names = z.options()
	a, err := New(parse(t, args...), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Stop(0) })
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	return a
}

// A server that is given by name follows its name; without an answer it stays
// where it was, and so does a connection.
func TestServerFollowsItsName(t *testing.T) {
	testenv.CheckLeaks(t)
	first := named(t, "first")
	second := testenv.Serve(t, func(c testenv.Conn) { c.Write([]byte("second\n")) })
	var z zone
	z.set("web.example.org. 0 IN A 127.0.0.1")
	a := startWith(t, &z, "-O", "blacklist 0", "127.0.0.1:0", "web.example.org:"+portOf(first))
	if got := visit(t, a.Addr()); got != "first" {
		t.Fatal(got)
	}
	held := connect(t, a.Addr())
	z.set() // no such name any more
	run(t, a, "timeout 2")
	if got := visit(t, a.Addr()); got != "first" {
		t.Errorf("while DNS knows of nothing: %s", got)
	}
	run(t, a, "server 0 port "+portOf(second.String()))
	z.set("web.example.org. 0 IN A 127.0.0.2")
	testenv.Eventually(t, "the new address", func() bool {
		return a.cfg.Load().services[config.DefaultService].Servers()[0].Addr == "127.0.0.2"
	})
	if _, err := held.Read(make([]byte, 6)); err != nil {
		t.Errorf("the connection from before: %v", err)
	}
}

// Slots that name a service of DNS get the servers that are listed there.
func TestServersFromDNS(t *testing.T) {
	first, second := named(t, "first"), named(t, "second")
	record := func(addr, host, weight string) []string {
		return []string{"_http._tcp.example.org. 0 IN SRV 3 " + weight + " " + portOf(addr) + " " + host, host + " 0 IN A 127.0.0.1"}
	}
	var z zone
	z.set(record(first, "a.example.org.", "7")...)
	a := startWith(t, &z, "-O", "server 0-3 address _http._tcp.example.org", "127.0.0.1:0")
	if got := visit(t, a.Addr()); got != "first" {
		t.Fatal(got)
	}
	if s := a.cfg.Load().services[config.DefaultService].d.Servers(); len(s) != 4 || s[0].Weight != 7 || s[0].Prio != 3 || s[1].Used() {
		t.Errorf("%+v", s)
	}
	z.set(append(record(first, "a.example.org.", "7"), record(second, "b.example.org.", "1")...)...)
	testenv.Eventually(t, "the second server", func() bool { return a.cfg.Load().services[config.DefaultService].d.Servers()[1].Used() })
	z.set(record(second, "b.example.org.", "1")...)
	testenv.Eventually(t, "the first one's end", func() bool { return !a.cfg.Load().services[config.DefaultService].d.Servers()[0].Used() })
	if got := visit(t, a.Addr()); got != "second" {
		t.Errorf("after the change: %s", got)
	}
}
