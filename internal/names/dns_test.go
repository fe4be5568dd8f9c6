package names

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pen/internal/testenv"
)

// A zone is what a DNS server of a test knows.
type zone struct {
	mu      sync.Mutex
	records []dns.RR
	rcodes  map[string]int  // replies to questions for a name, or a name and type: "a.example.org. AAAA"
	silent  map[string]bool // likewise, without a reply
	asked   []string        // "udp a.example.org. AAAA"
	odd     func(network string, question, reply *dns.Msg) []*dns.Msg
}

func newZone(t testing.TB, records ...string) *zone {
	z := &zone{}
	z.set(t, records...)
	return z
}

// set replaces all that the zone knows.
func (z *zone) set(t testing.TB, records ...string) {
	t.Helper()
	var list []dns.RR
	for _, s := range records {
		rr, err := dns.NewRR(s)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, rr)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.records, z.rcodes, z.silent = list, map[string]int{}, map[string]bool{}
}

func (z *zone) fail(what string, rcode int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.rcodes[what] = rcode
}

// behave has the server send something else than its replies; nil ends that.
func (z *zone) behave(odd func(network string, question, reply *dns.Msg) []*dns.Msg) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.odd = odd
}

func (z *zone) silence(what string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.silent[what] = true
}

// count is how many questions have come that have this in them.
func (z *zone) count(part string) int {
	z.mu.Lock()
	defer z.mu.Unlock()
	n := 0
	for _, q := range z.asked {
		if strings.Contains(q, part) {
			n++
		}
	}
	return n
}

// replies returns what the server says to a question. It gives all aliases
// that it knows, as servers that ask others do.
func (z *zone) replies(network string, question *dns.Msg) []*dns.Msg {
	z.mu.Lock()
	defer z.mu.Unlock()
	q := question.Question[0]
	what := q.Name + " " + dns.TypeToString[q.Qtype]
	z.asked = append(z.asked, network+" "+what)
	if z.silent[q.Name] || z.silent[what] {
		return nil
	}
	m := new(dns.Msg).SetReply(question)
	m.RecursionAvailable = true
	rcode, failing := z.rcodes[what]
	if !failing {
		rcode, failing = z.rcodes[q.Name]
	}
	if failing {
		m.Rcode = rcode
		return []*dns.Msg{m}
	}
	z.answer(m, q.Name, q.Qtype)
	if z.odd != nil {
		return z.odd(network, question, m)
	}
	return []*dns.Msg{m}
}

func (z *zone) answer(m *dns.Msg, name string, kind uint16) {
	m.Rcode = dns.RcodeNameError
	for i := 0; i < 20; i++ {
		alias := ""
		for _, rr := range z.records {
			if !strings.EqualFold(rr.Header().Name, name) {
				continue
			}
			m.Rcode = dns.RcodeSuccess
			c, ok := rr.(*dns.CNAME)
			if ok {
				alias = c.Target
			}
			if ok || rr.Header().Rrtype == kind {
				m.Answer = append(m.Answer, dns.Copy(rr))
			}
		}
		if alias == "" {
			return
		}
		name = alias
	}
}

// exchange is an Exchange with the zone and no network; time passes only where
// there is no reply.
func (z *zone) exchange(ctx context.Context, network, _ string, question *dns.Msg) (*dns.Msg, error) {
	replies := z.replies(network, question.Copy())
	if len(replies) == 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return replies[0], nil
}

// serve starts a server for the zone, by UDP and, if wanted, TCP, on one port
// of loopback.
func (z *zone) serve(t testing.TB, tcp bool) netip.AddrPort {
	t.Helper()
	ln, conn := pair(t)
	z.start(t, "udp", &dns.Server{PacketConn: conn})
	if tcp {
		z.start(t, "tcp", &dns.Server{Listener: ln})
	} else {
		ln.Close()
	}
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// pair listens on a port that is free in both protocols, which takes several
// tries where others take ports as well.
func pair(t testing.TB) (net.Listener, net.PacketConn) {
	t.Helper()
	var last error
	for range 100 {
		ln, err := net.Listen("tcp", testenv.Loopback)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.ListenPacket("udp", ln.Addr().String())
		if err == nil {
			return ln, conn
		}
		last = err
		ln.Close()
	}
	t.Fatal(last)
	return nil, nil
}

func (z *zone) start(t testing.TB, network string, s *dns.Server) {
	started := make(chan struct{})
	s.NotifyStartedFunc = func() { close(started) }
	s.Handler = dns.HandlerFunc(func(w dns.ResponseWriter, question *dns.Msg) {
		for _, m := range z.replies(network, question) {
			w.WriteMsg(m)
		}
	})
	var running sync.WaitGroup
	running.Go(func() { s.ActivateAndServe() })
	<-started
	t.Cleanup(func() {
		s.Shutdown()
		running.Wait()
	})
}

// files are Options with a hosts file and a resolv.conf of the test, which has
// no server.
func files(t testing.TB, hosts, conf string) Options {
	t.Helper()
	dir := t.TempDir()
	o := Options{
		Hosts: filepath.Join(dir, "hosts"), ResolvConf: filepath.Join(dir, "resolv.conf"),
		Usable: func(netip.Addr) bool { return true },
	}
	writeFile(t, o.Hosts, hosts, 1)
	writeFile(t, o.ResolvConf, conf, 1)
	return o
}

// writeFile writes a file of a certain age.
func writeFile(t testing.TB, name, text string, second int64) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, time.Time{}, time.Unix(second, 0)); err != nil {
		t.Fatal(err)
	}
}

// fake are Options that ask a zone without a network.
func fake(t testing.TB, z *zone) Options {
	o := files(t, "", "")
	o.Exchange = z.exchange
	return o
}

func host(name string) Query { return Query{Name: name} }

// want looks a name up and fails the test if the addresses are others; "-" is
// a free place.
func want(t testing.TB, w *Watcher, q Query, addrs ...string) {
	t.Helper()
	list, err := w.Lookup(t.Context(), q)
	if err != nil {
		t.Errorf("%s: %v, want %v", q.Name, err, addrs)
		return
	}
	if got := text(list); got != strings.Join(addrs, " ") {
		t.Errorf("%s: %s, want %v", q.Name, got, addrs)
	}
}

// wantError looks a name up and fails the test unless the error says so.
func wantError(t testing.TB, w *Watcher, q Query, part string) {
	t.Helper()
	if list, err := w.Lookup(t.Context(), q); err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("%s: %v, %v, want error %q", q.Name, list, err, part)
	}
}

func text(list []Answer) string {
	var words []string
	for _, a := range list {
		switch {
		case !a.Addr.IsValid():
			words = append(words, "-")
		case a.Port != 0:
			words = append(words, netip.AddrPortFrom(a.Addr, a.Port).String())
		default:
			words = append(words, a.Addr.String())
		}
	}
	return strings.Join(words, " ")
}
