package client

import (
	"maps"
	"math"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"
)

func TestEntrySize(t *testing.T) {
	if got := unsafe.Sizeof(entry{}); got > 80 {
		t.Errorf("an entry takes %d bytes, want at most 80", got)
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[entry]()) {
		switch f.Type.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.String, reflect.Map, reflect.Interface, reflect.Chan, reflect.Func:
			t.Errorf("%s is a pointer, which the garbage collector would follow in each entry", f.Name)
		}
	}
}

// A peer is a node's table, and what it has got of the others.
type peer struct {
	*Table
	now     time.Duration
	cursors map[*peer]Cursor
	late    map[*peer][]Assignment // what others have sent, and it has not merged yet
}

func newPeer(node uint16, size int, servers ...string) *peer {
	p := &peer{Table: as(New(size), servers...), now: time.Hour, cursors: map[*peer]Cursor{}, late: map[*peer][]Assignment{}}
	p.SetNode(node)
	return p
}

// collect asks another node for what has changed there, with the servers as they are
// known here.
func (p *peer) collect(from *peer, limit int) (more bool) {
	list, next, more := from.Changes(p.cursors[from], limit, from.now)
	p.cursors[from] = next
	for _, a := range list {
		if a.Server != NoServer {
			ids, _ := p.Intern([]Identity{(*from.Directory())[a.Server]})
			a.Server = ids[0]
		}
		p.late[from] = append(p.late[from], a)
	}
	return more
}

// clients is which clients are at which servers.
func (p *peer) clients() map[string]string {
	m := map[string]string{}
	for _, e := range p.Dump() {
		if e.Server != NoServer {
			m[e.Addr.String()] = (*p.Directory())[e.Server].Address
		}
	}
	return m
}

// step has something happen at a node.
func (p *peer) step(t *rapid.T, other *peer) {
	p.now += time.Duration(rapid.IntRange(0, 1000).Draw(t, "passes")) * time.Millisecond
	c := addr(rapid.IntRange(0, 7).Draw(t, "client"))
	switch rapid.IntRange(0, 7).Draw(t, "op") {
	case 0:
		p.Forget(c, p.now)
	case 1:
		p.Resize(rapid.IntRange(50, 20000).Draw(t, "size"))
	case 2, 3:
		p.collect(other, rapid.IntRange(0, 5).Draw(t, "limit"))
	case 4:
		late := rapid.Permutation(p.late[other]).Draw(t, "order")
		p.Merge(late, p.now)
		if !rapid.Bool().Draw(t, "twice") {
			p.late[other] = nil
		}
	case 5:
		p.Begin(c, ID(rapid.IntRange(0, 3).Draw(t, "server")), p.now)
	default:
		p.Assign(c, ID(rapid.IntRange(0, 3).Draw(t, "server")), p.now)
	}
}

// Tables that exchange their changes, in whatever order and how often, with clocks that
// differ and servers in another order, end up equal.
func TestTablesConverge(t *testing.T) {
	servers := []string{"a", "b", "c", "d"}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 4).Draw(t, "nodes")
		var peers []*peer
		for i := range n {
			p := newPeer(uint16(i+1), 50, rapid.Permutation(servers).Draw(t, "servers")...)
			p.now += time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "clock"))
			peers = append(peers, p)
		}
		two := func() (p, q *peer) {
			i := rapid.IntRange(0, n-1).Draw(t, "node")
			j := (i + rapid.IntRange(1, n-1).Draw(t, "other")) % n
			return peers[i], peers[j]
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			p, q := two()
			p.step(t, q)
		}
		for _, p := range peers {
			for _, q := range peers {
				if p != q {
					for walks := 0; walks < 2; { // what is left of one, and another one
						if !p.collect(q, rapid.IntRange(1, 5).Draw(t, "limit")) {
							walks++
						}
					}
					p.Merge(p.late[q], p.now)
				}
			}
		}
		for _, p := range peers { // what came by way of the last one
			p.collect(peers[n-1], math.MaxInt)
			p.Merge(p.late[peers[n-1]], p.now)
		}
		for _, p := range peers[1:] {
			if got, want := p.clients(), peers[0].clients(); !maps.Equal(got, want) {
				t.Fatalf("a table has %v, another one %v", got, want)
			}
		}
	})
}

