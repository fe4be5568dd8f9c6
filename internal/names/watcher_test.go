package names

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"pgregory.net/rapid"
)

// A watch is a Watcher in a bubble of time of its own, with what it has told.
type watch struct {
	*Watcher
	mu   sync.Mutex // guards all below: that time passes orders nothing
	told []string
	log  bytes.Buffer
}

// Write takes a line of the log.
func (w *watch) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(b)
}

// bubble runs a test with a Watcher of a zone. The records have to be there
// before it starts.
func bubble(t *testing.T, z *zone, change func(*Options), queries []Query, f func(t *testing.T, w *watch)) {
	t.Helper()
	o := fake(t, z)
	synctest.Test(t, func(t *testing.T) {
		w := &watch{}
		o.OnChange = func(q Query, list []Answer) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.told = append(w.told, q.Name+" "+text(list))
		}
		o.Log = slog.New(slog.NewTextHandler(w, nil))
		if change != nil {
			change(&o)
		}
		w.Watcher = New(o)
		w.Set(queries)
		w.Start()
		defer w.Close()
		synctest.Wait()
		f(t, w)
	})
}

// wantTold fails the test unless that is what OnChange was told since.
func (w *watch) wantTold(t *testing.T, lines ...string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.told, lines) {
		t.Errorf("told %q, want %q", w.told, lines)
	}
	w.told = nil
}

// wantLog fails the test unless a text is in the log so many times.
func (w *watch) wantLog(t *testing.T, n int, part string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := strings.Count(w.log.String(), part); got != n {
		t.Errorf("%q is %d times in the log, want %d:\n%s", part, got, n, w.log.String())
	}
}

func pass(d time.Duration) {
	time.Sleep(d) // of the bubble
	synctest.Wait()
}

func TestAskedAgainWhenTheTTLIsOver(t *testing.T) {
	for _, tt := range []struct {
		ttl      uint32
		from, to time.Duration
	}{
		{60, 60 * time.Second, 66 * time.Second},
		{0, time.Second, 1100 * time.Millisecond},
		{1 << 31, time.Second, 1100 * time.Millisecond},
		{1<<31 - 1, 5 * time.Minute, 330 * time.Second},
	} {
		z := newZone(t, fmt.Sprintf("a.example.org. %d A 192.0.2.1", tt.ttl))
		bubble(t, z, nil, []Query{host("a.example.org")}, func(t *testing.T, w *watch) {
			w.wantTold(t, "a.example.org 192.0.2.1")
			z.set(t, "a.example.org. 60 A 192.0.2.2")
			pass(tt.from - 1)
			w.wantTold(t)
			pass(tt.to - tt.from + 2)
			w.wantTold(t, "a.example.org 192.0.2.2")
		})
	}
}

// An answer stays in use while it is among the answers, in whatever order.
func TestChoiceIsStable(t *testing.T) {
	z := newZone(t, "a.example.org. 10 A 192.0.2.2", "a.example.org. 10 A 192.0.2.1")
	bubble(t, z, nil, []Query{host("a.example.org")}, func(t *testing.T, w *watch) {
		w.wantTold(t, "a.example.org 192.0.2.2")
		z.set(t, "a.example.org. 10 A 192.0.2.1", "a.example.org. 10 A 192.0.2.2")
		pass(12 * time.Second)
		w.wantTold(t)
		z.set(t, "a.example.org. 10 A 192.0.2.1", "a.example.org. 10 A 192.0.2.2", "a.example.org. 10 AAAA 2001:db8::1")
		pass(12 * time.Second)
		w.wantTold(t, "a.example.org 192.0.2.2") // with one more of the others
		z.set(t, "a.example.org. 10 A 192.0.2.3", "a.example.org. 10 A 192.0.2.1")
		pass(12 * time.Second)
		w.wantTold(t, "a.example.org 192.0.2.3")
	})
}

