package names

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pen/internal/testenv"
)

func TestCheck(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, tt := range []struct {
		q    Query
		want string // of the error
	}{
		{host("web.example.org"), ""},
		{host("web.example.org."), ""},
		{host("web_1"), ""},
		{host("192.0.2.1"), ""},
		{host("2001:db8::1"), ""},
		{host("fe80::1%eth0"), ""},
		{Query{"_http._tcp.example.org", 3}, ""},
		{host("_web.example.org"), ""},
		{host(strings.Join([]string{long, long, long, long[:61]}, ".")), ""},
		{host(""), `"" is no name`},
		{host("."), `"." is no name`},
		{host("a..b"), "is no name"},
		{host("-a"), "is no name"},
		{host("a b"), `"a b" is no name`},
		{host("a\nb"), `"a\nb" is no name`},
		{host("ä.example.org"), "is no name"},
		{host(long + "a"), "is no name"},
		{host(strings.Join([]string{long, long, long, long[:62]}, ".")), "is no name"},
		{host(strings.Repeat("x", 1e6)), "..."},
		{host("192.0.2.1."), "is no name"},
		{host("_http._tcp.example.org"), "0 places, want 1 to 4096"},
		{Query{"_http._tcp.example.org", 4097}, "4097 places"},
		{Query{"web.example.org", 1}, ""},
		{Query{"web.example.org", 4097}, "4097 places"},
		{Query{"web.example.org", -1}, "-1 places"},
	} {
		err := tt.q.Check()
		if got := ""; err != nil {
			got = err.Error()
			if tt.want == "" || !strings.Contains(got, tt.want) || len(got) > 500 {
				t.Errorf("%q: %v, want %q", tt.q.Name, err, tt.want)
			}
		} else if tt.want != "" {
			t.Errorf("%q: nothing, want %q", tt.q.Name, tt.want)
		}
	}
}

func TestLookup(t *testing.T) {
	z := newZone(t,
		"four.example.org. 60 A 192.0.2.4", "six.example.org. 60 AAAA 2001:db8::6",
		"both.example.org. 60 A 192.0.2.4", "both.example.org. 60 AAAA 2001:db8::6",
		"site.example.org. 60 A 192.0.2.4", "site.example.org. 60 AAAA fd00::6",
		"mapped.example.org. 60 AAAA ::ffff:192.0.2.4",
		"none.example.org. 60 A 0.0.0.0", "none.example.org. 60 AAAA ::", "none.example.org. 60 A 224.0.0.1",
		"some.example.org. 60 A 0.0.0.0", "some.example.org. 60 A 192.0.2.9",
		"text.example.org. 60 TXT x", "alias.example.org. 60 CNAME Other.Example.ORG.", "other.example.org. 60 CNAME four.example.org.",
		"circle.example.org. 60 CNAME elcric.example.org.", "elcric.example.org. 60 CNAME circle.example.org.",
		"away.example.org. 60 CNAME www.example.net.",
	)
	z.fail("refused.example.org.", dns.RcodeRefused)
	z.fail("odd.example.org.", 27)
	w := New(fake(t, z))
	want(t, w, host("four.example.org"), "192.0.2.4")
	want(t, w, host("FOUR.example.org."), "192.0.2.4")
	want(t, w, host("six.example.org"), "2001:db8::6")
	want(t, w, host("both.example.org"), "2001:db8::6")
	want(t, w, host("site.example.org"), "192.0.2.4")
	want(t, w, host("mapped.example.org"), "192.0.2.4")
	want(t, w, host("some.example.org"), "192.0.2.9")
	want(t, w, host("alias.example.org"), "192.0.2.4")
	wantError(t, w, host("none.example.org"), "look up none.example.org: no answer that is of use")
	wantError(t, w, host("text.example.org"), "no answer that is of use")
	wantError(t, w, host("away.example.org"), "no answer that is of use")
	wantError(t, w, host("circle.example.org"), "aliases, or a circle")
	wantError(t, w, host("missing.example.org"), "no such name")
	wantError(t, w, host("refused.example.org"), "127.0.0.1:53: REFUSED")
	wantError(t, w, host("odd.example.org"), "code 27")
	wantError(t, w, host("bad name"), `"bad name" is no name`)
	asked := z.count("")
	want(t, w, host("::ffff:192.0.2.7"), "192.0.2.7")
	want(t, w, host("four.example.org"), "192.0.2.4") // remembered
	if n := z.count(""); n != asked {
		t.Errorf("%d questions more for a literal address and a remembered name", n-asked)
	}
	// No route for IPv6.
	o := fake(t, z)
	o.Usable = netip.Addr.Is4
	want(t, New(o), host("both.example.org"), "192.0.2.4")
	want(t, New(o), host("six.example.org"), "2001:db8::6")
}

