package hostnames

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pen/internal/testenv"
)

var start = time.Unix(1_800_000_000, 0)

// A fake is a DNS: it answers with the name of an address, nothing for a
// missing one, and fails if it is down.
type fake struct {
	names map[string]string
	down  atomic.Bool
	asked atomic.Int64
	wait  chan struct{} // nil, or what each question waits for
}

func (f *fake) lookup(ctx context.Context, addr netip.Addr) (string, error) {
	f.asked.Add(1)
	if f.wait != nil {
		select {
		case <-f.wait:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	if f.down.Load() {
		return "", errors.New("down")
	}
	return f.names[addr.String()], nil
}

// A clock is set by the test.
type clock struct{ seconds atomic.Int64 }

func (c *clock) now() time.Time { return start.Add(time.Duration(c.seconds.Load()) * time.Second) }

func newNames(f *fake, c *clock, parallel int) *Names {
	return New(Options{
		Lookup: f.lookup, Parallel: parallel, Timeout: testenv.Limit, Now: c.now, Cache: NewCache(1000, time.Hour),
	})
}

func convert(t *testing.T, n *Names, in string) string {
	t.Helper()
	var out strings.Builder
	if err := n.Convert(t.Context(), strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestConvert(t *testing.T) {
	testenv.CheckLeaks(t)
	long := strings.Repeat("x", 3*maxPiece)
	f := &fake{names: map[string]string{
		"192.0.2.1": "one.example", "2001:db8::1": "six.example", "192.0.2.9": "two words", "192.0.2.8": "10.0.0.1", "192.0.2.7": "a\nb",
	}}
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"192.0.2.1 - - [t] \"GET /\"\n", "one.example - - [t] \"GET /\"\n"},
		{"192.0.2.1 1800000000 10.0.0.1 GET /\n", "one.example 1800000000 10.0.0.1 GET /\n"},
		{"192.0.2.1\tx\r\n192.0.2.1\r\n192.0.2.1\n192.0.2.1", "one.example\tx\r\none.example\r\none.example\none.example"},
		{"2001:db8::1 x\n2001:0DB8:0::1 x\n", "six.example x\nsix.example x\n"},
		{"::ffff:192.0.2.1 x\n", "one.example x\n"},
		{"192.0.2.2 x\n", "192.0.2.2 x\n"},
		{"192.0.2.9 x\n192.0.2.8 x\n192.0.2.7 x\n", "192.0.2.9 x\n192.0.2.8 x\n192.0.2.7 x\n"},
		{"fe80::1%eth0 x\nunix 1 x\n\n 192.0.2.1 x\n192.0.2.1: x\n", "fe80::1%eth0 x\nunix 1 x\n\n 192.0.2.1 x\n192.0.2.1: x\n"},
		{"192.0.2.1 " + long + "\n192.0.2.1 x\n", "one.example " + long + "\none.example x\n"},
		{strings.Repeat("x", maxPiece) + "192.0.2.1 x\n", strings.Repeat("x", maxPiece) + "192.0.2.1 x\n"},
		{long, long},
	} {
		if got := convert(t, newNames(f, &clock{}, 3), tt.in); got != tt.want {
			t.Errorf("%.60q: got %.80q, want %.80q", tt.in, got, tt.want)
		}
	}
}

// Lines stay in their order, and an address is asked for once, however slow
// the answers are.
func TestOrder(t *testing.T) {
	testenv.CheckLeaks(t)
	f := &fake{names: map[string]string{}, wait: make(chan struct{})}
	var in, want strings.Builder
	for i := range 5000 {
		addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(i * i % 100)})
		name := fmt.Sprintf("h%d.example", i*i%100)
		f.names[addr.String()] = name
		fmt.Fprintf(&in, "%s line %d\n", addr, i)
		fmt.Fprintf(&want, "%s line %d\n", name, i)
	}
	got := make(chan string, 1)
	go func() {
		var out strings.Builder
		newNames(f, &clock{}, 7).Convert(t.Context(), strings.NewReader(in.String()), &out)
		got <- out.String()
	}()
	testenv.Eventually(t, "questions at the same time", func() bool { return f.asked.Load() == 7 })
	close(f.wait)
	if <-got != want.String() {
		t.Error("the lines are not what they should be")
	}
	if n := f.asked.Load(); int(n) != len(f.names) {
		t.Errorf("%d questions for %d addresses", n, len(f.names))
	}
}

