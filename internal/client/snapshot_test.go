package client

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden snapshot")

var saved = time.Unix(1_800_000_000, 0)

// as gives the servers of a table identities, by ID.
func as(tb *Table, servers ...string) *Table {
	list := make([]Identity, len(servers))
	for i, s := range servers {
		list[i] = Identity{Address: s}
	}
	tb.Intern(list)
	return tb
}

func save(t testing.TB, tb *Table, now time.Duration) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := tb.Save(&b, saved, now); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A moment is when a snapshot is restored.
type moment struct {
	wall time.Time
	now  time.Duration
}

// at is some time after the snapshot.
func at(now, since time.Duration) moment { return moment{saved.Add(since), now} }

func restore(t testing.TB, tb *Table, snapshot []byte, m moment) Restored {
	t.Helper()
	r, err := tb.Restore(bytes.NewReader(snapshot), m.wall, m.now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// known is what a table holds but for the slots, by address.
func known(tb *Table) map[netip.Addr]Entry {
	m := map[netip.Addr]Entry{}
	for _, e := range tb.Dump() {
		e.Slot = 0
		m[e.Addr] = e
	}
	return m
}

// small returns a table with a client for every server, one without a server
// and the Unix one.
func small() *Table {
	tb := as(New(10), smallServers...)
	tb.Assign(addr(1), 0, 10)
	tb.Assign(netip.MustParseAddr("2001:db8::1"), 1, 20)
	tb.Assign(netip.Addr{}, 2, 30)
	tb.Assign(addr(2), NoServer, 40)
	tb.Assign(addr(1), 0, 50)
	tb.Add(addr(1), math.MaxUint64, 7)
	return tb
}

var smallServers = []string{"web1|10.0.0.1:80", "gone", "web3|\x00\xff"}

func TestSaveAndRestore(t *testing.T) {
	tb := as(New(10), "new", "web3|\x00\xff", "web1|10.0.0.1:80")
	got := restore(t, tb, save(t, small(), 100), at(1000, 5*time.Second))
	if want := (Restored{saved, 4, 4}); got != want {
		t.Errorf("Restore = %+v, want %+v", got, want)
	}
	then := 1000 - 5*time.Second // on the clock of now, when the clock of then was 100
	want := map[netip.Addr]Entry{
		addr(1):                            {Addr: addr(1), Last: then - 50, Server: 2, Connects: 2, Sent: math.MaxUint64, Received: 7},
		netip.MustParseAddr("2001:db8::1"): {Addr: netip.MustParseAddr("2001:db8::1"), Last: then - 80, Server: 3, Connects: 1},
		{}:                                 {Last: then - 70, Server: 1, Connects: 1},
		addr(2):                            {Addr: addr(2), Last: then - 60, Server: NoServer, Connects: 1},
	}
	if got := known(tb); !reflect.DeepEqual(got, want) {
		t.Errorf("restored %+v\nwant %+v", got, want)
	}
	wantServer(t, tb, addr(1), 1000, 2)
}

// The next one in finds the places in the order of use.
func TestRestoredAreEvictedInOrder(t *testing.T) {
	tb := New(5)
	tb.Assign(addr(9), 1, 0)
	restore(t, tb, save(t, small(), 100), at(0, 0))
	for i, gone := range []netip.Addr{netip.MustParseAddr("2001:db8::1"), {}, addr(2), addr(1), addr(9)} {
		if _, ok := tb.Get(gone); !ok {
			t.Errorf("%v was evicted too early", gone)
		}
		tb.Assign(addr(10+i), 1, time.Duration(i))
		if _, ok := tb.Get(gone); ok {
			t.Errorf("%v was not evicted in its turn", gone)
		}
	}
}

func TestLiveClientsWin(t *testing.T) {
	snapshot := save(t, small(), 100)
	tb := New(2)
	tb.Assign(addr(1), 7, 1000) // in the snapshot too
	tb.Assign(addr(8), 8, 1001)
	if got := restore(t, tb, snapshot, at(2000, 0)); got.Kept != 1 {
		t.Errorf("%+v, want the most recent one in the place of the older of the table", got)
	}
	wantServer(t, tb, addr(1), 2000, NoServer)
	wantServer(t, tb, addr(8), 2000, 8)
	tb = New(3)
	tb.Assign(addr(1), 7, 3000)
	tb.Assign(addr(8), 8, 3001)
	restore(t, tb, snapshot, at(2000, 0))
	wantServer(t, tb, addr(1), 3001, 7)
	wantServer(t, tb, addr(8), 3001, 8)
	if e, ok := tb.Get(addr(2)); !ok || e.Connects != 1 {
		t.Errorf("the most recent of the others: %+v, %v", e, ok)
	}
}

func TestForgottenAreNotSavedNorRestored(t *testing.T) {
	tb := small()
	tb.SetTracking(60)
	if got := restore(t, New(10), save(t, tb, 95), at(0, 0)); got.Clients != 2 {
		t.Errorf("%d saved at 95, want those since 35", got.Clients)
	}
	all := save(t, small(), 50)
	for since, want := range map[time.Duration]int{-time.Hour: 4, 0: 4, time.Second: 1, 2 * time.Second: 0, math.MaxInt64: 0} {
		tb := New(10)
		tb.SetTracking(time.Second + 5)
		if got := restore(t, tb, all, at(0, since)); got.Kept != want || tb.Len() != want || got.Clients != 4 {
			t.Errorf("%v later: %+v, Len() = %d, want %d", since, got, tb.Len(), want)
		}
	}
}

// A limited writer takes so many bytes.
type limited int

func (l *limited) Write(b []byte) (int, error) {
	n := min(len(b), int(*l))
	*l -= limited(n)
	if n < len(b) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

func TestSaveErrors(t *testing.T) {
	tb := small()
	size := len(save(t, tb, 100))
	for n := range size {
		w := limited(n)
		if err := tb.Save(&w, saved, 100); !errors.Is(err, io.ErrShortWrite) {
			t.Fatalf("disk full after %d bytes: %v", n, err)
		}
	}
}

// As many servers as there may be, with texts as long as they may be, can be read again.
func TestSaveMostServers(t *testing.T) {
	tb := New(10)
	list := make([]Identity, maxServers+1)
	for i := range list {
		list[i] = Identity{Address: fmt.Sprint(i)}
	}
	list[maxServers].Name = strings.Repeat("x", maxIdentity)
	list[1].Name = strings.Repeat("x", maxIdentity+1)
	ids, _ := tb.Intern(list)
	if ids[1] != NoServer || ids[maxServers] == NoServer || ids[0] == NoServer {
		t.Errorf("IDs %d, %d and %d", ids[0], ids[1], ids[maxServers])
	}
	for i := range 3 {
		tb.Assign(addr(i), ids[maxServers-i], time.Duration(i))
	}
	next := New(10)
	restore(t, next, save(t, tb, 100), at(0, 0))
	if got := *next.Directory(); len(got) != 3 {
		t.Errorf("%d servers were restored, want those of 3 clients", len(got))
	}
	for i := range 3 {
		id, ok := next.Lookup(addr(i), 0)
		if want := list[maxServers-i]; !ok || (*next.Directory())[id] != want {
			t.Errorf("client %d is not at %s", i, want.Address)
		}
	}
}

// Many blocks and shards, and a smaller table keeps exactly the most recent.
func TestRestoreIntoSmaller(t *testing.T) {
	const n = 40000
	big := as(New(n), "a", "b", "c")
	for i := range n {
		big.Assign(addr(i*7919%n), ID(i%3), time.Duration(i))
	}
	snapshot := save(t, big, n)
	for _, size := range []int{1, 5, 1000, n / 3, n, 2 * n} {
		tb := as(New(size), "a", "b", "c")
		got := restore(t, tb, snapshot, at(n, 0))
		if want := min(n, size); got.Kept != want || tb.Len() != want || got.Clients != n {
			t.Errorf("table of %d: %+v, Len() = %d", size, got, tb.Len())
		}
		for i := n - min(n, size); i < n; i++ {
			wantServer(t, tb, addr(i*7919%n), n, ID(i%3))
		}
	}
}

// What is restored is what was saved, whatever the table is.
func TestSnapshotAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tb := New(8)
		for now := range time.Duration(rapid.IntRange(0, 30).Draw(t, "steps")) {
			c := addr(rapid.IntRange(0, 11).Draw(t, "client"))
			tb.Assign(c, ID(rapid.IntRange(-1, 4).Draw(t, "server")), now)
			tb.Add(c, rapid.Uint64().Draw(t, "sent"), 1)
		}
		servers := rapid.SliceOfNDistinct(rapid.StringN(1, 20, -1), 0, 6, rapid.ID[string]).Draw(t, "servers")
		as(tb, servers...)
		now := 30 + time.Duration(rapid.IntRange(0, 9).Draw(t, "later"))
		var b bytes.Buffer
		if err := tb.Save(&b, saved, now); err != nil {
			t.Fatal(err)
		}
		since := time.Duration(rapid.IntRange(0, 9).Draw(t, "since"))
		size := rapid.IntRange(1, 10).Draw(t, "size")
		slices.Reverse(servers)
		next := as(New(size), servers...)
		if _, err := next.Restore(&b, saved.Add(since), 0); err != nil {
			t.Fatal(err)
		}
		list := tb.Dump()
		slices.SortFunc(list, func(a, b Entry) int { return int(b.Last - a.Last) })
		want := map[netip.Addr]Entry{}
		for _, e := range list[:min(len(list), size)] {
			e.Slot, e.Last = 0, e.Last-now-since
			if int(e.Server) >= len(servers) {
				e.Server = NoServer
			} else {
				e.Server = ID(len(servers)) - 1 - e.Server
			}
			want[e.Addr] = e
		}
		if got := known(next); !reflect.DeepEqual(got, want) {
			t.Fatalf("restored %+v\nwant %+v", got, want)
		}
	})
}