// The last good answer stays through every kind of trouble, for ever; each is
// said once.
func TestStaleWhileError(t *testing.T) {
	const name = "a.example.org."
	for what, tt := range map[string]struct {
		fails func(z *zone)
		log   string
	}{
		"SERVFAIL": {func(z *zone) { z.fail(name, dns.RcodeServerFailure) }, "DNS does not answer"},
		"silence":  {func(z *zone) { z.silence(name) }, "DNS does not answer"},
		"NXDOMAIN": {func(z *zone) { z.fail(name, dns.RcodeNameError) }, "DNS knows no such name"},
		"empty":    {func(z *zone) { z.fail(name, dns.RcodeSuccess) }, "DNS has no answer that is of use"},
		"useless":  {func(z *zone) { z.set(t, name+" 10 A 0.0.0.0") }, "DNS has no answer that is of use"},
		"circle":   {func(z *zone) { z.set(t, name+" 10 CNAME a.example.org.") }, "DNS has no answer that is of use"},
		"truncated": {func(z *zone) {
			z.behave(func(_ string, _, m *dns.Msg) []*dns.Msg { m.Truncated = true; return []*dns.Msg{m} })
		}, "DNS does not answer"},
	} {
		t.Run(what, func(t *testing.T) {
			z := newZone(t, name+" 10 A 192.0.2.1")
			bubble(t, z, nil, []Query{host("a.example.org")}, func(t *testing.T, w *watch) {
				w.wantTold(t, "a.example.org 192.0.2.1")
				tt.fails(z)
				pass(24 * time.Hour)
				w.wantTold(t)
				want(t, w.Watcher, host("a.example.org"), "192.0.2.1")
				w.wantLog(t, 1, tt.log)
				w.wantLog(t, 1, "level=WARN")
				z.behave(nil)
				z.set(t, name+" 10 A 192.0.2.2")
				pass(2 * time.Minute)
				w.wantTold(t, "a.example.org 192.0.2.2")
				w.wantLog(t, 1, "name is answered again")
			})
		})
	}
}

// The pauses between attempts grow, from the shortest TTL to half a minute.
func TestBackoff(t *testing.T) {
	z := newZone(t)
	z.fail("a.example.org.", dns.RcodeServerFailure)
	var mu sync.Mutex // guards attempts
	var attempts []time.Time
	note := func(o *Options) {
		writeFile(t, o.ResolvConf, "options attempts:1", 2)
		o.Exchange = func(ctx context.Context, network, server string, q *dns.Msg) (*dns.Msg, error) {
			if q.Question[0].Qtype == dns.TypeA {
				mu.Lock()
				attempts = append(attempts, time.Now())
				mu.Unlock()
			}
			return z.exchange(ctx, network, server, q)
		}
	}
	bubble(t, z, note, []Query{host("a.example.org")}, func(t *testing.T, w *watch) {
		pass(3 * time.Minute)
		mu.Lock()
		at := slices.Clone(attempts)
		mu.Unlock()
		for i, pause := range []time.Duration{1, 2, 4, 8, 16, 30, 30, 30} {
			pause *= time.Second
			if got := at[i+1].Sub(at[i]); got < pause || got > pause+pause/10+1 {
				t.Errorf("pause %d is %v, want %v and up to a tenth more", i, got, pause)
			}
		}
		z.set(t, "a.example.org. 10 A 192.0.2.1")
		pass(33 * time.Second)
		w.wantTold(t, "a.example.org 192.0.2.1") // the first one
	})
}

// One family does not answer: what is in use stays, and the other is used
// where nothing was.
func TestOneFamilyIsMissing(t *testing.T) {
	z := newZone(t, "a.example.org. 10 A 192.0.2.1", "a.example.org. 10 AAAA 2001:db8::1", "b.example.org. 10 A 192.0.2.2")
	z.fail("b.example.org. AAAA", dns.RcodeServerFailure)
	bubble(t, z, nil, []Query{host("a.example.org"), host("b.example.org")}, func(t *testing.T, w *watch) {
		w.mu.Lock()
		slices.Sort(w.told)
		w.mu.Unlock()
		w.wantTold(t, "a.example.org 2001:db8::1", "b.example.org 192.0.2.2")
		z.fail("a.example.org. AAAA", dns.RcodeServerFailure)
		pass(time.Hour)
		w.wantTold(t)
		w.wantLog(t, 2, "AAAA: 127.0.0.1:53: SERVFAIL")
		z.set(t, "a.example.org. 10 A 192.0.2.1") // AAAA is gone, which is an answer
		pass(time.Minute)
		w.wantTold(t, "a.example.org 192.0.2.1")
	})
}