type failing struct{ left int }

func (f *failing) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, errors.New("disk full")
	}
	return len(b), nil
}

// endless is an input that never ends by itself.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return copy(b, "192.0.2.1 x\n192.0.2.2 y\n"), nil }

func TestConvertEnds(t *testing.T) {
	testenv.CheckLeaks(t)
	f := &fake{}
	err := newNames(f, &clock{}, 2).Convert(t.Context(), endless{}, &failing{100_000})
	if err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("full disk: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := newNames(f, &clock{}, 2).Convert(ctx, endless{}, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	broken := io.MultiReader(strings.NewReader("192.0.2.1 x\n"), errReader{})
	if err := newNames(f, &clock{}, 2).Convert(t.Context(), broken, io.Discard); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("broken input: %v", err)
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Without answers, only a few questions are asked, and one after each pause.
func TestNoAnswers(t *testing.T) {
	f, c := &fake{names: map[string]string{"10.0.3.7": "back.example"}}, &clock{}
	f.down.Store(true)
	n := newNames(f, c, 1)
	var in strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&in, "10.0.%d.%d x\n", i/256, i%256)
	}
	for _, tt := range []struct {
		after int64 // seconds
		asked int64 // in all
	}{{0, failures}, {29, failures}, {1, failures + 1}, {29, failures + 1}, {31, failures + 2}} {
		c.seconds.Add(tt.after)
		if got := convert(t, n, in.String()); got != in.String() {
			t.Fatal("lines have changed")
		}
		if got := f.asked.Load(); got != tt.asked {
			t.Fatalf("%d questions, want %d", got, tt.asked)
		}
	}
	if n.Skipped() < 4000 {
		t.Errorf("%d questions left out", n.Skipped())
	}
	// One answer ends it. The failures are asked for again later.
	f.down.Store(false)
	c.seconds.Add(30)
	if got := convert(t, n, "10.0.3.7 x\n"); got != "back.example x\n" {
		t.Errorf("after an answer: %q", got)
	}
	before := f.asked.Load()
	convert(t, n, "10.0.0.0 x\n10.0.0.1 x\n10.0.2.200 x\n")
	if got := f.asked.Load() - before; got != 1 {
		t.Errorf("%d questions soon after failures, want 1 for the address that was not asked for", got)
	}
	c.seconds.Add(int64(retry / time.Second))
	convert(t, n, "10.0.0.0 x\n")
	if got := f.asked.Load() - before; got != 2 {
		t.Errorf("%d questions, want the first failed one to be repeated", got)
	}
}

func TestTimeout(t *testing.T) {
	f := &fake{wait: make(chan struct{})}
	n := New(Options{Lookup: f.lookup, Parallel: 4, Timeout: time.Millisecond, Now: time.Now, Cache: NewCache(10, time.Hour)})
	if got := convert(t, n, "192.0.2.1 x\n192.0.2.2 x\n"); got != "192.0.2.1 x\n192.0.2.2 x\n" {
		t.Errorf("%q", got)
	}
}

func TestAcceptable(t *testing.T) {
	for name, want := range map[string]bool{
		"a.example": true, "A-b_c.0.x": true, "localhost": true, "1.2.3.4.example": true, strings.Repeat("a.", 126) + "a": true,
		"": false, ".": false, "1.2.3.4": false, "a b": false, "a\nb": false, "a\"b": false, "b\xc3\xbc.example": false,
		"::1": false, "a/b": false, "-": false, ".a": false, strings.Repeat("a.", 127) + "a": false,
		"127.1": false, "a..b": false, strings.Repeat("a", 64): false,
	} {
		if got := acceptable(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func FuzzFirstAddr(f *testing.F) {
	for _, line := range []string{"192.0.2.1 - -\n", "::1\t", "fe80::1%eth0 x", "", " ", "192.0.2.1"} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		addr, word, ok := firstAddr(line)
		if !ok {
			return
		}
		again, err := netip.ParseAddr(string(line[:word]))
		if err != nil || again.Unmap() != addr || addr.Zone() != "" || word < len(line) && !strings.ContainsRune(" \t\r\n", rune(line[word])) {
			t.Fatalf("%q: %v, %d", line, addr, word)
		}
	})
}
