package pool

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var client = netip.MustParseAddrPort("10.0.0.1:40000")

// servers returns n servers, each changed by f.
func servers(n int, f func(i int, c *Config)) []Config {
	all := make([]Config, n)
	for i := range all {
		all[i] = Config{Addr: netip.MustParseAddrPort("192.0.2.1:80"), Weight: 1}
		if f != nil {
			f(i, &all[i])
		}
	}
	return all
}

func newPool(a Algorithm, s []Config) *Pool {
	p := New()
	p.Configure(Settings{Servers: s, Algorithm: a, Blacklist: 30 * time.Second}, 0)
	return p
}

// picks chooses and takes n times, connections held open.
func picks(p *Pool, n int) string {
	var s []string
	for range n {
		slot := p.Pick(client, 0)
		s = append(s, fmt.Sprint(slot))
		if sv := p.At(slot); sv != nil {
			p.Take(sv)
		}
	}
	return strings.Join(s, ",")
}

// The vectors are those of the specification's section 25, with the decisions
// A2 (round-robin starts at slot 0) and A5 (exact ratios) applied.
func TestPickVectors(t *testing.T) {
	weights := func(w ...int) []Config {
		return servers(len(w), func(i int, c *Config) { c.Weight = w[i] })
	}
	prios := func(w ...int) []Config {
		return servers(len(w), func(i int, c *Config) { c.Prio = w[i] })
	}
	for _, tt := range []struct {
		name    string
		alg     Algorithm
		servers []Config
		want    string
	}{
		{"round-robin", RoundRobin, servers(3, nil), "0,1,2,0,1,2"},
		{"round-robin over a gap", RoundRobin, servers(3, func(i int, c *Config) {
			if i == 1 {
				*c = Config{}
			}
		}), "0,2,0"},
		{"round-robin, no server", RoundRobin, nil, "-3"},
		{"weights 100/200", Weight, weights(100, 200), "0,1,1,0,1,1"},
		{"weights 1/1/2", Weight, weights(1, 1, 2), "0,1,2,2,0,1,2,2"},
		{"weights 300/300", Weight, weights(300, 300), "0,1,0,1,0,1"},
		{"weight 0 is never chosen", Weight, weights(0, 1, 0), "1,1,1"},
		{"all weights 0", Weight, weights(0, 0), "-3"},
		{"lowest prio, first of equals", Prio, prios(5, 2, 2, 9), "1,1,1"},
		{"hash, no server", Hash, nil, "-3"},
	} {
		if got := picks(newPool(tt.alg, tt.servers), strings.Count(tt.want, ",")+1); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestHashVectors(t *testing.T) {
	for _, tt := range []struct {
		client string
		port   bool
		slots  []int
		want   []int
	}{
		{"127.0.0.1:1", false, []int{2, 3, 4, 5, 7}, []int{1, 2, 3, 3, 2}},
		{"127.0.0.2:1", false, []int{2, 3, 4, 5, 7}, []int{1, 0, 3, 4, 3}},
		{"10.0.0.1:1", false, []int{2, 3, 4, 5, 7}, []int{0, 2, 2, 1, 4}},
		{"10.0.0.2:1", false, []int{2, 3, 4, 5, 7}, []int{0, 0, 2, 2, 5}},
		{"192.168.1.10:1", false, []int{2, 3, 4, 5, 7}, []int{0, 2, 0, 1, 1}},
		{"203.0.113.7:1", false, []int{2, 3, 4, 5, 7}, []int{1, 2, 3, 3, 2}},
		{"127.0.0.1:40000", true, []int{2, 3, 4, 5, 7}, []int{1, 1, 3, 2, 1}},
		{"127.0.0.1:40001", true, []int{2, 3, 4, 5, 7}, []int{1, 2, 3, 3, 5}},
		{"10.0.0.1:51234", true, []int{2, 3, 4, 5, 7}, []int{0, 1, 2, 4, 2}},
		{"[::1]:1", false, []int{2, 3, 4, 5}, []int{1, 1, 1, 1}},
		{"[2001:db8::a]:1", true, []int{2, 3, 4, 5}, []int{0, 1, 2, 0}},
		{"[fe80::ff]:1", false, []int{2, 3, 4, 5}, []int{1, 0, 3, 0}},
		{"[::ffff:10.0.0.1]:1", false, []int{3}, []int{2}},
	} {
		alg := Hash
		if tt.port {
			alg = HashPort
		}
		for i, n := range tt.slots {
			p := newPool(alg, servers(n, nil))
			if got := p.Pick(netip.MustParseAddrPort(tt.client), 0); got != tt.want[i] {
				t.Errorf("%s over %d: %d, want %d", tt.client, n, got, tt.want[i])
			}
		}
	}
	if got := newPool(Hash, servers(3, nil)).Pick(netip.AddrPort{}, 0); got != 0 {
		t.Errorf("a Unix client: %d, want 0", got)
	}
}

func TestAdmit(t *testing.T) {
	for _, tt := range []struct {
		name      string
		c         Config
		alg       Algorithm
		conns     int
		returning bool
		want      Verdict
	}{
		{"no limit", Config{}, RoundRobin, 1000, false, Admitted},
		{"below soft", Config{Max: 2}, RoundRobin, 1, false, Admitted},
		{"at soft, new", Config{Max: 1, Hard: 2}, RoundRobin, 1, false, Full},
		{"at soft, returning", Config{Max: 1, Hard: 2}, RoundRobin, 1, true, Admitted},
		{"at hard, returning", Config{Max: 1, Hard: 2}, RoundRobin, 2, true, Full},
		{"hard below soft is no extra room", Config{Max: 2, Hard: 1}, RoundRobin, 2, true, Full},
		{"hard without soft is ignored", Config{Hard: 1}, RoundRobin, 5, true, Admitted},
		{"weight 0, new", Config{}, Weight, 0, false, NoNewClients},
		{"weight 0, returning", Config{}, Weight, 0, true, Admitted},
		{"weight 0 by another algorithm", Config{}, RoundRobin, 0, false, Admitted},
	} {
		c := tt.c
		c.Addr = netip.MustParseAddrPort("192.0.2.1:80")
		p := newPool(tt.alg, []Config{c})
		for range tt.conns {
			p.Take(p.At(0))
		}
		if got := p.Admit(p.At(0), tt.returning, 0); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestBlacklist(t *testing.T) {
	const s = time.Second
	p := newPool(RoundRobin, servers(2, nil))
	a := p.At(0)
	if !p.Fail(a, 10*s) || p.Fail(a, 10*s) {
		t.Error("Fail must report the first failure only")
	}
	if v := p.Admit(a, true, 39*s); v != Blacklisted {
		t.Errorf("after 29 s: %v", v)
	}
	if got := p.Pick(client, 39*s); got != 1 {
		t.Errorf("chose %d while 0 is blacklisted", got)
	}
	if v := p.Admit(a, true, 40*s); v != Admitted {
		t.Errorf("after 30 s: %v", v)
	}
	if !p.AppendStatus(nil)[0].Failed {
		t.Error("the stamp went without a success")
	}
	p.Succeed(a, 41*s)
	if p.AppendStatus(nil)[0].Failed {
		t.Error("the stamp stayed after a success")
	}

	p.Blacklist(a, 60*s, 100*s)
	if v := p.Admit(a, false, 159*s); v != Blacklisted {
		t.Errorf("59 s into 60 s by command: %v", v)
	}
	p.Configure(Settings{Servers: servers(2, nil), Blacklist: 10 * s}, 100*s) // 20 s less
	if v := p.Admit(a, false, 140*s); v != Admitted {
		t.Errorf("after the time was shortened: %v", v)
	}
	p.Blacklist(a, 60*s, 200*s)
	p.Blacklist(a, 0, 201*s)
	if v := p.Admit(a, false, 201*s); v != Admitted {
		t.Errorf("after blacklist 0: %v", v)
	}
}

func TestConfigureKeepsState(t *testing.T) {
	p := newPool(Weight, servers(3, nil))
	two := p.At(2)
	p.Take(p.At(0))
	p.Take(two)
	p.Release(p.At(0), 5, 7)
	p.Fail(p.At(1), 0)
	p.Configure(Settings{Servers: servers(2, nil), Algorithm: Weight, Blacklist: 30 * time.Second}, 0)
	if st := p.AppendStatus(nil); st[0].Sent != 5 || st[0].Received != 7 || !st[1].Failed || len(st) != 2 {
		t.Errorf("state was lost: %+v", st)
	}
	p.Release(two, 1, 1) // its flow outlives it
	p.Fail(two, 0)
	p.Configure(Settings{Servers: servers(3, nil), Algorithm: Weight}, 0)
	if st := p.AppendStatus(nil)[2]; st.Conns != 0 || st.Failed {
		t.Errorf("a server in a slot that was used before: %+v", st)
	}
}

func TestBitset(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 9000).Draw(t, "n")
		b := newBitset(n)
		set := map[int]bool{}
		if n > 0 {
			for _, i := range rapid.SliceOfN(rapid.IntRange(0, n-1), 0, 40).Draw(t, "bits") {
				set[i] = !set[i]
				b.set(i, set[i])
			}
		}
		var want, got []int
		for i, on := range set {
			if on {
				want = append(want, i)
			}
		}
		slices.Sort(want)
		for i := b.next(0); i >= 0; i = b.next(i + 1) {
			got = append(got, i)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}
