package names

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// Kubernetes writes a resolv.conf with search domains and ndots:5. One whose
// servers fail or are silent does not keep the name itself from being found.
func TestSearchDomainsThatFail(t *testing.T) {
	for what, fail := range map[string]func(*zone){
		"SERVFAIL": func(z *zone) { z.fail("web.example.com.ec2.internal.", dns.RcodeServerFailure) },
		"REFUSED":  func(z *zone) { z.fail("web.example.com.ec2.internal.", dns.RcodeRefused) },
		"silence":  func(z *zone) { z.silence("web.example.com.ec2.internal.") },
	} {
		t.Run(what, func(t *testing.T) {
			z := newZone(t, "web.example.com. 60 A 192.0.2.1")
			fail(z)
			o := fake(t, z)
			writeFile(t, o.ResolvConf, "search svc.cluster.local ec2.internal\noptions ndots:5", 2)
			synctest.Test(t, func(t *testing.T) { want(t, New(o), host("web.example.com"), "192.0.2.1") })
		})
	}
}

// A name that was found in a search domain stays there while that fails: what
// another one has is another host.
func TestSearchDomainStays(t *testing.T) {
	z := newZone(t, "web.a.example. 1 A 192.0.2.1", "web.b.example. 1 A 192.0.2.2")
	o := fake(t, z)
	writeFile(t, o.ResolvConf, "search a.example b.example", 2)
	r := New(o).resolver
	out := r.resolve(t.Context(), host("web"), nil)
	z.fail("web.a.example.", dns.RcodeServerFailure)
	if again := r.resolve(t.Context(), host("web"), out.places); again.err == nil || again.places != nil {
		t.Errorf("%v, want an error", again.places)
	}
	if text(answers(out.places)) != "192.0.2.1" {
		t.Error(text(answers(out.places)))
	}
}

