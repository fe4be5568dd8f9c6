package client

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func addr(n int) netip.Addr {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 10<<24|uint32(n))
	return netip.AddrFrom4(a)
}

func wantServer(t *testing.T, tb *Table, a netip.Addr, now time.Duration, want ID) {
	t.Helper()
	if got, ok := tb.Lookup(a, now); got != want || ok != (want != NoServer) {
		t.Errorf("Lookup(%v) = %d, %v, want %d", a, got, ok, want)
	}
}

func TestRemembers(t *testing.T) {
	tb := New(10)
	wantServer(t, tb, addr(1), 0, NoServer)
	tb.Assign(addr(1), 3, 0)
	wantServer(t, tb, addr(1), time.Hour, 3)
	tb.Assign(addr(1), 4, 1)
	wantServer(t, tb, addr(1), 2, 4)
	tb.Assign(addr(1), NoServer, 2) // the emergency server
	wantServer(t, tb, addr(1), 3, 4)
	tb.Add(addr(1), 10, 20)
	tb.Add(addr(2), 10, 20) // not known
	want := Entry{Slot: 0, Addr: addr(1), Last: 2, Server: 4, Connects: 3, Sent: 10, Received: 20}
	if got := tb.Dump(); len(got) != 1 || got[0] != want {
		t.Errorf("Dump() = %+v, want %+v", got, want)
	}
}

func TestAddressesAreExact(t *testing.T) {
	tb := New(10)
	for i, s := range []string{"10.0.0.1", "2001:db8::1", "2001:db8::2", "::1", "0.0.0.1"} {
		tb.Assign(netip.MustParseAddr(s), ID(i), 0)
	}
	tb.Assign(netip.Addr{}, 7, 0) // Unix
	for i, s := range []string{"::ffff:10.0.0.1", "2001:db8::1", "2001:db8::2", "::1", "0.0.0.1"} {
		wantServer(t, tb, netip.MustParseAddr(s), 0, ID(i))
	}
	wantServer(t, tb, netip.Addr{}, 0, 7)
	if tb.Dump()[5].Addr.IsValid() {
		t.Error("the Unix client has an address")
	}
}

func TestTrackingForgets(t *testing.T) {
	tb := New(10)
	tb.SetTracking(time.Second)
	tb.Assign(addr(1), 3, 0)
	tb.Add(addr(1), 5, 5)
	wantServer(t, tb, addr(1), time.Second, 3)
	wantServer(t, tb, addr(1), time.Second+1, NoServer)
	tb.Assign(addr(1), NoServer, 5*time.Second)
	want := Entry{Addr: addr(1), Last: 5 * time.Second, Server: NoServer, Connects: 1}
	if got := tb.Dump()[0]; got != want {
		t.Errorf("after its tracking time: %+v, want %+v", got, want)
	}
}

func TestGet(t *testing.T) {
	tb := New(20000) // of several shards
	for i := range 100 {
		tb.Assign(addr(i), ID(i), time.Duration(i))
		tb.Add(addr(i), 1, 2)
	}
	for _, want := range tb.Dump() {
		if got, ok := tb.Get(want.Addr); !ok || got != want {
			t.Errorf("Get(%v) = %+v, %v, want %+v", want.Addr, got, ok, want)
		}
	}
	if got, ok := tb.Get(addr(100)); ok || got != (Entry{}) {
		t.Errorf("Get of one not known = %+v, %v", got, ok)
	}
}

func TestForget(t *testing.T) {
	tb := New(3)
	for i := range 3 {
		tb.Assign(addr(i), ID(i), time.Duration(i))
	}
	if tb.Forget(addr(9), 3) || !tb.Forget(addr(1), 3) || tb.Forget(addr(1), 3) {
		t.Error("Forget does not tell who was known")
	}
	wantServer(t, tb, addr(1), 3, NoServer)
	tb.Assign(addr(4), 4, 4) // takes the place, evicts nobody
	for _, i := range []int{0, 2, 4} {
		wantServer(t, tb, addr(i), 5, ID(i))
	}
	if got := tb.Len(); got != 3 {
		t.Errorf("Len() = %d, want 3", got)
	}
}