func TestServersOfResolvConf(t *testing.T) {
	z := newZone(t, "a.example.org. 60 A 192.0.2.4")
	var asked []string
	o := files(t, "", "nameserver 192.0.2.1\nnameserver ::2\nnameserver dns.example\nnameserver 192.0.2.3\nnameserver 192.0.2.4\noptions attempts:2")
	o.Exchange = func(ctx context.Context, network, server string, q *dns.Msg) (*dns.Msg, error) {
		if q.Question[0].Qtype == dns.TypeA {
			asked = append(asked, server)
			if len(asked) < 5 {
				return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure), nil
			}
		}
		return z.exchange(ctx, network, server, q)
	}
	want(t, New(o), host("a.example.org"), "192.0.2.4")
	if got := strings.Join(asked, " "); got != "192.0.2.1:53 [::2]:53 192.0.2.3:53 192.0.2.1:53 [::2]:53" {
		t.Errorf("asked %s", got)
	}
}

func TestSearchList(t *testing.T) {
	z := newZone(t, "web.example.org. 60 A 192.0.2.1", "web.example.net. 60 A 192.0.2.2", "a.b.c.example.org. 60 A 192.0.2.3", "web. 60 A 192.0.2.4", "a.b. 60 A 192.0.2.5", "_x._tcp.example.net. 60 SRV 1 1 80 web.example.net.")
	o := fake(t, z)
	writeFile(t, o.ResolvConf, "search example.org example.net. bad\\name\noptions ndots:2", 2)
	w := New(o)
	want(t, w, host("web"), "192.0.2.1")
	want(t, w, host("web."), "192.0.2.4")
	want(t, w, host("a.b.c"), "192.0.2.3")
	want(t, w, host("a.b"), "192.0.2.5")
	want(t, w, Query{"_x._tcp", 1}, "192.0.2.2:80")
	// A domain that fails is passed over, as glibc does.
	z.fail("web.example.org.", dns.RcodeServerFailure)
	want(t, New(o), host("web"), "192.0.2.2")
	z.fail("_x._tcp.example.org.", dns.RcodeServerFailure)
	want(t, New(o), Query{"_x._tcp", 1}, "192.0.2.2:80")
	// If nobody else knows, the failure is what is told: the name may be there.
	z.fail("only.example.org.", dns.RcodeServerFailure)
	wantError(t, New(o), host("only"), "SERVFAIL")
	z.fail("web.example.org.", dns.RcodeNameError)
	want(t, New(o), host("web"), "192.0.2.2")
}

func TestHostsBeforeDNS(t *testing.T) {
	z := newZone(t, "web.example.org. 60 A 192.0.2.1", "_x._tcp.example.org. 60 SRV 1 1 80 web.example.org.")
	o := fake(t, z)
	writeFile(t, o.Hosts, "# none\n10.0.0.1\tother Web.Example.org # web2\n::1 localhost\nbad web.example.org\n10.0.0.2 web.example.org\n", 2)
	w := New(o)
	want(t, w, host("web.example.org"), "10.0.0.1")
	want(t, w, host("localhost"), "::1")
	want(t, w, Query{"_x._tcp.example.org", 1}, "10.0.0.1:80")
	wantError(t, w, host("web2"), "no such name")
	writeFile(t, o.Hosts, "", 3)
	want(t, New(o), host("web.example.org"), "192.0.2.1")
}

func TestFileIsReadWhenItChanges(t *testing.T) {
	name := t.TempDir() + "/file"
	reads := 0
	f := newFile(name, func(b []byte) string { reads++; return string(b) })
	for i, want := range []string{"", "", "one", "one", "two", "two", "two", "two"} {
		switch i {
		case 2:
			writeFile(t, name, "one", 1)
		case 4:
			writeFile(t, name, "two", 2) // as long
		case 6:
			writeFile(t, name, strings.Repeat("x", maxFile+1), 3)
		}
		if got := f.get(); got != want {
			t.Errorf("step %d: %q, want %q", i, got, want)
		}
	}
	if reads != 3 {
		t.Errorf("parsed %d times, want 3", reads)
	}
}

