package accesslog

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"pen/internal/testenv"
)

var (
	client = netip.MustParseAddr("192.0.2.7")
	silent = slog.New(slog.DiscardHandler)
)

func open(t *testing.T, dest string) *Log {
	t.Helper()
	l, err := Open(t.Context(), dest, silent)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What a chunk becomes, in a file and on the network.
func TestLines(t *testing.T) {
	testenv.CheckLeaks(t)
	long := strings.Repeat("x", 2000)
	for _, tt := range []struct {
		client        netip.Addr
		chunk         string
		file, network string
	}{
		{client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "192.0.2.7 T 10.0.0.1 GET / HTTP/1.1\n", "+ 192.0.2.7 10.0.0.1 GET / HTTP/1.1\n"},
		{client, "GET /\nmore", "192.0.2.7 T 10.0.0.1 GET /\n", "+ 192.0.2.7 10.0.0.1 GET /\n"},
		{client, "", "192.0.2.7 T 10.0.0.1 \n", "+ 192.0.2.7 10.0.0.1 \n"},
		{client, "\x16\x03\xe4\x7fa", "192.0.2.7 T 10.0.0.1 ....a\n", "+ 192.0.2.7 10.0.0.1 \x16\x03\xe4\x7fa\n"},
		{client, long, "192.0.2.7 T 10.0.0.1 " + long[:100] + "\n", "+ 192.0.2.7 10.0.0.1 " + long[:1002] + "\n"},
		{netip.MustParseAddr("2001:db8::1"), "x", "2001:db8::1 T 10.0.0.1 x\n", "+ 2001:db8::1 10.0.0.1 x\n"},
		{netip.Addr{}, "x", "unix T 10.0.0.1 x\n", "+ unix 10.0.0.1 x\n"},
	} {
		name := filepath.Join(t.TempDir(), "log")
		f := open(t, name)
		f.Request(tt.client, "10.0.0.1", []byte(tt.chunk))
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		got := regexp.MustCompile(` \d{10,} `).ReplaceAllString(read(t, name), " T ")
		if got != tt.file {
			t.Errorf("%.20q in a file: %q, want %q", tt.chunk, got, tt.file)
		}

		ln, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		open(t, ln.LocalAddr().String()).Request(tt.client, "10.0.0.1", []byte(tt.chunk))
		b := make([]byte, 4096)
		n, _, err := ln.ReadFrom(b)
		if got := string(b[:n]); got != tt.network || err != nil {
			t.Errorf("%.20q on the network: %q, %v, want %q", tt.chunk, got, err, tt.network)
		}
	}
}

// Files are appended to, and rotation loses no line and mixes none.
func TestReopen(t *testing.T) {
	testenv.CheckLeaks(t)
	const writers, each = 4, 2000
	name := filepath.Join(t.TempDir(), "log")
	l := open(t, name)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				l.Request(client, "10.0.0.1", fmt.Appendf(nil, "%d/%d", w, i))
			}
		})
	}
	var files []string
	for i := range 20 {
		rotated := fmt.Sprint(name, i)
		if err := os.Rename(name, rotated); err != nil {
			t.Fatal(err)
		}
		files = append(files, rotated)
		if err := l.Reopen(); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, f := range append(files, name) {
		text := read(t, f)
		lines += strings.Count(text, "\n")
		if text != "" && !strings.HasSuffix(text, "\n") {
			t.Errorf("%s ends with half a line", f)
		}
	}
	if want := writers*each - int(l.Dropped()); lines != want {
		t.Errorf("%d lines, want %d", lines, want)
	}
	if err := l.Reopen(); err == nil {
		t.Error("reopened after Close")
	}
}

func TestReopenFails(t *testing.T) {
	testenv.CheckLeaks(t)
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l := open(t, filepath.Join(dir, "log"))
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err == nil {
		t.Error("reopened in a folder that is gone")
	}
	l.Request(client, "10.0.0.1", []byte("still"))
	l.Close()
	if got := read(t, filepath.Join(dir+".old", "log")); !strings.Contains(got, "still") {
		t.Errorf("the old file has %q", got)
	}
}

// A destination that takes nothing delays nobody; what is lost is counted and
// reported.
func TestSlow(t *testing.T) {
	testenv.CheckLeaks(t)
	name := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	// A reader that does not read yet: the pipe fills, and then write blocks.
	reader, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	var said lockedBuffer
	l, err := Open(t.Context(), name, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	chunk := bytes.Repeat([]byte("x"), 100)
	for range 20 * queue {
		l.Request(client, "10.0.0.1", chunk)
	}
	if l.Dropped() == 0 {
		t.Error("nothing was dropped")
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		b := make([]byte, 1<<20)
		for {
			if _, err := reader.Read(b); err != nil {
				return
			}
		}
	}()
	testenv.Eventually(t, "the loss is reported", func() bool { return strings.Contains(said.String(), "were lost") })
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	reader.Close()
	<-drained
}

// Every lost line is counted, but not every one is reported by itself.
func TestFullDisk(t *testing.T) {
	testenv.CheckLeaks(t)
	var said lockedBuffer
	l, err := Open(t.Context(), "/dev/full", slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(10) {
		l.Request(client, "10.0.0.1", []byte("x"))
		testenv.Eventually(t, "the line is counted as lost", func() bool { return l.Dropped() == i+1 })
	}
	l.Close() // which reports the rest
	reports := regexp.MustCompile(` lines=(\d+)`).FindAllStringSubmatch(said.String(), -1)
	if len(reports) < 1 || len(reports) > 3 {
		t.Errorf("%d reports, want one at the first line and one at the end: %s", len(reports), said.String())
	}
	sum := 0
	for _, m := range reports {
		n, _ := strconv.Atoi(m[1])
		sum += n
	}
	if sum != 10 {
		t.Errorf("%d lines are reported as lost, want 10: %s", sum, said.String())
	}
}

// The look-up of a host that nobody answers ends with its context.
func TestLookUpIsCancelled(t *testing.T) {
	testenv.CheckLeaks(t)
	asked := make(chan struct{}, 1)
	was := net.DefaultResolver
	defer func() { net.DefaultResolver = was }()
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		select {
		case asked <- struct{}{}:
		default:
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	if l, err := Open(ctx, "name.test:10000", silent); err == nil || ctx.Err() == nil {
		t.Errorf("%v, %v, want an error once it is cancelled", l, err)
	}
}

func TestOpenFails(t *testing.T) {
	testenv.CheckLeaks(t)
	for _, dest := range []string{"/no/such/folder/log", "127.0.0.1:no-such-port"} {
		if l, err := Open(t.Context(), dest, silent); err == nil {
			l.Close()
			t.Errorf("opened %s", dest)
		}
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