func addrs(t *testing.T, w *Watcher, q Query) string {
	t.Helper()
	list, err := w.Lookup(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	s := ""
	for _, a := range list {
		s += "[" + a.Addr.String()
		for _, o := range a.Others {
			s += " " + o.String()
		}
		s += "]"
	}
	return s
}

// A host has all its addresses, the best first, whatever their order in a reply.
func TestAllAddresses(t *testing.T) {
	z := newZone(t, "both.example. 60 A 192.0.2.2", "both.example. 60 A 192.0.2.1", "both.example. 60 AAAA 2001:db8::1",
		"_x._tcp.example. 60 SRV 1 1 80 both.example.")
	w := New(fake(t, z))
	if got := addrs(t, w, host("both.example")); got != "[2001:db8::1 192.0.2.1 192.0.2.2]" {
		t.Error(got)
	}
	if got := addrs(t, w, Query{"_x._tcp.example", 2}); got != "[2001:db8::1 192.0.2.1 192.0.2.2][invalid IP]" {
		t.Error(got)
	}
	o := fake(t, z)
	o.Usable = netip.Addr.Is4
	if got := addrs(t, New(o), host("both.example")); got != "[192.0.2.2 192.0.2.1 2001:db8::1]" {
		t.Error(got)
	}
	writeFile(t, o.Hosts, "127.0.0.1 localhost\n::1 localhost\n", 2)
	o.Usable = func(netip.Addr) bool { return true }
	if got := addrs(t, New(o), host("localhost")); got != "[::1 127.0.0.1]" {
		t.Error(got)
	}
}

// While nobody knows the addresses of one family, those that were known stay.
func TestOthersStay(t *testing.T) {
	z := newZone(t, "both.example. 1 A 192.0.2.1", "both.example. 1 AAAA 2001:db8::1")
	bubble(t, z, nil, []Query{host("both.example")}, func(t *testing.T, w *watch) {
		w.wantTold(t, "both.example 2001:db8::1")
		z.fail("both.example. A", dns.RcodeServerFailure)
		pass(time.Minute)
		w.wantTold(t)
		if got := addrs(t, w.Watcher, host("both.example")); got != "[2001:db8::1 192.0.2.1]" {
			t.Error(got)
		}
	})
}

// Places of a host have an address each, and keep it.
func TestAddressesInPlaces(t *testing.T) {
	z := newZone(t, "web.example. 1 A 192.0.2.1", "web.example. 1 A 192.0.2.2")
	q := Query{"web.example", 3}
	bubble(t, z, nil, []Query{q}, func(t *testing.T, w *watch) {
		want(t, w.Watcher, q, "192.0.2.1", "192.0.2.2", "-")
		z.set(t, "web.example. 1 A 192.0.2.2", "web.example. 1 A 192.0.2.0", "web.example. 1 A 192.0.2.9", "web.example. 1 A 192.0.2.10")
		pass(2 * time.Second)
		want(t, w.Watcher, q, "192.0.2.0", "192.0.2.2", "192.0.2.9")
		w.wantLog(t, 1, "more servers of a name than places")
		z.set(t)
		pass(time.Minute)
		want(t, w.Watcher, q, "192.0.2.0", "192.0.2.2", "192.0.2.9")
	})
}

// What has no route is in no place while others have one.
func TestPlacesAreReachable(t *testing.T) {
	z := newZone(t, "web.example. 1 A 192.0.2.1", "web.example. 1 AAAA 2001:db8::1", "six.example. 1 AAAA 2001:db8::6")
	o := fake(t, z)
	o.Usable = netip.Addr.Is4
	want(t, New(o), Query{"web.example", 2}, "192.0.2.1", "-")
	want(t, New(o), Query{"six.example", 1}, "2001:db8::6")
}

// Refresh asks at once, but not more often than every second.
func TestRefresh(t *testing.T) {
	z := newZone(t, "web.example. 300 A 192.0.2.1")
	q := host("web.example")
	bubble(t, z, nil, []Query{q}, func(t *testing.T, w *watch) {
		w.wantTold(t, "web.example 192.0.2.1")
		pass(10 * time.Second)
		z.set(t, "web.example. 300 A 192.0.2.2")
		asked := z.count("web.example. A")
		for range 100 {
			w.Refresh(q, host("other.example"))
			synctest.Wait()
		}
		w.wantTold(t, "web.example 192.0.2.2")
		if n := z.count("web.example. A") - asked; n != 2 { // of A and AAAA
			t.Errorf("%d questions, want 2", n)
		}
		pass(2 * time.Second)
		if n := z.count("web.example. A") - asked; n != 4 {
			t.Errorf("%d questions after a second, want 4", n)
		}
	})
}

// Known tells what is known of a name that is asked for, and does not wait.
func TestKnown(t *testing.T) {
	z := newZone(t)
	q := host("web.example")
	slow := func(o *Options) {
		ask := o.Exchange
		o.Exchange = func(ctx context.Context, network, server string, m *dns.Msg) (*dns.Msg, error) {
			time.Sleep(time.Second)
			return ask(ctx, network, server, m)
		}
	}
	bubble(t, z, slow, []Query{q}, func(t *testing.T, w *watch) {
		if _, wanted, err := w.Known(q); !wanted || err == nil || err.Error() != "look up web.example: no reply yet" {
			t.Error(wanted, err)
		}
		pass(2 * time.Second)
		if _, wanted, err := w.Known(q); !wanted || err == nil || err.Error() != "look up web.example: no such name" {
			t.Error(wanted, err)
		}
		z.set(t, "web.example. 1 A 192.0.2.1")
		pass(time.Minute)
		if list, wanted, err := w.Known(q); !wanted || err != nil || text(list) != "192.0.2.1" {
			t.Error(list, wanted, err)
		}
		if _, wanted, _ := w.Known(host("other.example")); wanted {
			t.Error("nobody has asked for it")
		}
	})
}
