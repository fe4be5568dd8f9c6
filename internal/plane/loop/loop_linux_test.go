package loop

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pen/internal/acl"
	"pen/internal/dispatch"
	"pen/internal/plane"
	"pen/internal/plane/planetest"
	"pen/internal/plane/relay"
	"pen/internal/plane/splice"
	"pen/internal/pool"
	"pen/internal/sock"
	"pen/internal/testenv"
)

// Two loops, and processors for them and for the tests.
const loops = 2

func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(loops + 2)
	os.Exit(m.Run())
}

func TestPlane(t *testing.T) {
	planetest.Run(t, func(t *testing.T, ln *sock.Listener) plane.Plane { return build(t, ln, loops) })
}

func build(t testing.TB, ln *sock.Listener, loops int) *Plane {
	t.Helper()
	p, err := New(ln, loops, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func listen(t testing.TB, loops int) *Plane {
	t.Helper()
	ln, err := new(sock.Sockets).Listen(testenv.Loopback)
	if err != nil {
		t.Fatal(err)
	}
	return build(t, ln, loops)
}

// Addr is where clients connect to.
func (p *Plane) Addr() net.Addr { return p.ln.Addr() }

// A service is a plane that serves one server.
type service struct {
	*Plane
	d    *dispatch.Dispatcher
	cfg  dispatch.Config
	stop func()
}

func serve(t testing.TB, server netip.AddrPort, change func(*dispatch.Config)) *service {
	t.Helper()
	return serveOn(t, listen(t, loops), context.Background(), server, change)
}

// configure changes the policy.
func (s *service) configure(change func(*dispatch.Config)) {
	s.cfg.Pool.Servers = slices.Clone(s.cfg.Pool.Servers)
	change(&s.cfg)
	s.d.Configure(s.cfg)
}

// serveOn serves with a plane until ctx is done or the test ends.
func serveOn(t testing.TB, p *Plane, ctx context.Context, server netip.AddrPort, change func(*dispatch.Config)) *service {
	t.Helper()
	cfg := dispatch.Config{ACLs: &acl.Lists{}, ClientsMax: 100, ConnMax: 2000, ConnectTimeout: testenv.Limit}
	cfg.Pool.Servers = []pool.Config{{Addr: server, Weight: 1}}
	if change != nil {
		change(&cfg)
	}
	begin := time.Now()
	s := &service{Plane: p, d: dispatch.New(cfg, func() time.Duration { return time.Since(begin) }), cfg: cfg}
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		if err := s.Serve(ctx, s.d); err != nil {
			t.Errorf("Serve: %v", err)
		}
	}()
	s.stop = func() {
		cancel()
		testenv.Eventually(t, "Serve returns", func() bool {
			s.d.KillAll()
			select {
			case <-over:
				return true
			default:
				return false
			}
		})
	}
	t.Cleanup(func() { s.stop() })
	return s
}

// Records hold no pointers and little else.
func TestRecord(t *testing.T) {
	r := reflect.TypeFor[record]()
	if r.Size() > 160 {
		t.Errorf("a record has %d bytes", r.Size())
	}
	var check func(string, reflect.Type)
	check = func(name string, ty reflect.Type) {
		switch ty.Kind() {
		case reflect.Struct:
			for f := range ty.NumField() {
				check(name+"."+ty.Field(f).Name, ty.Field(f).Type)
			}
		case reflect.Array:
			check(name, ty.Elem())
		case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface, reflect.Func, reflect.Chan, reflect.String, reflect.UnsafePointer:
			t.Errorf("%s is a %v", name, ty)
		}
	}
	check("record", r)
}

func TestMessagesDoNotAllocate(t *testing.T) {
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	s := serve(t, ln.AddrPort(), nil)
	client, server := testenv.Dial(t, s.Addr()), ln.Next(t)
	msg, buf := make([]byte, 100), make([]byte, 100)
	turn := func() {
		for _, way := range [][2]testenv.Conn{{client, server}, {server, client}} {
			if _, err := way[0].Write(msg); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(way[1], buf); err != nil {
				t.Fatal(err)
			}
		}
	}
	// testing.AllocsPerRun would leave one processor to all.
	turn()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const turns = 1000
	for range turns {
		turn()
	}
	runtime.ReadMemStats(&after)
	if n := after.Mallocs - before.Mallocs; n > turns/10 { // others allocate now and then
		t.Errorf("%d allocations for %d messages each way, want none", n, turns)
	}
}

// Few connections are shared out evenly as well.
func TestConnectionsAreSharedOut(t *testing.T) {
	testenv.CheckLeaks(t)
	s := serve(t, testenv.Echo(t), nil)
	for n := 1; n <= 40; n++ {
		c := testenv.Dial(t, s.Addr())
		testenv.Write(t, c, "x")
		testenv.WantBytes(t, c, "x")
		var total, most int32
		for _, l := range s.loops {
			total += l.live.Load()
			most = max(most, l.live.Load())
		}
		if fair := int32(n+loops-1) / loops; int(total) != n || most > fair+fair/8+1 {
			t.Fatalf("%d connections, %d in one of %d loops", total, most, loops)
		}
	}
}

// Bulk that is held up is in a pipe or a tail, and nothing of them is lent once
// it has ended, however it did.
func TestBorrowedIsGivenBack(t *testing.T) {
	testenv.CheckLeaks(t)
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	s := serve(t, ln.AddrPort(), nil)
	piped := 0
	for range 4 {
		client, server := testenv.Dial(t, s.Addr()), ln.Next(t)
		written := make(chan error, 1)
		go func() {
			_, err := client.Write(make([]byte, 256<<20))
			written <- err
		}()
		// How much sockets hold of what is not read is the system's affair, and may
		// be too little to be bulk; and bytes may be held up in the kernel.
		if _, err := io.CopyN(io.Discard, server, 8<<20); err != nil {
			t.Fatal(err)
		}
		before := uint64(0)
		testenv.Eventually(t, "bytes are held up", func() bool {
			f := s.d.Status().Flows
			if len(f) == 1 && f[0].ToServer == before && f[0].FromClient == before {
				io.CopyN(io.Discard, server, 256<<10)
			}
			if len(f) == 1 {
				before = f[0].ToServer
			}
			_, lent := splice.Count()
			piped = max(piped, lent)
			return len(f) == 1 && f[0].FromClient > f[0].ToServer
		})
		testenv.Reset(t, server)
		if err := <-written; err == nil {
			t.Error("the client could send everything")
		}
		testenv.Eventually(t, "the flow has ended", func() bool { return len(s.d.Status().Flows) == 0 })
	}
	s.stop()
	if open, _ := splice.Count(); open != 0 || splice.Held() != 0 {
		t.Errorf("%d pipes are open and %d bytes held at the end", open, splice.Held())
	}
	for _, l := range s.loops {
		if len(l.lent) != 0 || len(l.tails) != 0 {
			t.Errorf("%d pipes and %d tails are left", len(l.lent), len(l.tails))
		}
	}
	if piped == 0 {
		t.Error("no bulk went through a pipe")
	}
}

// Bulk that is limited is spliced as well, in pieces, and takes its time.
func TestLimitedBulkIsSpliced(t *testing.T) {
	testenv.CheckLeaks(t)
	const rate, size = 1 << 20, 1 << 20 // a piece fits into the least that TCP buffers
	ln := testenv.Listen(t, "tcp", testenv.Loopback)
	s := serve(t, ln.AddrPort(), func(cfg *dispatch.Config) { cfg.Limits.ConnBandwidth = rate })
	client, server := testenv.Dial(t, s.Addr()), ln.Next(t)
	begin := time.Now()
	written := make(chan error, 1)
	go func() {
		_, err := client.Write(make([]byte, size))
		client.CloseWrite()
		written <- err
	}()
	testenv.WantEnd(t, server, size)
	if took := time.Since(begin); took < 700*time.Millisecond {
		t.Errorf("what takes a second took %v", took)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
	piped, _ := splice.Count() // some are kept
	s.stop()
	for _, l := range s.loops {
		if len(l.taps) != 0 {
			t.Errorf("%d taps are left", len(l.taps))
		}
	}
	if piped == 0 {
		t.Error("no bulk went through a pipe")
	}
}

// After a spike records are let go, also where some of them stay in use, and what still
// names the place of one finds a free record.
func TestRecordsGoAfterASpike(t *testing.T) {
	var rs records
	var ids []int32
	seen := map[int32]bool{}
	const many = 20 * chunkSize
	for range many {
		id, r := rs.take(nil)
		if seen[id] {
			t.Fatalf("%d is lent twice", id)
		}
		seen[id], ids, r.side[relay.Client].gen = true, append(ids, id), 1
	}
	const stay = 3
	for _, id := range ids[stay:] {
		rs.put(id)
	}
	for _, id := range ids[stay:] {
		if r := rs.at(id); r != &noRecord || r.state != free || r.side[relay.Client].gen != 0 || rs.flow(id) != nil {
			t.Fatalf("record %d is %+v", id, r)
		}
	}
	for range many - stay {
		id, r := rs.take(nil)
		if r == &noRecord || r.side[relay.Client].gen != 0 {
			t.Fatalf("record %d is %+v", id, r)
		}
	}
	if len(rs.all) != many/chunkSize || len(rs.unused) != 0 {
		t.Errorf("%d chunks, %d places unused for %d records", len(rs.all), len(rs.unused), many)
	}
}

// The wheel agrees with a list that is searched.
func TestWheel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var rs records
		var w wheel
		w.init(&rs)
		due := map[int32]uint32{}
		for range 20 {
			rs.take(nil)
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			id := int32(rapid.IntRange(0, 19).Draw(t, "id"))
			switch rapid.IntRange(0, 2).Draw(t, "do") {
			case 0:
				after := rapid.IntRange(0, 3*wheelSize).Draw(t, "after")
				w.arm(id, time.Duration(after)*tick)
				due[id] = w.now + uint32(max(after, 1))
			case 1:
				w.disarm(id)
				delete(due, id)
			case 2:
				to := w.now + uint32(rapid.IntRange(0, 2*wheelSize).Draw(t, "to"))
				if w.armed > 0 {
					to = min(to, w.now+w.next()) // as a loop waits
				}
				for _, id := range w.advance(to, nil) {
					if at, ok := due[id]; !ok || at > to {
						t.Fatalf("record %d went off at %d, due %d", id, to, at)
					}
					delete(due, id)
				}
				for id, at := range due {
					if at <= to {
						t.Fatalf("record %d did not go off at %d, due %d", id, to, at)
					}
				}
			}
			if w.armed != len(due) {
				t.Fatalf("%d armed, want %d", w.armed, len(due))
			}
		}
	})
}

// A timer that is set while the wheel is behind is not early.
func TestWheelIsBehind(t *testing.T) {
	var rs records
	var w wheel
	w.init(&rs)
	id, _ := rs.take(nil)
	w.clock = 5 * wheelSize
	w.arm(id, 10*tick)
	if due := w.advance(w.clock+9, nil); len(due) != 0 {
		t.Error("a timer went off too early")
	}
	if due := w.advance(w.clock+1, nil); len(due) != 1 {
		t.Error("a timer did not go off")
	}
}

func BenchmarkMessages(b *testing.B) {
	ln := testenv.Listen(b, "tcp", testenv.Loopback)
	s := serve(b, ln.AddrPort(), nil)
	client, server := testenv.Dial(b, s.Addr()), ln.Next(b)
	msg, buf := make([]byte, 100), make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		client.Write(msg)
		io.ReadFull(server, buf)
		server.Write(msg)
		io.ReadFull(client, buf)
	}
}

func BenchmarkConnections(b *testing.B) {
	s := serve(b, testenv.Echo(b), nil)
	msg := make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		c := testenv.Dial(b, s.Addr())
		c.Write(msg)
		io.ReadFull(c, msg)
		c.Close()
	}
}
