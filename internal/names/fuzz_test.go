package names

import (
	"testing"
	"time"

	"github.com/miekg/dns"
)

// FuzzReply: whatever a server sends, what is taken from it may be connected to
// and stand in a log.
func FuzzReply(f *testing.F) {
	z := newZone(f, "a.b. 9 A 192.0.2.1", "c.b. 9 CNAME a.b.", "d.b. 9 CNAME d.b.", "_x._tcp.b. 9 SRV 1 1 80 a.b.", `_x._tcp.b. 9 SRV 1 1 80 a\010.b.`)
	for name, kind := range map[string]uint16{"a.b.": dns.TypeA, "c.b.": dns.TypeA, "d.b.": dns.TypeA, "_x._tcp.b.": dns.TypeSRV} {
		m := z.replies("udp", new(dns.Msg).SetQuestion(name, kind))[0]
		packed, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
		f.Add(packed[:len(packed)-3])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := unpack(b)
		if err != nil || len(m.Question) != 1 {
			return
		}
		IsReply(m, new(dns.Msg).SetQuestion("a.b.", dns.TypeA))
		for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeSRV} {
			list, ttl, err := records(m, m.Question[0].Name, kind)
			if err == nil && (len(list) == 0 || ttl < 0 || ttl > 1<<31*time.Second) {
				t.Errorf("%d records for %v", len(list), ttl)
			}
			for _, addr := range addresses(list) {
				if !addr.IsValid() || addr.IsUnspecified() || addr.IsMulticast() || addr.Is4In6() {
					t.Errorf("address %v", addr)
				}
			}
			for _, p := range targets(list) {
				if !isName(p.target) || p.Port == 0 {
					t.Errorf("server %q, port %d", p.target, p.Port)
				}
			}
		}
	})
}

func FuzzHosts(f *testing.F) {
	f.Add([]byte("127.0.0.1 localhost a.b. # x\n::1 localhost\n\nx y\n::ffff:1.2.3.4 A\x00 B\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for name, addrs := range parseHosts(b) {
			if !isName(name) || name != canonical(name) || len(addrs) == 0 {
				t.Errorf("%q: %v", name, addrs)
			}
		}
	})
}

func FuzzResolvConf(f *testing.F) {
	f.Add([]byte("nameserver 192.0.2.1\nnameserver fe80::1%eth0\nsearch a.b c\noptions ndots:99 timeout:9999999999 attempts:-1\n"))
	f.Add([]byte("domain x\nnameserver\noptions timeout: attempts:99\n; x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := parseResolvConf(b)
		if n := len(c.servers); n < 1 || n > maxServers {
			t.Errorf("%d servers", n)
		}
		if c.timeout < time.Second || c.timeout > maxTimeout || c.attempts < 1 || c.attempts > maxAttempts {
			t.Errorf("time-out %v, %d attempts", c.timeout, c.attempts)
		}
		for _, name := range []string{"web", "web.example.org", "web."} {
			list := c.candidates(name)
			if len(list) < 1 || len(list) > maxSearch+1 {
				t.Errorf("%s: %d candidates", name, len(list))
			}
			for _, s := range list {
				if !isName(s) {
					t.Errorf("%s: candidate %q", name, s)
				}
			}
		}
	})
}
