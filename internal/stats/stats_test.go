package stats

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sample is the state in which a Pen 0.34.1 wrote testdata: two clients, one
// of them with an open connection, a gap in slot 2 (which Pen calls "(unknown
// address family 0", and testdata 0.0.0.0), two servers that refused.
func sample() Snapshot {
	now := time.Unix(1795517618, 0).UTC()
	return Snapshot{
		Time: now,
		Servers: []Server{
			{Slot: 0, Used: true, Addr: "127.0.0.1", Port: 18581, Conns: 1, Sent: 316, Received: 1492},
			{Slot: 1, Used: true, Addr: "127.0.0.1", Port: 18582, FailedAt: now},
			{Slot: 2},
			{Slot: 3, Used: true, Addr: "/run/web.sock", Port: 1, Max: 5, Hard: 2, FailedAt: now},
		},
		Clients: []Client{
			{Slot: 0, Addr: "127.0.0.1", Last: now, Connects: 4, Sent: 1119, Received: 237},
			{Slot: 1, Addr: "127.0.0.2", Last: now, Connects: 1, Sent: 373, Received: 79},
			{Slot: 2},
		},
		ClientsMax: 2048, Evicted: 7,
		Conns: []Conn{
			{ID: 0, State: 2, DownFD: 7, UpFD: 8},
			{ID: 1, DownFD: -1, UpFD: -1},
		},
		ConnMax: 500, ConnUsed: 1,
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	want, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range min(len(gotLines), len(wantLines)) {
		if gotLines[i] != wantLines[i] {
			t.Fatalf("%s:%d: got %q, want %q", name, i+1, gotLines[i], wantLines[i])
		}
	}
	t.Fatalf("%s: got %d lines, want %d", name, len(gotLines), len(wantLines))
}

func TestGolden(t *testing.T) {
	s := sample()
	golden(t, "servers.txt", ServersText(s.Servers))
	var page, text bytes.Buffer
	if err := HTML(&page, s); err != nil {
		t.Fatal(err)
	}
	golden(t, "status.html", page.String())
	if err := Text(&text, s); err != nil {
		t.Fatal(err)
	}
	golden(t, "status.txt", text.String())
}

func TestServersTextIsEmptyWithoutServers(t *testing.T) {
	if got := ServersText(nil); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestServersTextShowsEveryLimit(t *testing.T) {
	s := Server{
		Slot: 7, Used: true, Addr: "2001:db8::1", Port: 80, Conns: 1, Max: 2, Hard: 3, Weight: 4, Prio: 5,
		Sent: 1<<64 - 1, Received: 6,
	}
	want := "7 addr 2001:db8::1 port 80 conn 1 max 2 hard 3 weight 4 prio 5 sx 18446744073709551615 rx 6\n"
	if got := ServersText([]Server{s}); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRecentText(t *testing.T) {
	now := time.Unix(1000, 200e6)
	clients := []Client{
		{Slot: 0, Addr: "10.0.0.1", Last: time.Unix(1000, 100e6), Connects: 3, Sent: 20, Received: 10},
		{Slot: 1, Addr: "::1", Last: time.Unix(998, 100e6), Connects: 1},
		{Slot: 2},
	}
	const first, second = "10.0.0.1 connects 3 sx 20 rx 10\n", "::1 connects 1 sx 0 rx 0\n"
	for _, c := range []struct {
		within time.Duration
		want   string
	}{
		{-time.Second, ""},
		{0, first},
		{time.Second, first},
		{2 * time.Second, first + second}, // the last second counts whole
		{5 * time.Minute, first + second},
		{1<<63 - 1, first + second}, // all that were ever seen, no unused slot
	} {
		if got := RecentText(clients, now, c.within); got != c.want {
			t.Errorf("within %v: got %q, want %q", c.within, got, c.want)
		}
	}
}

func TestConnectionText(t *testing.T) {
	for _, c := range []struct {
		conn Conn
		want string
	}{
		{
			Conn{ID: 3, State: 2, DownFD: 7, UpFD: 8, Client: 5, Server: 1, PendingDown: 20, PendingUp: 22},
			"Connection 3:\nstate = 2\ndownfd = 7, upfd = 8\nclient = 5, server = 1\npend = 42\n",
		},
		{
			Conn{ID: 9, DownFD: -1, UpFD: -1},
			"Connection 9:\nstate = 0\ndownfd = -1, upfd = -1\nclient = 0, server = 0\npend = 0\n",
		},
	} {
		if got := ConnectionText(c.conn); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestHTMLEscapes(t *testing.T) {
	var b bytes.Buffer
	err := HTML(&b, Snapshot{
		Servers: []Server{{Used: true, Addr: "/tmp/<b>&\"x"}},
		Clients: []Client{{Addr: "<script>", Last: time.Unix(1, 0)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<b>", "<script>"} {
		if strings.Contains(b.String(), bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
	if !strings.Contains(b.String(), "/tmp/&lt;b&gt;&amp;&#34;x") {
		t.Errorf("the escaped address is missing:\n%s", b.String())
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestWriteErrorsAreReturned(t *testing.T) {
	want := errors.New("disk full")
	if err := HTML(brokenWriter{want}, sample()); !errors.Is(err, want) {
		t.Errorf("HTML: got %v", err)
	}
	if err := Text(brokenWriter{want}, sample()); !errors.Is(err, want) {
		t.Errorf("Text: got %v", err)
	}
}

// The port of a Unix socket is no port, wherever its path begins.
func TestStatesOfUnixSockets(t *testing.T) {
	got := StatesText([]Server{
		{Slot: 0, Used: true, Addr: "sub/app.sock", Port: 1, State: "up"},
		{Slot: 1, Used: true, Addr: "/run/app.sock", Port: 1, State: "up"},
		{Slot: 2, Used: true, Addr: "127.0.0.1", Port: 1, State: "up"},
		{Slot: 3},
	}, time.Time{})
	want := "0 sub/app.sock conn 0 state up\n1 /run/app.sock conn 0 state up\n2 127.0.0.1 port 1 conn 0 state up\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