func TestServiceKeepsPlaces(t *testing.T) {
	const name = "_http._tcp.example.org"
	hosts := []string{"a.x. 60 A 192.0.2.1", "b.x. 60 A 192.0.2.2", "c.x. 60 A 192.0.2.3", "d.x. 60 A 192.0.2.4"}
	srv := func(list ...string) []string {
		all := slices.Clone(hosts)
		for _, s := range list {
			all = append(all, name+". 10 SRV "+s)
		}
		return all
	}
	z := newZone(t, srv("1 1 80 a.x.", "1 5 80 b.x.", "0 0 81 c.x.")...)
	bubble(t, z, nil, []Query{{name, 3}}, func(t *testing.T, w *watch) {
		w.wantTold(t, name+" 192.0.2.3:81 192.0.2.2:80 192.0.2.1:80")
		z.set(t, srv("9 9 80 a.x.", "1 5 80 b.x.", "0 0 81 c.x.", "0 0 80 d.x.")...) // one too many, and a new weight
		pass(12 * time.Second)
		w.wantTold(t, name+" 192.0.2.3:81 192.0.2.2:80 192.0.2.1:80")
		list, _ := w.Lookup(t.Context(), Query{name, 3})
		if want := (Answer{Addr: netip.MustParseAddr("192.0.2.1"), Port: 80, Priority: 9, Weight: 9}); !list[2].equal(want) {
			t.Errorf("%+v, want %+v", list[2], want)
		}
		pass(time.Minute)
		w.wantLog(t, 1, "more servers of a name than places")
		z.set(t, srv("1 1 80 d.x.", "1 5 80 b.x.")...) // takes the first free place
		pass(12 * time.Second)
		w.wantTold(t, name+" 192.0.2.4:80 192.0.2.2:80 -")
		hosts[3] = "d.x. 5 A 192.0.2.44" // keeps its place
		z.set(t, srv("1 1 80 d.x.", "1 5 80 b.x.", "1 5 82 b.x.")...)
		pass(80 * time.Second)
		w.wantTold(t, name+" 192.0.2.44:80 192.0.2.2:80 192.0.2.2:82")
		z.fail("b.x.", dns.RcodeServerFailure) // a server's address stays as well
		z.fail("d.x.", dns.RcodeNameError)
		pass(time.Hour)
		w.wantTold(t)
		z.set(t, srv("0 0 0 .")...) // there is no such service: stays
		pass(time.Hour)
		w.wantTold(t)
	})
}

// What can't be used is passed over, and is never all there is.
func TestServiceWithBadServers(t *testing.T) {
	z := newZone(t, "_x._tcp.a. 10 SRV 0 0 80 missing.", `_x._tcp.a. 10 SRV 0 0 80 a\010b.`, "_x._tcp.a. 10 SRV 0 0 0 c.", "_x._tcp.a. 10 SRV 0 0 80 10.0.0.1.",
		"_x._tcp.a. 10 SRV 5 0 80 good.", "_x._tcp.a. 10 SRV 6 0 80 good.", "good. 60 A 192.0.2.1", "_y._tcp.a. 10 SRV 0 0 80 missing.")
	bubble(t, z, nil, []Query{{"_x._tcp.a", 2}, {"_y._tcp.a", 2}}, func(t *testing.T, w *watch) {
		w.wantTold(t, "_x._tcp.a 192.0.2.1:80 -")
		wantError(t, w.Watcher, Query{"_y._tcp.a", 2}, "server missing.: no such name")
		pass(time.Hour)
		w.wantTold(t)
	})
}

func TestSetForgetsAndGoesOn(t *testing.T) {
	z := newZone(t, "a.example.org. 10 A 192.0.2.1", "b.example.org. 10 A 192.0.2.2")
	bubble(t, z, nil, nil, func(t *testing.T, w *watch) {
		want(t, w.Watcher, host("a.example.org"), "192.0.2.1")
		w.Set([]Query{host("a.example.org"), host("b.example.org"), host("192.0.2.9"), host("bad name")})
		pass(time.Second)
		w.wantTold(t, "b.example.org 192.0.2.2") // Lookup has told of the other
		w.Set([]Query{host("a.example.org")})
		z.set(t, "a.example.org. 10 A 192.0.2.3", "b.example.org. 10 A 192.0.2.4")
		n := z.count("b.example.org.")
		pass(time.Minute)
		w.wantTold(t, "a.example.org 192.0.2.3")
		if got := z.count("b.example.org."); got != n {
			t.Errorf("%d questions for a name that is not wanted", got-n)
		}
	})
}