// With N places, client N+1 takes that of the oldest connection start.
func TestEvictsTheOldest(t *testing.T) {
	tb := New(3)
	for i := range 3 {
		tb.Assign(addr(i), ID(i), time.Duration(i))
	}
	tb.Assign(addr(0), 0, 3)
	tb.Assign(addr(9), 9, 4)
	wantServer(t, tb, addr(1), 5, NoServer)
	for _, i := range []int{0, 2, 9} {
		wantServer(t, tb, addr(i), 5, ID(i))
	}
	one := New(1)
	for i := range 6 {
		wantServer(t, one, addr(i%2), 0, NoServer)
		one.Assign(addr(i%2), 1, 0)
	}
}

// A flood of addresses costs no client with a connection its place, and each place
// that it takes is counted.
func TestClientsWithConnectionsAreEvictedLast(t *testing.T) {
	tb := New(3)
	tb.Begin(addr(0), 0, 0)
	tb.Begin(addr(1), 1, 1)
	tb.Begin(addr(1), 1, 1) // twice
	for i := range 100 {
		tb.Begin(addr(10+i), 5, time.Duration(2+i))
		tb.End(addr(10+i), 1, 1)
	}
	wantServer(t, tb, addr(0), 200, 0)
	wantServer(t, tb, addr(1), 200, 1)
	if got := tb.Evictions(); got != 99 {
		t.Errorf("%d evictions, want 99", got)
	}
	tb.Resize(2)
	wantServer(t, tb, addr(0), 200, 0)
	wantServer(t, tb, addr(1), 200, 1)
	tb.End(addr(0), 0, 0)
	tb.End(addr(1), 0, 0)
	tb.Begin(addr(7), 7, 200) // in the place of addr(0), which has no connection any more
	wantServer(t, tb, addr(0), 200, NoServer)
	wantServer(t, tb, addr(1), 200, 1)
	tb.End(addr(1), 0, 0)
	tb.Begin(addr(8), 8, 201)
	wantServer(t, tb, addr(1), 201, NoServer)
	wantServer(t, tb, addr(7), 201, 7)
	tb.Begin(addr(9), 9, 202) // all have one: the oldest goes
	wantServer(t, tb, addr(7), 202, NoServer)
	wantServer(t, tb, addr(8), 202, 8)
	tb.End(addr(7), 1, 1) // of a client that is forgotten
	tb.End(addr(8), 1, 1)
	tb.End(addr(8), 1, 1) // once too often
	if e, ok := tb.Get(addr(8)); !ok || e.Sent != 2 {
		t.Errorf("%+v, %v", e, ok)
	}
}

func TestResizeKeepsTheNewest(t *testing.T) {
	const n = 40000
	tb := New(n)
	for i := range n {
		tb.Assign(addr(i), ID(i%100), time.Duration(i))
	}
	for _, size := range []int{3 * n, n, 100, 5, 200000} {
		tb.Resize(size)
		if tb.Max() != size {
			t.Errorf("Max() = %d, want %d", tb.Max(), size)
		}
	}
	if tb.Len() != 5 {
		t.Errorf("Len() = %d after shrinking to 5", tb.Len())
	}
	for i := n - 5; i < n; i++ {
		wantServer(t, tb, addr(i), 0, ID(i%100))
	}
	wantServer(t, tb, addr(n-6), 0, NoServer)
}

// A full table of many shards holds exactly its maximum, also when a new
// client's own shard has nobody to give up.
func TestBoundHoldsOverShards(t *testing.T) {
	tb := New(20000)
	if n := len(tb.layout.Load().shards); n < 2 {
		t.Fatalf("%d shards; the test needs more", n)
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 20000 {
				tb.Assign(addr(w*20000+i), 1, time.Duration(i))
			}
		})
	}
	wg.Wait()
	if got := tb.Len(); got != 20000 {
		t.Errorf("Len() = %d, want 20000", got)
	}
	if got := len(tb.Dump()); got != 20000 {
		t.Errorf("Dump has %d, want 20000", got)
	}
	l := tb.layout.Load()
	for l.shards[0].evict() { // as if all clients had hashed into the others
		l.count.Add(-1)
	}
	for l.reserve() {
		l.shards[1].add(1, entry{key: key{byte(l.count.Load()), byte(l.count.Load() >> 8), 255}})
	}
	for i := 0; l.shards[0].idle.newest == none; i++ {
		tb.Assign(addr(1<<20+i), 1, 0)
	}
	if got := tb.Len(); got != 20000 {
		t.Errorf("Len() = %d after taking a place from another shard, want 20000", got)
	}
}