// The newest version wins, also over a client with connections here; of equal ones the
// larger node's does.
func TestNewestWins(t *testing.T) {
	tb := as(New(10), "a", "b")
	tb.Begin(addr(1), 0, time.Second)
	v := versionAt(time.Second)
	for _, tt := range []struct {
		a    Assignment
		news int
		want ID
	}{
		{Assignment{Server: 1, Version: v - 1, Node: 9}, 0, 0},
		{Assignment{Server: 1, Version: v, Node: 2}, 1, 1},
		{Assignment{Server: 0, Version: v, Node: 1}, 0, 1},
		{Assignment{Server: 0, Version: v, Node: 2}, 0, 1},
		{Assignment{Server: 0, Version: v + 1, Node: 1}, 1, 0},
		{Assignment{Server: NoServer, Version: v + 2, Node: 1}, 1, NoServer},
		{Assignment{Server: 1, Version: v + 1, Node: 7}, 0, NoServer},
	} {
		tt.a.Addr = addr(1)
		if news, refused := tb.Merge([]Assignment{tt.a}, time.Second); news != tt.news || refused != 0 {
			t.Errorf("%+v: %d news, %d refused", tt.a, news, refused)
		}
		wantServer(t, tb, addr(1), time.Second, tt.want)
	}
	tb.End(addr(1), 1, 1)
	tb.Begin(addr(1), 1, time.Second) // knows of all that
	list, _, _ := tb.Changes(Cursor{}, 10, time.Second)
	if len(list) != 1 || list[0].Version <= v+2 || list[0].Server != 1 {
		t.Errorf("assigned here after %d: %+v", v+2, list)
	}
}

// What can't be true is refused; a version from far ahead does not keep this node's
// assignments from being newer than what it has seen, nor others from taking them.
func TestMergeRefusesNonsense(t *testing.T) {
	tb := as(New(10), "a", "b")
	bad := []Assignment{
		{Addr: addr(1), Server: 0},
		{Addr: addr(1), Server: 0, Version: maxVersion + 1},
		{Addr: addr(1), Server: 2, Version: 1},
		{Addr: addr(1), Server: forgotten, Version: 1},
	}
	if news, refused := tb.Merge(bad, time.Second); news != 0 || refused != len(bad) || tb.Len() != 0 {
		t.Errorf("%d news, %d refused, %d clients", news, refused, tb.Len())
	}
	tb.Merge([]Assignment{
		{Addr: addr(1), Server: 0, Version: maxVersion, Age: -time.Hour},
		{Addr: addr(2), Server: 0, Version: maxFollowed - 1, Age: math.MaxInt64},
	}, time.Second)
	if e, _ := tb.Get(addr(1)); e.Last != time.Second {
		t.Errorf("a client was here at %v, which is after now", e.Last)
	}
	tb.Assign(addr(2), 1, time.Second)
	tb.Assign(addr(3), 1, time.Second)
	other := as(New(10), "a", "b")
	list, _, _ := tb.Changes(Cursor{}, 10, time.Second)
	if news, refused := other.Merge(list, time.Second); news != 3 || refused != 0 {
		t.Errorf("another node takes %d of 3, and refuses %d", news, refused)
	}
	wantServer(t, other, addr(2), time.Second, 1)
}

// A cursor gets what has changed, once, however small the pieces, and again only what
// changes again; a client that comes back counts as a change once in a while.
func TestChanges(t *testing.T) {
	const n = 30000
	tb := as(New(n), "a", "b")
	for i := range n {
		tb.Assign(addr(i), 0, time.Second)
	}
	tb.Assign(addr(n-1), NoServer, time.Second)
	var c Cursor
	get := func(limit int) (clients []int) {
		for more := true; more; {
			var list []Assignment
			list, c, more = tb.Changes(c, limit, time.Minute)
			if len(list) > limit {
				t.Fatalf("%d changes, want at most %d", len(list), limit)
			}
			for _, a := range list {
				b := a.Addr.As4()
				clients = append(clients, int(b[1])<<16|int(b[2])<<8|int(b[3]))
			}
		}
		slices.Sort(clients)
		return clients
	}
	if all := get(777); len(all) != n || all[0] != 0 || all[n-1] != n-1 || len(slices.Compact(all)) != n {
		t.Fatalf("%d changes, want each of %d clients once", len(all), n)
	}
	for _, tt := range []struct {
		what string
		do   func()
		want []int
	}{
		{"nothing", func() {}, nil},
		{"the same server, soon", func() { tb.Assign(addr(5), 0, time.Second+1) }, nil},
		{"the same server, after a while", func() { tb.Assign(addr(5), 0, time.Minute) }, []int{5}},
		{"two", func() { tb.Assign(addr(7), 1, time.Minute); tb.Assign(addr(20000), 1, time.Minute) }, []int{7, 20000}},
		{"bytes", func() { tb.Add(addr(7), 1, 1) }, nil},
		{"evicted", func() { tb.Assign(addr(50000), 1, 2*time.Minute) }, []int{50000}},
		{"forgotten, where no others are", func() { tb.Forget(addr(50000), 2*time.Minute) }, nil},
		{"forgotten", func() { tb.SetNode(1); tb.Forget(addr(7), 2*time.Minute) }, []int{7}},
		{"resized", func() { tb.Resize(100_000) }, nil},
		{"in a new layout", func() { tb.Assign(addr(60000), 1, 2*time.Minute) }, []int{60000}},
	} {
		tt.do()
		if got := get(1); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %d changes %v, want %v", tt.what, len(got), got, tt.want)
		}
	}
	if _, ok := tb.Get(addr(7)); ok {
		t.Error("a client that was forgotten is known")
	}
	tb.Assign(addr(7), 0, 3*time.Minute)
	if e, ok := tb.Get(addr(7)); !ok || e.Connects != 1 || e.Sent != 0 {
		t.Errorf("after it was forgotten: %+v", e)
	}
}