// The whole path through the network, with servers that behave in many ways.
func TestOverTheNetwork(t *testing.T) {
	testenv.CheckLeaks(t)
	z := newZone(t,
		"a.example.org. 60 A 192.0.2.1", "a.example.org. 60 AAAA 2001:db8::1",
		"alias.example.org. 60 CNAME a.example.org.",
		"max.example.org. 4294967295 A 192.0.2.2",
		"circle.example.org. 60 CNAME circle.example.org.",
	)
	z.fail("broken.example.org.", dns.RcodeServerFailure)
	for _, tt := range []struct {
		name string
		tcp  bool
		odd  func(network string, q, reply *dns.Msg) []*dns.Msg
		want string // address of a.example.org, or part of an error
	}{
		{"as it should be", true, nil, "2001:db8::1"},
		{"truncated", true, func(network string, _, m *dns.Msg) []*dns.Msg {
			if network == "udp" {
				m.Answer, m.Truncated = nil, true
			}
			return []*dns.Msg{m}
		}, "2001:db8::1"},
		{"truncated, without TCP", false, func(_ string, _, m *dns.Msg) []*dns.Msg {
			m.Truncated = true
			return []*dns.Msg{m}
		}, "connection refused"},
		{"truncated by TCP as well", true, func(_ string, _, m *dns.Msg) []*dns.Msg {
			m.Truncated = true
			return []*dns.Msg{m}
		}, "truncated, also by TCP"},
		{"wrong ids and questions first", true, func(_ string, _, m *dns.Msg) []*dns.Msg {
			id, question, request := lie(m), lie(m), lie(m)
			id.Id++
			question.Question[0].Name = "b.example.org."
			request.Response = false
			return []*dns.Msg{id, question, request, m}
		}, "2001:db8::1"},
		{"answers of another name", true, func(_ string, _, m *dns.Msg) []*dns.Msg {
			for _, rr := range m.Answer {
				rr.Header().Name = "b.example.org."
			}
			return []*dns.Msg{m}
		}, "no answer that is of use"},
		{"neither answers nor asks others", true, func(_ string, _, m *dns.Msg) []*dns.Msg {
			m.Answer, m.RecursionAvailable = nil, false
			return []*dns.Msg{m}
		}, "knows nothing and asks nobody"},
		{"wrong id by TCP", true, func(network string, _, m *dns.Msg) []*dns.Msg {
			m.Truncated = network == "udp"
			if network == "tcp" {
				m.Id++
			}
			return []*dns.Msg{m}
		}, "a reply to another question"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			z.behave(tt.odd)
			o := files(t, "", "options attempts:1 timeout:30")
			o.Servers = []netip.AddrPort{z.serve(t, tt.tcp)}
			w := New(o)
			if _, err := netip.ParseAddr(tt.want); err != nil {
				wantError(t, w, host("a.example.org"), tt.want)
				return
			}
			want(t, w, host("a.example.org"), tt.want)
			want(t, w, host("alias.example.org"), tt.want)
			want(t, w, host("max.example.org"), "192.0.2.2")
			wantError(t, w, host("circle.example.org"), "circle")
			wantError(t, w, host("missing.example.org"), "no such name")
			wantError(t, w, host("broken.example.org"), "SERVFAIL")
		})
	}
}

// lie returns a copy of a reply, with addresses that must not be believed.
func lie(m *dns.Msg) *dns.Msg {
	m = m.Copy()
	for _, rr := range m.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			rr.A[3] = 66
		case *dns.AAAA:
			rr.AAAA[15] = 66
		}
	}
	return m
}

// Nobody answers: the look-up ends with its context, and at once where nobody
// listens.
func TestNoReplyOverTheNetwork(t *testing.T) {
	testenv.CheckLeaks(t)
	z := newZone(t)
	z.silence("a.example.org.")
	o := files(t, "", "options attempts:5 timeout:30")
	o.Servers = []netip.AddrPort{z.serve(t, true)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := New(o).Lookup(ctx, host("a.example.org"))
		ended <- err
	}()
	testenv.Eventually(t, "both questions have come", func() bool { return z.count("udp a.example.org.") == 2 })
	cancel()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "no reply") {
		t.Errorf("%v, want no reply", err)
	}
	o.Servers = []netip.AddrPort{testenv.Refused(t)}
	wantError(t, New(o), host("a.example.org"), "connection refused")
}

// A change of DNS comes through, over the network and in real time.
func TestWatchOverTheNetwork(t *testing.T) {
	testenv.CheckLeaks(t)
	z := newZone(t, "a.example.org. 0 A 192.0.2.1")
	o := files(t, "", "options attempts:1")
	o.Servers = []netip.AddrPort{z.serve(t, true)}
	o.MinTTL = time.Millisecond
	changes := make(chan string, 10)
	o.OnChange = func(q Query, list []Answer) { changes <- q.Name + " " + text(list) }
	w := New(o)
	want(t, w, host("a.example.org"), "192.0.2.1")
	w.Set([]Query{host("a.example.org")})
	w.Start()
	defer w.Close()
	z.fail("a.example.org.", dns.RcodeServerFailure)
	n := z.count("")
	testenv.Eventually(t, "it asks again and again", func() bool { return z.count("") > n+4 })
	want(t, w, host("a.example.org"), "192.0.2.1")
	z.set(t, "a.example.org. 2147483648 A 192.0.2.2") // counts as 0
	if got := <-changes; got != "a.example.org 192.0.2.2" {
		t.Errorf("told %q", got)
	}
	n = z.count("")
	testenv.Eventually(t, "it asks again and again", func() bool { return z.count("") > n+4 })
}

func TestHasRoute(t *testing.T) {
	if !hasRoute(netip.MustParseAddr("127.0.0.1")) {
		t.Error("no route to loopback")
	}
	if hasRoute(netip.MustParseAddr("fe80::1%no-such-link")) {
		t.Error("a route to a link that is not there")
	}
}