// A table in use is saved and restored; what comes out is sound.
func TestSnapshotWhileInUse(t *testing.T) {
	tb := as(New(20000), "a", "b")
	var users, saver sync.WaitGroup
	for w := range 2 {
		users.Go(func() {
			for i := range 60000 {
				tb.Assign(addr(i*(w+1)%30000), ID(w), time.Duration(i))
				tb.Lookup(addr(i), 0)
				tb.Forget(addr(i*3%30000), time.Duration(i))
				if i%20000 == 0 {
					tb.Resize(15000 + i/2)
				}
			}
		})
	}
	saver.Go(func() {
		for range 10 {
			snapshot := save(t, tb, 60000)
			other := New(100000)
			if got := restore(t, other, snapshot, at(60000, 0)); got.Kept != got.Clients {
				t.Errorf("a client is twice in a snapshot: %+v", got)
			}
			restore(t, tb, snapshot, at(60000, 0))
		}
	})
	users.Wait()
	saver.Wait()
	if n, d := tb.Len(), len(tb.Dump()); n != d || n > tb.Max() {
		t.Errorf("Len() = %d, Dump has %d, Max() = %d", n, d, tb.Max())
	}
}

// Both versions are read for ever.
func TestGolden(t *testing.T) {
	name := filepath.Join("testdata", "version2.snapshot")
	if *update {
		if err := os.WriteFile(name, save(t, small(), 100), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := known(small())
	tb := as(New(10), smallServers...)
	wantGolden(t, tb, name, want)
	for addr := range want {
		k := keyOf(addr)
		h := tb.hash(k)
		_, s := tb.lock(h)
		e := s.find(h, k)
		s.mu.Unlock()
		if (e.version == 0) != (e.server == NoServer) {
			t.Errorf("client %v of server %d has version %d", addr, e.server, e.version)
		}
	}
	golden, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got := save(t, small(), 100); !bytes.Equal(got, golden) {
		t.Errorf("written today:\n%x\nas version 2:\n%x", got, golden)
	}
}

// A snapshot of version 1, whose second server was an unused slot. The texts of the
// others may be names or addresses.
func TestGolden1(t *testing.T) {
	want := known(small())
	without := netip.MustParseAddr("2001:db8::1")
	e := want[without]
	e.Server = NoServer
	want[without] = e
	tb := New(10)
	for _, s := range smallServers {
		tb.Intern([]Identity{{Name: s, Address: s}})
	}
	wantGolden(t, tb, filepath.Join("testdata", "version1.snapshot"), want)
	for _, servers := range [][]Identity{
		{{}, {Name: smallServers[2]}, {Address: smallServers[0]}},
		{{}, {Address: smallServers[2]}, {Name: smallServers[0], Address: "elsewhere"}},
	} {
		got, ok := tb.Lookup(addr(1), 100)
		if slot := tb.Directory().Slots(servers)[got]; !ok || slot != 2 {
			t.Errorf("%v: the client's server is in slot %d, want 2", servers, slot)
		}
	}
}

// wantGolden restores a golden snapshot and compares.
func wantGolden(t *testing.T, tb *Table, name string, want map[netip.Addr]Entry) {
	t.Helper()
	golden, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got := restore(t, tb, golden, at(100, 0)); got != (Restored{saved, 4, 4}) {
		t.Errorf("%s: %+v", name, got)
	}
	if got := known(tb); !reflect.DeepEqual(got, want) {
		t.Errorf("%s has %+v\nwant %+v", name, got, want)
	}
}

// FuzzRestore: nothing makes Restore fall over; what it takes is a table that
// can be saved and restored again.
func FuzzRestore(f *testing.F) {
	f.Add(save(f, small(), 100))
	f.Fuzz(func(t *testing.T, b []byte) {
		tb := New(3)
		tb.Assign(addr(5), 5, 5)
		got, err := tb.Restore(bytes.NewReader(b), saved, 10)
		if err != nil {
			wantServer(t, tb, addr(5), 10, 5)
			if tb.Len() != 1 {
				t.Errorf("Len() = %d after %v", tb.Len(), err)
			}
			return
		}
		if n := len(tb.Dump()); n != tb.Len() || n > 3 || got.Kept > min(3, got.Clients) {
			t.Errorf("%+v, Len() = %d, Dump has %d", got, tb.Len(), n)
		}
		again := New(3)
		restore(t, again, save(t, tb, 10), at(10, 0))
		if again.Len() != tb.Len() {
			t.Errorf("%d clients of %d after once more", again.Len(), tb.Len())
		}
	})
}

// million is a full table of a million clients of ten servers.
func million() *Table {
	const n = 1_000_000
	tb := as(New(n), strings.Split("abcdefghij", "")...)
	for i := range n {
		tb.Assign(addr(i), ID(i%10), time.Duration(i))
	}
	return tb
}

// Saving needs the memory of a shard, not of the table.
func TestSaveNeedsLittleMemory(t *testing.T) {
	tb := million()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := tb.Save(io.Discard, saved, 1_000_000); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
		t.Errorf("%d bytes allocated to save a million clients, want at most 4 MiB", got)
	}
}

func BenchmarkSave(b *testing.B) {
	tb := million()
	b.ReportAllocs()
	for b.Loop() {
		if err := tb.Save(io.Discard, saved, 1_000_000); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRestore(b *testing.B) {
	tb := million()
	snapshot := save(b, tb, 1_000_000)
	b.SetBytes(int64(len(snapshot)))
	b.ReportAllocs()
	for b.Loop() {
		if got := restore(b, New(1_000_000), snapshot, at(0, 0)); got.Kept != 1_000_000 {
			b.Fatalf("%+v", got)
		}
	}
}