// A full table takes a client that was in use later than another one that has no
// connection, and is evicted in its turn.
func TestMergeIntoFull(t *testing.T) {
	tb := as(New(3), "a")
	tb.Begin(addr(1), 0, 1)
	tb.Assign(addr(2), 0, 20)
	tb.Assign(addr(3), 0, 30)
	for _, tt := range []struct {
		client, last int
		news         int
		want         []int
	}{
		{4, 10, 0, []int{1, 2, 3}}, // older than all without a connection
		{5, 25, 1, []int{1, 3, 5}},
		{6, 28, 1, []int{1, 3, 6}}, // in the place of 5
		{7, 40, 1, []int{1, 3, 7}},
		{8, 40, 1, []int{1, 7, 8}},
	} {
		news, _ := tb.Merge([]Assignment{{Addr: addr(tt.client), Server: 0, Version: 1, Age: time.Duration(100 - tt.last)}}, 100)
		var got []int
		for i := range 10 {
			if _, ok := tb.Get(addr(i)); ok {
				got = append(got, i)
			}
		}
		if news != tt.news || !slices.Equal(got, tt.want) {
			t.Errorf("after client %d there are %v, want %v; %d news", tt.client, got, tt.want, news)
		}
	}
	if got := tb.Evictions(); got != 4 {
		t.Errorf("%d evictions, want 4", got)
	}
}

// When the directory is full, servers without clients make room.
func TestDirectoryMakesRoom(t *testing.T) {
	tb := New(10)
	list := make([]Identity, maxServers)
	for i := range list {
		list[i].Address = addr(i).String()
	}
	ids, _ := tb.Intern(list)
	tb.Assign(addr(1), ids[1], 0)
	before := tb.Directory()
	more, directory := tb.Intern([]Identity{{Name: "new"}, list[5], {}, {Name: "newer"}})
	after := *directory
	if directory != tb.Directory() || directory == before {
		t.Error("not the directory that has the new servers")
	}
	if more[0] == NoServer || after[more[0]].Name != "new" || after[more[3]].Name != "newer" || more[1] != ids[5] || more[2] != NoServer {
		t.Errorf("IDs %v", more)
	}
	if got := after[ids[1]]; got != list[1] {
		t.Errorf("the server of a client is now %v", got)
	}
	if after[ids[2]] == list[2] || !slices.Equal(*before, list) {
		t.Error("a server without clients is still there, or the old directory has changed")
	}
	again, _ := tb.Intern(list[:3])
	if again[1] != ids[1] || after[more[0]].Name != "new" || (*tb.Directory())[again[2]] != list[2] {
		t.Errorf("IDs %v after %v", again, ids[:3])
	}
}

// Changes are exact while the table is in use.
func TestChangesWhileInUse(t *testing.T) {
	tb, other := as(New(20000), "a", "b"), as(New(20000), "a", "b")
	tb.SetNode(1)
	var users sync.WaitGroup
	for w := range 2 {
		users.Go(func() {
			for i := range 20000 {
				tb.Assign(addr(i*(w+1)%5000), ID((i/7+w)%2), time.Duration(i)*time.Millisecond)
				if i%5000 == 0 {
					tb.Resize(20000 + i)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		users.Wait()
		close(done)
	}()
	var c Cursor
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		for more := true; more; {
			var list []Assignment
			list, c, more = tb.Changes(c, 100, time.Minute)
			other.Merge(list, time.Minute)
		}
	}
	for _, e := range tb.Dump() {
		wantServer(t, other, e.Addr, time.Minute, e.Server)
	}
}

// Each turn is what changes in 50 ms at 20,000 clients a second.
func BenchmarkChanges(b *testing.B) {
	tb, other := million(), as(New(1_000_000))
	other.Intern(*tb.Directory())
	var c Cursor
	exchange := func(now time.Duration) {
		for more := true; more; {
			var list []Assignment
			list, c, more = tb.Changes(c, 8192, now)
			other.Merge(list, now)
		}
	}
	exchange(0)
	i := 0
	for b.Loop() {
		b.StopTimer()
		for range 1000 {
			i += 7919
			tb.Assign(addr(i%1_000_000), ID(i/7%10), time.Duration(i)) // most to another server
		}
		b.StartTimer()
		exchange(time.Duration(i))
	}
}