// Lookup and the scheduler ask at the same time: both have the same answer.
func TestLookupWhileTheSchedulerAsks(t *testing.T) {
	z := newZone(t, "a.example.org. 10 A 192.0.2.1")
	var asked atomic.Int32
	slow := func(o *Options) {
		o.Exchange = func(ctx context.Context, network, server string, q *dns.Msg) (*dns.Msg, error) {
			n := asked.Add(1)
			m, err := z.exchange(ctx, network, server, q)
			if n <= 2 { // the scheduler's, which is late and has another answer
				time.Sleep(time.Second)
				for _, rr := range m.Answer {
					rr.(*dns.A).A[3] = 9
				}
			}
			return m, err
		}
	}
	bubble(t, z, slow, []Query{host("a.example.org")}, func(t *testing.T, w *watch) {
		want(t, w.Watcher, host("a.example.org"), "192.0.2.1")
		pass(2 * time.Second)
		w.wantTold(t, "a.example.org 192.0.2.1")
		want(t, w.Watcher, host("a.example.org"), "192.0.2.1")
	})
}

func TestLookupsAtOnceAreBounded(t *testing.T) {
	z := newZone(t)
	var queries []Query
	for i := range 50 {
		queries = append(queries, host(fmt.Sprintf("h%d.example.org", i)))
	}
	var now, most atomic.Int32
	count := func(o *Options) {
		o.Parallel = 3
		o.Exchange = func(ctx context.Context, network, server string, q *dns.Msg) (*dns.Msg, error) {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer now.Add(-1)
			time.Sleep(time.Second)
			return z.exchange(ctx, network, server, q)
		}
	}
	bubble(t, z, count, queries, func(t *testing.T, w *watch) {
		pass(18 * time.Second)
		for _, q := range queries {
			if z.count(q.Name) == 0 {
				t.Errorf("%s was not asked for", q.Name)
			}
		}
		if got := most.Load(); got != 6 {
			t.Errorf("%d questions at once, want 2 of each of 3 look-ups", got)
		}
	})
}

// Close waits for look-ups, which end at once. It may be called without Start.
func TestClose(t *testing.T) {
	z := newZone(t)
	z.silence("a.example.org.")
	bubble(t, z, nil, []Query{host("a.example.org")}, func(t *testing.T, w *watch) {
		before := time.Now()
		w.Close()
		if d := time.Since(before); d != 0 {
			t.Errorf("Close took %v", d)
		}
	})
	New(fake(t, z)).Close()
}

// However the servers of a service change, those that stay keep their places,
// and no place is free while there is a server without one.
func TestPlacesAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		z := newZone(t)
		o := Options{Exchange: z.exchange, Usable: netip.Addr.Is4, Hosts: "testdata/none", ResolvConf: "testdata/none"}
		r := New(o).resolver
		q := Query{"_x._tcp.a", rapid.IntRange(1, 5).Draw(rt, "places")}
		var held []place
		for range rapid.IntRange(1, 8).Draw(rt, "changes") {
			var records []string
			ids := rapid.SliceOfNDistinct(rapid.IntRange(1, 8), 1, 8, rapid.ID[int]).Draw(rt, "servers")
			for _, n := range ids {
				records = append(records, fmt.Sprintf("h%d.a. 1 A 192.0.2.%d", n, n), fmt.Sprintf("_x._tcp.a. 1 SRV %d 1 80 h%d.a.", n%3, n))
			}
			z.set(t, records...)
			out := r.resolve(rt.Context(), q, held)
			if out.err != nil || len(out.places) != q.Places {
				rt.Fatalf("%+v", out)
			}
			taken := 0
			for i, p := range out.places {
				if !p.free() {
					taken++
				}
				if held != nil && !held[i].free() && slices.Contains(ids, int(held[i].Addr.As4()[3])) && (held[i].target != p.target || !held[i].equal(p.Answer)) {
					rt.Fatalf("place %d: %v became %v", i, held[i], p)
				}
			}
			if taken != min(len(ids), q.Places) || out.surplus != len(ids)-taken {
				rt.Fatalf("%d of %d servers in %d places, %d surplus", taken, len(ids), q.Places, out.surplus)
			}
			held = out.places
		}
	})
}