func TestConcurrentResize(t *testing.T) {
	tb := New(1000)
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			for i := range 30000 {
				a := addr(i % (5000 + w))
				tb.Assign(a, ID(w), time.Duration(i))
				tb.Lookup(a, 0)
				tb.Add(a, 1, 1)
			}
		})
	}
	for i := range 20 {
		tb.Resize(1 + i*3001%40000)
	}
	wg.Wait()
	if n, d := tb.Len(), len(tb.Dump()); n != d || n > tb.Max() {
		t.Errorf("Len() = %d, Dump has %d, Max() = %d", n, d, tb.Max())
	}
}

// The table agrees with the obvious implementation.
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 8).Draw(t, "max")
		tb := New(size)
		var order []int // oldest first
		server := map[int]ID{}
		for now := range time.Duration(rapid.IntRange(1, 60).Draw(t, "steps")) {
			switch rapid.IntRange(0, 19).Draw(t, "op") {
			case 0:
				size = rapid.IntRange(1, 8).Draw(t, "resize")
				tb.Resize(size)
			case 1, 2:
				c := rapid.IntRange(0, 11).Draw(t, "forgotten")
				_, known := server[c]
				if got := tb.Forget(addr(c), now); got != known {
					t.Fatalf("Forget(%d) = %v, want %v", c, got, known)
				}
				delete(server, c)
				order = slices.DeleteFunc(order, func(o int) bool { return o == c })
			default:
				c := rapid.IntRange(0, 11).Draw(t, "client")
				s := ID(rapid.IntRange(-1, 3).Draw(t, "server")) // -1: NoServer
				tb.Assign(addr(c), s, now)
				old, known := server[c]
				if s == NoServer && known {
					s = old
				}
				server[c] = s
				order = append(slices.DeleteFunc(order, func(o int) bool { return o == c }), c)
			}
			for len(order) > size {
				delete(server, order[0])
				order = order[1:]
			}
			for c := range 12 {
				want, known := server[c]
				if !known {
					want = NoServer
				}
				if got, _ := tb.Lookup(addr(c), now); got != want {
					t.Fatalf("client %d has server %d, want %d", c, got, want)
				}
			}
			if tb.Len() != len(order) {
				t.Fatalf("Len() = %d, want %d", tb.Len(), len(order))
			}
		}
	})
}

func TestWarmTableDoesNotAllocate(t *testing.T) {
	tb := New(1000)
	for i := range 2000 {
		tb.Assign(addr(i), 1, 0)
	}
	i := 0
	if n := testing.AllocsPerRun(5000, func() {
		i++
		tb.Assign(addr(i), 1, 0) // evicts
		tb.Lookup(addr(i), 0)
		tb.Add(addr(i), 1, 1)
	}); n != 0 {
		t.Errorf("%v allocations per connection", n)
	}
}

// heap is what is in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func bytesPerEntry(n int) float64 {
	before := heap()
	tb := New(n)
	for i := range n {
		tb.Assign(addr(i), 1, 0)
	}
	size := float64(heap()-before) / float64(n)
	runtime.KeepAlive(tb)
	return size
}

func TestMemoryPerEntry(t *testing.T) {
	if got := bytesPerEntry(1_000_000); got > 96 {
		t.Errorf("%.1f bytes an entry at a million entries, want at most 96", got)
	}
}

func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(bytesPerEntry(1_000_000), "bytes/entry")
	}
}

func BenchmarkConnection(b *testing.B) {
	for _, n := range []int{2048, 1_000_000} {
		for _, kind := range []string{"returning", "new"} {
			b.Run(fmt.Sprintf("%s/%d", kind, n), func(b *testing.B) {
				tb := New(n)
				for i := range n {
					tb.Assign(addr(i), 1, 0)
				}
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					i += 7919
					a := addr(i % n)
					if kind == "new" {
						a = addr(i & 0xffffff)
					}
					tb.Lookup(a, 0)
					tb.Assign(a, 1, 0)
					tb.Add(a, 1, 1)
				}
			})
		}
	}
}
